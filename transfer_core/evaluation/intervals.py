"""How far a share that was counted on a few photos is likely off."""

from __future__ import annotations

_Z_95_PERCENT = 1.96


def wilson_interval(share: float, num_images: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a share (Wilson, 1927).

    Args:
        share: What was counted, 0-1.
        num_images: On how many photos, 1 or more.
    """
    from scipy.stats import binomtest

    interval = binomtest(round(share * num_images), num_images).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def wilson_standard_error(share: float, num_images: int) -> float:
    """Return a standard error that stays above 0 where every photo was told rightly: the interval's half by 1.96.

    Args:
        share: What was counted, 0-1.
        num_images: On how many photos, 1 or more.
    """
    lowest, highest = wilson_interval(share, num_images)
    return (highest - lowest) / 2 / _Z_95_PERCENT
