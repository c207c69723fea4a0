"""Which images show the same: copies of one picture, frames of one recording, files of one original."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from transfer_core.data.records import ImageRecord

MAX_DISTANCE = 4
_BLOCK_ROWS = 512
_COPY_NAME = re.compile(
    r"_(?:jpe?g|png|webp|bmp)\.rf\.[0-9a-f]{6,}$"
    r"|[ _-]+(?:edited|edit|copy|copie|kopie|bearbeitet)(?:[ _-]?\d{1,2}| \(\d{1,2}\))?$",
    re.IGNORECASE,
)


def fingerprint(image: Image.Image) -> str:
    """Return what is left of a picture when size, brightness and compression are taken away.

    A difference hash (Krawetz, 2013): in a grid of 9 x 8 greys, is each one darker than its neighbour?

    Args:
        image: A decoded picture.

    Returns:
        64 bits, as 16 hexadecimal digits.
    """
    grey = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.LANCZOS))
    return np.packbits(grey[:, 1:] > grey[:, :-1]).tobytes().hex()


def similar_pairs(fingerprints: Sequence[str]) -> list[tuple[int, int]]:
    """Return the places of all pairs of near-duplicates, the smaller place first.

    Args:
        fingerprints: What `fingerprint` returned; an empty one is like no other.
    """
    places = np.array([place for place, text in enumerate(fingerprints) if text], dtype=np.intp)
    hashes = np.array([int(fingerprints[place], 16) for place in places], dtype=np.uint64)
    return [(int(places[i]), int(places[j])) for i, j in _close_pairs(hashes)]


def _close_pairs(hashes: np.ndarray[Any, np.dtype[np.uint64]]) -> Iterator[tuple[int, int]]:
    for start in range(0, len(hashes), _BLOCK_ROWS):
        block = hashes[start : start + _BLOCK_ROWS]
        distances = np.bitwise_count(block[:, None] ^ hashes[None, start:])
        for row, column in np.argwhere(distances <= MAX_DISTANCE):
            if row < column:
                yield start + int(row), start + int(column)


def groups_of(images: Sequence[ImageRecord]) -> list[str]:
    """Return the group of each image: what belongs to one group must stay on one side of the split.

    Together are near-duplicates, frames of one recording, and files of one original.

    Args:
        images: Any number of images.

    Returns:
        For each image the id of its group, which is the least id of its images; "" when it is alone.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pairs = [*similar_pairs([image.fingerprint for image in images]), *_same_source(images)]
    if not pairs:
        return [""] * len(images)
    rows, columns = np.array(pairs).T
    links = coo_array((np.ones(len(pairs), bool), (rows, columns)), shape=(len(images), len(images)))
    _count, labels = connected_components(links, directed=False)
    members: dict[int, list[str]] = defaultdict(list)
    for image, label in zip(images, labels, strict=True):
        members[label].append(image.id)
    return [min(members[label]) if len(members[label]) > 1 else "" for label in labels]


def original_name(name: str) -> str:
    """Return the name of the file from which one was made, as far as its own name says so.

    `beach-edited.jpg`, `beach - Copy.jpg` and `beach_jpg.rf.0a1b2c3d.jpg` were made from `beach`. A number in
    brackets says nothing: browsers and Windows number files that have nothing to do with each other.

    Args:
        name: The name of a file, without folders.
    """
    stem = re.sub(r"\.\w{2,5}$", "", name)
    while (shorter := _COPY_NAME.sub("", stem)) != stem:
        stem = shorter
    return stem.casefold()


def _same_source(images: Sequence[ImageRecord]) -> Iterator[tuple[int, int]]:
    """Yield neighbours among the frames of each recording and among the files of each original."""
    by_source: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for place, image in enumerate(images):
        if image.burst:
            by_source["burst", image.burst].append(place)
        by_source["file", image.class_name, original_name(image.name)].append(place)
    for places in by_source.values():
        yield from pairwise(places)
