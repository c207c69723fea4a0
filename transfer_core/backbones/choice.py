"""Which backbones fit what a person asks for: the filters and the search of the Model page."""

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
# Multiplications for one photo; EfficientNet-Lite0, the quickest that comes with the app, has 385 million.
_SPEEDS: tuple[tuple[Speed, float], ...] = (("fast", 0.75e9), ("medium", 2e9), ("slow", 8e9))


def speed_of(backbone: Backbone) -> Speed:
    """Say how quick a network is for its computations, before anything was measured on this machine."""
    return next((speed for speed, most in _SPEEDS if backbone.num_multiplications <= most), "very_slow")


def fits_wish(backbone: Backbone, wish: Wish) -> bool:
    """Say whether a network has what a person asks for.

    Args:
        backbone: The network.
        wish: `"offline"` for weights on this computer, `"small"` for at most 40 MB, `"fast"` for few computations,
            `"accurate"` for at least 80 % on ImageNet.
    """
    return {
        "offline": lambda: backbone.weights.are_available,
        "small": lambda: backbone.megabytes <= SMALL_MEGABYTES,
        "fast": lambda: speed_of(backbone) == "fast",
        "accurate": lambda: (backbone.imagenet_accuracy or 0.0) >= ACCURATE_SHARE,
    }[wish]()


def find_backbones(backbones: Iterable[Backbone], text: str, wishes: Sequence[Wish]) -> list[Backbone]:
    """Return those that have everything a person asks for, in the order given.

    Args:
        backbones: To choose from.
        text: Letters of the name or the family; capitals, spaces and dashes do not matter.
        wishes: All must be met.
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
