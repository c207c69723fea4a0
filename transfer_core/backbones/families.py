"""The families of networks, in the words a person needs to choose between them."""

from __future__ import annotations

from dataclasses import dataclass

from transfer_core.language import _


@dataclass(frozen=True)
class FamilyWords:
    """A family of networks.

    Args:
        title: Its name for people.
        when_to_pick: What it is good for, in one plain sentence.
    """

    title: str
    when_to_pick: str


def family_words(family: str) -> FamilyWords:
    """Return the words for a family.

    Args:
        family: Its key, as the registry has it.
    """
    return {
        "efficientnet_lite": FamilyWords(
            "EfficientNet-Lite", _("Comes with the app. Made for phones: quick and small.")
        ),
        "mobilenet": FamilyWords(
            "MobileNet", _("Made for phones: the smallest and quickest, a little less accurate.")
        ),
        "efficientnet": FamilyWords(
            "EfficientNet", _("Much accuracy for its size. B0 is small, each next one is larger and slower.")
        ),
        "efficientnet_v2": FamilyWords(
            "EfficientNetV2", _("A newer EfficientNet, more accurate at the same speed. B0 is the smallest.")
        ),
        "convnext": FamilyWords(
            "ConvNeXt", _("Among the most accurate there are, and large: a long download and a long look.")
        ),
        "resnet": FamilyWords(
            "ResNet", _("The classic that most papers and courses use. Pick it to follow along with them.")
        ),
        "densenet": FamilyWords(
            "DenseNet", _("Passes every early detail on to the end: often used for X-rays and microscopes.")
        ),
        "inception": FamilyWords(
            "Inception and Xception",
            _("Looks at several sizes of detail at once, in larger pictures."),
        ),
        "nasnet": FamilyWords(
            "NASNet",
            _("Its plan was found by a computer. It can only be unfrozen whole, or layer by layer."),
        ),
        "vgg": FamilyWords(
            "VGG", _("The simplest plan to understand. Slow for what it knows: pick it to learn from it.")
        ),
        "own": FamilyWords(
            _("Your own models"),
            _("It learned from your own photos. Pick it for classes that look like those."),
        ),
        "tests": FamilyWords(_("For tests"), _("Only for tests: its weights are random.")),
    }[family]
