"""Words that help a person to choose a backbone: for each family, and for the backbones that come with the app.

They are in Python rather than in the records of the backbones because message catalogues are extracted from Python.
"""

from __future__ import annotations

from dataclasses import dataclass

from transfer_core.backbones.backbone import RANDOM_WEIGHTS
from transfer_core.language import N_, _, said


@dataclass(frozen=True)
class FamilyWords:
    """Name of a family of backbones and a sentence about what it is good for, both shown on screen."""

    title: str
    when_to_pick: str


def family_words(family: str) -> FamilyWords:
    """Return the words for a family, by its key in the records of the backbones."""
    return {
        "efficientnet_lite": FamilyWords(
            "EfficientNet-Lite", _("Comes with the app. Made for phones: fast and small.")
        ),
        "careful": FamilyWords(
            _("Careful versions"),
            _("Look at each photo several times: more accurate, slower to answer."),
        ),
        "mobilenet": FamilyWords(
            "MobileNet", _("Made for phones: the smallest and fastest, a little less accurate.")
        ),
        "efficientnet": FamilyWords(
            "EfficientNet", _("Very accurate for its size. B0 is the smallest, B7 the largest.")
        ),
        "efficientnet_v2": FamilyWords(
            "EfficientNetV2", _("A newer EfficientNet: more accurate at the same speed.")
        ),
        "convnext": FamilyWords(
            "ConvNeXt", _("Among the most accurate, but large: slow to download and slow to answer.")
        ),
        "resnet": FamilyWords(
            "ResNet", _("The classic that most papers and courses use. Choose it to follow them.")
        ),
        "densenet": FamilyWords(
            "DenseNet", _("Keeps early details to the end: often used for X-rays and microscopes.")
        ),
        "inception": FamilyWords(
            _("Inception and Xception"),
            _("Sees small and large details at once, in larger photos."),
        ),
        "nasnet": FamilyWords(
            "NASNet",
            _("Designed by an automatic search. Its blocks can only learn together."),
        ),
        "vgg": FamilyWords(
            "VGG", _("The easiest design to understand. Slow, but good for learning how they work.")
        ),
        "own": FamilyWords(
            _("Your own models"),
            _("It learned from your own photos. Choose it for classes that look similar."),
        ),
        "tests": FamilyWords(_("For tests"), _("Only for tests: its weights are random.")),
    }[family]


# By the name of the backbone; the titles of all others are the same in every language.
_TITLES = {
    "efficientnet_lite0_careful": N_("EfficientNet-Lite0, careful"),
    "efficientnet_lite0_lite2": N_("EfficientNet-Lite0 and Lite2"),
    "efficientnet_lite0_regions": N_("EfficientNet-Lite0 by regions"),
}


def backbone_title(name: str, title: str) -> str:
    """Return the title of a backbone in the language of the visitor; `title` is the stored one."""
    return said(_TITLES[name]) if name in _TITLES else title


def origin_name(name: str, title: str) -> str:
    """Return the title of a backbone for a lineage, which is stored in English."""
    return _TITLES.get(name, title)


def origin_words(origin: str) -> str:
    """Return a name of a lineage in the language of the visitor."""
    return said(origin) if origin in (RANDOM_WEIGHTS, *_TITLES.values()) else origin


def when_to_pick(name: str, family: str) -> str:
    """Return a sentence about what a backbone is good for: its own, or else that of its family."""
    own = {
        "efficientnet_lite0": _("Fast, and almost as accurate as the larger ones. A good start."),
        "efficientnet_lite1": _("Choose this if Lite0 mixes up classes that look alike."),
        "efficientnet_lite2": _("Choose this if small details matter and you can wait."),
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
