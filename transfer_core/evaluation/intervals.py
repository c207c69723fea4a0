"""Confidence intervals of a proportion that was measured on a few photos."""

from __future__ import annotations

import math
from collections.abc import Sequence

_Z_95_PERCENT = 1.959964
_SIGNIFICANCE = 0.05


def wilson_interval(share: float, num_images: float) -> tuple[float, float]:
    """Return the 95 % confidence interval of a share (Wilson, 1927).

    Args:
        share: The measured proportion, 0-1.
        num_images: It was measured on, above 0; a fraction where images count less than one each.
    """
    # SciPy's takes whole numbers alone.
    squared = _Z_95_PERCENT**2 / num_images
    middle = (share + squared / 2) / (1 + squared)
    half = math.sqrt(squared * share * (1 - share) + squared**2 / 4) / (1 + squared)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def cross_validated_interval(share: float, num_groups: int) -> tuple[float, float]:
    """Return the 95 % interval of a share that was measured by cross-validation, on other photos of the same kind.

    Each image counts a third, as in the prediction interval for a second set of half the size: the folds share training
    images, so their errors go together (Nadeau and Bengio, 2003, "Inference for the Generalization Error").
    docs/results.md has the measured coverage. Both ends are rounded outwards to whole percents, as they are shown: few
    new photos may well all be right.

    Args:
        share: The measured proportion, 0-1.
        num_groups: Number of images, with those of one group counted once.
    """
    lowest, highest = wilson_interval(share, num_groups / 3)
    return math.floor(100 * lowest) / 100, math.ceil(100 * highest) / 100


def wilson_standard_error(share: float, num_images: int) -> float:
    """Return half the Wilson interval by 1.96: a standard error that is above 0 even at 100 % accuracy.

    Args:
        share: The measured proportion, 0-1.
        num_images: It was measured on, 1 or more.
    """
    lowest, highest = wilson_interval(share, num_images)
    return (highest - lowest) / 2 / _Z_95_PERCENT


def differ_beyond_chance(num_right: Sequence[int], num_images: Sequence[int]) -> bool:
    """Return whether two shares differ at the level of 5 % (Fisher's exact test, Fisher, 1922).

    Args:
        num_right: Right answers on each of two sets of images.
        num_images: Size of each set.
    """
    from scipy.stats import fisher_exact

    table = [[right, count - right] for right, count in zip(num_right, num_images, strict=True)]
    return float(fisher_exact(table).pvalue) < _SIGNIFICANCE
