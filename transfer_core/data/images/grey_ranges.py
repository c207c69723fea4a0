"""Choose black and white for the photos of a dataset with more than 8 bits, and say how many were stretched.

One range holds for all of them, so that a dark photo among bright ones stays dark, and the models of the dataset use
the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec.structs import replace

from transfer_core.data.images.image_path import GreyRanges, NumberKind, ValueExtent, white_of
from transfer_core.data.records import Notice

Brightness = Literal["stretch", "keep"]
KINDS: tuple[NumberKind, ...] = ("integers", "floats")
# White in files that are shown as they are by common programs.
_USUAL_WHITES: dict[NumberKind, tuple[float, ...]] = {"integers": (65535,), "floats": (1, 255, 65535)}
# Photos that use less of the range from black to white have hardly any contrast.
_MIN_SHARE = 0.25
# Beyond the range by so much of it, a photo visibly loses its brightest or darkest parts.
_MAX_BEYOND = 0.02


def chosen_ranges(known: GreyRanges, extents: Sequence[ValueExtent], brightness: Brightness) -> GreyRanges:
    """Return black and white for all photos of a dataset.

    Args:
        known: Ranges that were chosen before; they are kept.
        extents: Of the values of the photos with more than 8 bits.
        brightness: `"stretch"` lets their values reach from black to white, `"keep"` shows them as common programs do.
    """
    choose = _stretched if brightness == "stretch" else _kept
    ranges = {}
    for kind in KINDS:
        of_kind = [extent for extent in extents if extent.kind == kind]
        ranges[kind] = known.of(kind) or (choose(kind, of_kind) if of_kind else None)
    return GreyRanges(**ranges)


def joined_ranges(known: GreyRanges, others: GreyRanges) -> GreyRanges:
    """Return the ranges of a dataset that takes over photos, with those of the photos where it has none."""
    return GreyRanges(known.integers or others.integers, known.floats or others.floats)


def brightness_notices(ranges: GreyRanges, extents: Iterable[ValueExtent]) -> list[Notice]:
    """Return what a person should know about photos with more than 8 bits that were added.

    Args:
        ranges: Black and white of their dataset.
        extents: Of their values.
    """
    counts: Counter[tuple[str, NumberKind]] = Counter()
    for extent in extents:
        low, high = ranges.of(extent.kind) or (0, 0)
        beyond = _MAX_BEYOND * (high - low)
        counts["stretched", extent.kind] += low != 0 or high not in _USUAL_WHITES[extent.kind]
        counts["too_bright_or_dark", extent.kind] += extent.low < low - beyond or extent.high > high + beyond
    notices = []
    for (name, kind), count in counts.items():
        limits = tuple(f"{limit:,.5g}" if limit % 1 else f"{limit:,.0f}" for limit in ranges.of(kind) or ())
        if count and name == "stretched":
            notices.append(Notice("stretched", names=limits, count=count))
        elif count:
            notices.append(Notice("too_bright_or_dark", names=limits, count=count))
    return notices


def with_counts(notices: Iterable[Notice], added: Iterable[Notice]) -> tuple[Notice, ...]:
    """Return notices with others added; of those that differ only in their count, one has the sum."""
    counts: dict[Notice, int] = {}
    for notice in (*notices, *added):
        alike = replace(notice, count=0)
        counts[alike] = counts.get(alike, 0) + notice.count
    return tuple(replace(notice, count=count) for notice, count in counts.items())


def _stretched(kind: NumberKind, extents: Sequence[ValueExtent]) -> tuple[float, float]:
    low, high = min(extent.low for extent in extents), max(extent.high for extent in extents)
    white = white_of(kind, high)
    if high <= low:
        return 0, white or _USUAL_WHITES[kind][-1]
    if low >= 0 and white is not None and high - low >= _MIN_SHARE * white:
        return 0, white
    return low, high


def _kept(kind: NumberKind, extents: Sequence[ValueExtent]) -> tuple[float, float]:
    high = max(extent.high for extent in extents)
    whites = _USUAL_WHITES[kind]
    return 0, next((white for white in whites if high <= white), whites[-1])
