"""Find images that belong together: near-duplicates, frames of one recording, files of one original, series.

The thresholds, and what they find and do not find, are measured in docs/photo-check.md.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

import imagehash
import numpy as np
from PIL import Image

from transfer_core.data.records import ImageRecord
from transfer_core.types import Array

# Near-duplicates differ in at most so many of the 64 bits that describe the coarse shapes ...
MAX_COARSE_DISTANCE = 8
# ... and are within one of two pairs of limits: so many of all 256 bits, and the distance of their colors, cell by
# cell (1 - cosine). Where nearly all bits are the same, a change of brightness may have moved the colors; where nearly
# all colors are the same, a shift of the frame may have turned bits.
FINE_AND_COLOR_LIMITS = ((24, 0.1), (56, 0.012))
# On a picture with less contrast than this (standard deviation of 0-255) there is nothing to compare.
_MIN_CONTRAST = 2.0
_LEVELS = np.arange(256, dtype=np.float64)
_SIDE = 64
_COLOR_SIDE = 8
_COLOR_WEIGHT = 2.0
_HASH_BYTES = 32
_PAIRS_AT_ONCE = 65_536
_DISTANCES_AT_ONCE = 4_000_000
_ENDING = re.compile(r"\.\w{2,5}$")
_MADE_FROM = re.compile(
    r"_(?:jpe?g|png|webp|bmp|heic)\.rf(?:\..*)?$"
    r"|[ _-]+(?:edited|edit|copy|copie|kopie|copia|bearbeitet)(?:[ _-]?\d{1,2}| \(\d{1,2}\))?$",
    re.IGNORECASE,
)


def fingerprint(image: Image.Image) -> str:
    """Return a perceptual hash, which compressing, resizing and brightening an image hardly change.

    The bits of a perceptual hash (the signs of the lowest 16 x 16 frequencies; Zauner, 2010) with those of the
    coarse 8 x 8 first, then 8 x 8 greys and 4 x 4 tints.

    Args:
        image: A decoded image.

    Returns:
        128 bytes as 256 hexadecimal digits; empty for an image of one colour, which is similar to no other.
    """
    small = image.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    if max(deviation for _mean, deviation in channel_statistics(small)) < _MIN_CONTRAST:
        return ""
    bits = imagehash.phash(small, hash_size=16).hash
    coarse_first = np.concatenate([bits[:8, :8].ravel(), bits[:8, 8:].ravel(), bits[8:].ravel()])
    cells = np.asarray(small.convert("YCbCr").resize((_COLOR_SIDE, _COLOR_SIDE), Image.Resampling.BOX))
    tints = cells[..., 1:].reshape(_COLOR_SIDE // 2, 2, _COLOR_SIDE // 2, 2, 2).mean(axis=(1, 3))
    colors = np.concatenate([cells[..., 0].ravel(), tints.round().ravel()]).astype(np.uint8)
    return (np.packbits(coarse_first).tobytes() + colors.tobytes()).hex()


def channel_statistics(image: Image.Image) -> list[tuple[float, float]]:
    """Return mean and standard deviation of each channel, 0-255.

    They come from the histogram, which Pillow counts ten times as fast as NumPy reduces the pixels.
    """
    counts = np.array(image.histogram(), dtype=np.float64).reshape(-1, 256)
    shares = counts / counts.sum(axis=1, keepdims=True)
    means = shares @ _LEVELS
    variances = shares @ _LEVELS**2 - means**2
    return list(zip(means.tolist(), np.sqrt(variances.clip(0)).tolist(), strict=True))


def similar_pairs(fingerprints: Sequence[str]) -> list[tuple[int, int]]:
    """Return pairs of near-duplicates, enough to link each group.

    Two images are in one group if a chain of pairs links them. Not every pair of a group is listed, so that memory
    stays bounded when thousands are alike.

    Args:
        fingerprints: From `fingerprint`; an empty one is similar to no other.

    Returns:
        Places in the sequence.
    """
    alike: dict[str, list[int]] = defaultdict(list)
    for place, text in enumerate(fingerprints):
        if text:
            alike[text].append(place)
    pairs = [pair for places in alike.values() for pair in pairwise(places)]
    first = [places[0] for places in alike.values()]
    return pairs + [(first[row], first[column]) for row, column in _links(list(alike))]


@lru_cache(maxsize=4)
def are_alike(fingerprints: tuple[str, ...], others: tuple[str, ...]) -> tuple[bool, ...]:
    """Return for each image whether it is a near-duplicate of any of some others.

    A chain of near-duplicates counts, as in a group of images. Pages call it with the same images again and again, so
    the latest results are cached.

    Args:
        fingerprints: From `fingerprint`, one for each image; an empty one is similar to no other.
        others: Fingerprints of the others.
    """
    labels = _labels(len(others) + len(fingerprints), similar_pairs([*others, *fingerprints])).tolist()
    known = set(labels[: len(others)])
    return tuple(label in known for label in labels[len(others) :])


def groups_of(images: Sequence[ImageRecord], *, least_of_class: int | None = None) -> list[str]:
    """Return the group of each image: all images of a group must stay on one side of the split.

    A group holds near-duplicates, frames of one recording, and files of one original; on request also series.

    Args:
        images: Any number of images.
        least_of_class: Series are kept whole as well, but for those of a class that would have fewer groups than this.
            Without it series are ignored.

    Returns:
        For each image the id of its group, which is the least id of its images; "" when it is alone.
    """
    pairs = [*similar_pairs([image.fingerprint for image in images]), *_same_source(images)]
    if least_of_class is not None:
        pairs += _series_to_keep(images, pairs, least_of_class)
    groups = [""] * len(images)
    for places in linked(len(images), pairs):
        name = min(images[place].id for place in places)
        for place in places:
            groups[place] = name
    return groups


def near_duplicates(images: Iterable[ImageRecord]) -> list[list[ImageRecord]]:
    """Return the groups of images that look nearly the same, the largest image of each first.

    Args:
        images: With their `group`: an image without one has no near-duplicates.
    """
    grouped = [image for image in images if image.group]
    found = _alike(tuple(image.fingerprint for image in grouped))
    return [
        sorted((grouped[place] for place in places), key=lambda image: -image.width * image.height)
        for places in found
    ]


def linked(count: int, pairs: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Return the groups of two and more places that pairs link.

    Args:
        count: Number of places.
        pairs: Each links two of them.
    """
    by_label: dict[int, list[int]] = defaultdict(list)
    for place, label in enumerate(_labels(count, pairs).tolist()):
        by_label[label].append(place)
    return [places for places in by_label.values() if len(places) > 1]


