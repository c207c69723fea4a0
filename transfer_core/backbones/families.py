"""Words that help a person to choose a backbone: for each family, and for the backbones that come with the app.

They are in Python rather than in the records of the backbones because message catalogues are extracted from Python.
"""

from __future__ import annotations

from dataclasses import dataclass

from transfer_core.language import _


@dataclass(frozen=True)
class FamilyWords:
    """Name of a family of networks and a sentence about what it is good for, both shown on screen."""

    title: str
    when_to_pick: str


def family_words(family: str) -> FamilyWords:
    """Return the words for a family, by its key in the records of the backbones."""
    return {
        "efficientnet_lite": FamilyWords(
            "EfficientNet-Lite", _("Comes with the app. Made for phones: quick and small.")
        ),
        "careful": FamilyWords(
            _("Careful versions"),
            _("The models above, looking at each photo several times: more accurate, slower to answer."),
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


def when_to_pick(name: str, family: str) -> str:
    """Return a sentence about what a backbone is good for: its own, or else that of its family."""
    own = {
        "efficientnet_lite0": _(
            "Start here. It looks at your photos fastest and is right nearly as often as its bigger sisters."
        ),
        "efficientnet_lite1": _(
            "Pick it when Lite0 mixes up classes that look alike and you can wait a little longer."
        ),
        "efficientnet_lite2": _(
            "Pick it when small details decide and the best answer matters more than the wait."
        ),
        "efficientnet_lite0_careful": _(
            "Looks at each photo and its mirror image. Don't choose it if left and right matter."
        ),
        "efficientnet_lite0_lite2": _(
            "Two models look at each photo together. Choose it for the best accuracy if you can wait."
        ),
        "efficientnet_lite0_regions": _(
            "Knows which quarter of the photo things are in. Choose it for handwriting and signs."
        ),
    }
    return own.get(name) or family_words(family).when_to_pick
