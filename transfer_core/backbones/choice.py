"""Filter and search backbones for the Model page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.families import family_words

Wish = Literal["offline", "small", "fast", "accurate"]
Speed = Literal["fast", "medium", "slow", "very_slow"]

SMALL_MEGABYTES = 40
ACCURATE_SHARE = 0.80
# Multiplications for one photo. EfficientNet-Lite0, the fastest bundled backbone, has 385 million.
_SPEEDS: tuple[tuple[Speed, float], ...] = (("fast", 0.75e9), ("medium", 2e9), ("slow", 8e9))


def speed_of(backbone: Backbone) -> Speed:
    """Estimate the speed of a backbone from its multiplications, before any measurement on this machine."""
    return next((speed for speed, most in _SPEEDS if backbone.num_multiplications <= most), "very_slow")


def fits_wish(backbone: Backbone, wish: Wish) -> bool:
    """Return whether a backbone passes a filter.

    Args:
        backbone: The backbone.
        wish: `"offline"` for weights on this computer, `"small"` for at most 40 MB, `"fast"` for at most 0.75
            billion multiplications, `"accurate"` for at least 80 % on ImageNet.
    """
    return {
        "offline": lambda: backbone.weights.are_available,
        "small": lambda: backbone.megabytes <= SMALL_MEGABYTES,
        "fast": lambda: speed_of(backbone) == "fast",
        "accurate": lambda: (backbone.imagenet_accuracy or 0.0) >= ACCURATE_SHARE,
    }[wish]()


def find_backbones(backbones: Iterable[Backbone], text: str, wishes: Sequence[Wish]) -> list[Backbone]:
    """Return the backbones that match a search text and pass all filters, in the order given.

    Args:
        backbones: The candidates.
        text: Part of the title or the family; case, spaces and dashes do not matter.
        wishes: The filters.
    """
    wanted = _bare(text)
    return [
        backbone
        for backbone in backbones
        if wanted in _bare(f"{backbone.title} {family_words(backbone.family).title}")
        and all(fits_wish(backbone, wish) for wish in wishes)
    ]


def _bare(text: str) -> str:
    return re.sub(r"[\W_]", "", text).casefold()