def original_name(name: str) -> str:
    """Return the name of the file from which one was made, as far as its own name says so.

    `beach-edited.jpg`, `beach - Copy.jpg` and `beach_jpg.rf.0a1b2c3d.jpg` were made from `beach`. A number in
    brackets says nothing: browsers and Windows number files that have nothing to do with each other.

    Args:
        name: The name of a file, without folders.
    """
    # First without its ending: a long name that was cut has none.
    stem = _MADE_FROM.sub("", _ENDING.sub("", name))
    while (shorter := _MADE_FROM.sub("", stem)) != stem:
        stem = shorter
    return stem.casefold()


def _same_source(images: Sequence[ImageRecord]) -> Iterator[tuple[int, int]]:
    """Yield neighbours among the frames of each recording and among the files of each original."""
    by_burst: dict[str, list[int]] = defaultdict(list)
    by_original: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, image in enumerate(images):
        if image.burst:
            by_burst[image.burst].append(place)
        by_original[image.class_name, original_name(image.name)].append(place)
    for places in by_burst.values():
        yield from pairwise(places)
    for (_class_name, original), places in by_original.items():
        # Two files with the very same name come from two folders and say nothing about each other.
        if any(_ENDING.sub("", images[place].name).casefold() != original for place in places):
            yield from pairwise(places)


def _series_to_keep(
    images: Sequence[ImageRecord], pairs: Sequence[tuple[int, int]], least_of_class: int
) -> list[tuple[int, int]]:
    """Return neighbours within each series, without those of classes that would have too few groups."""
    by_series: dict[str, list[int]] = defaultdict(list)
    for place, image in enumerate(images):
        if image.series:
            by_series[image.series].append(place)
    links = [pair for places in by_series.values() for pair in pairwise(places)]
    groups: dict[str, set[int]] = defaultdict(set)
    for image, label in zip(images, _labels(len(images), [*pairs, *links]).tolist(), strict=True):
        groups[image.class_name].add(label)
    return [
        link
        for link in links
        if all(len(groups[images[place].class_name]) >= least_of_class for place in link)
    ]


# A page calls it with the same images again and again.
@lru_cache(maxsize=4)
def _alike(fingerprints: tuple[str, ...]) -> list[list[int]]:
    return linked(len(fingerprints), similar_pairs(fingerprints))


def _labels(count: int, pairs: Sequence[tuple[int, int]]) -> Array:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows, columns = np.array(pairs, dtype=np.intp).reshape(-1, 2).T
    links = coo_array((np.ones(len(pairs), dtype=bool), (rows, columns)), shape=(count, count))
    labels: Array = connected_components(links, directed=False)[1]
    return labels


def _links(fingerprints: Sequence[str]) -> list[tuple[int, int]]:
    """Compare all pairs but those that are linked already: then thousands of similar images cost little."""
    count = len(fingerprints)
    if not count:
        return []
    content = np.frombuffer(bytes.fromhex("".join(fingerprints)), dtype=np.uint8).reshape(count, -1)
    bits = np.ascontiguousarray(content[:, :_HASH_BYTES]).view(np.uint64)
    colors = _color_directions(content[:, _HASH_BYTES:])
    links: list[tuple[int, int]] = []
    labels = np.arange(count)
    for candidates in _candidates(np.ascontiguousarray(bits[:, 0])):
        rows, columns = candidates[labels[candidates[:, 0]] != labels[candidates[:, 1]]].T
        color_distances = 1 - np.einsum("ij,ij->i", colors[rows], colors[columns])
        fine_distances = np.bitwise_count(bits[rows] ^ bits[columns]).sum(axis=1)
        is_similar = np.zeros(len(rows), dtype=bool)
        for max_fine, max_color in FINE_AND_COLOR_LIMITS:
            is_similar |= (fine_distances <= max_fine) & (color_distances <= max_color)
        if is_similar.any():
            links += zip(rows[is_similar].tolist(), columns[is_similar].tolist(), strict=True)
            labels = _labels(count, links)
    return links


def _candidates(coarse: Array) -> Iterator[Array]:
    """Yield pairs whose coarse bits are alike, `[pairs, 2]`, a bounded number at a time."""
    num_rows = max(_DISTANCES_AT_ONCE // max(len(coarse), 1), 1)
    for start in range(0, len(coarse), num_rows):
        distances = np.bitwise_count(coarse[start : start + num_rows, None] ^ coarse[None, start:])
        is_near = np.triu(distances <= MAX_COARSE_DISTANCE, k=1)
        pairs = np.argwhere(is_near) + start
        for first in range(0, len(pairs), _PAIRS_AT_ONCE):
            yield pairs[first : first + _PAIRS_AT_ONCE]


def _color_directions(colors: Array) -> Array:
    """Turn greys and tints, `[images, 96]`, into vectors of length 1 that brightness and contrast leave alone."""
    num_greys = _COLOR_SIDE**2
    greys = colors[:, :num_greys].astype(np.float32)
    tints = colors[:, num_greys:].astype(np.float32) - 128
    vectors = np.concatenate([greys - greys.mean(axis=1, keepdims=True), _COLOR_WEIGHT * tints], axis=1)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    directions: Array = vectors / np.maximum(lengths, 1e-6)
    return directions
