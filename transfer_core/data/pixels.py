"""Batches of pixels of stored images, decoded ahead on all cores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from transfer_core.data.images.decoding import decode_image
from transfer_core.data.images.image_path import UNKNOWN_RANGES, GreyRanges, to_pixels
from transfer_core.data.parallel import map_ahead
from transfer_core.errors import UnreadableImageError
from transfer_core.files import check_shortage
from transfer_core.language import _
from transfer_core.types import Pixels


def pixel_batches(
    paths: Sequence[Path],
    image_size: int,
    batch_size: int = 32,
    vary: Callable[[int, Pixels], Pixels] | None = None,
    ranges: GreyRanges = UNKNOWN_RANGES,
) -> Iterator[Pixels]:
    """Yield raw pixels in 0-255, `[batch, image_size, image_size, 3]`, in the order of the paths.

    Args:
        paths: Image files.
        image_size: Side of the square, in pixels.
        batch_size: Images in one batch; the last may be smaller.
        vary: Returns an augmented view of the image at a position; called on several threads.
        ranges: Black and white for files with more than 8 bits.

    Raises:
        UnreadableImageError: If a file is missing or damaged; the message names it.
    """

    def read(position: int) -> Pixels:
        pixels = read_pixels(paths[position], image_size, ranges)
        return vary(position, pixels) if vary else pixels

    pixels = map_ahead(read, range(len(paths)), num_ahead=2 * batch_size)
    while batch := list(islice(pixels, batch_size)):
        yield np.stack(batch)


def readable_batches(
    paths: Sequence[Path],
    image_size: int,
    batch_size: int = 32,
    vary: Callable[[int, Pixels], Pixels] | None = None,
    ranges: GreyRanges = UNKNOWN_RANGES,
) -> Iterator[tuple[list[int], Pixels]]:
    """Yield positions and pixels as `pixel_batches` does, but skip files that are missing or damaged.

    Args:
        paths: Image files.
        image_size: Side of the square, in pixels.
        batch_size: Files in one batch, read or skipped.
        vary: Returns an augmented view of the image at a position; called on several threads.
        ranges: Black and white for files with more than 8 bits.
    """

    def read(position: int) -> Pixels | None:
        try:
            pixels = read_pixels(paths[position], image_size, ranges)
        except UnreadableImageError:
            return None
        return vary(position, pixels) if vary else pixels

    pixels = enumerate(map_ahead(read, range(len(paths)), num_ahead=2 * batch_size))
    while batch := list(islice(pixels, batch_size)):
        found = {position: picture for position, picture in batch if picture is not None}
        if found:
            yield list(found), np.stack(list(found.values()))


def read_pixels(path: Path, image_size: int, ranges: GreyRanges = UNKNOWN_RANGES) -> Pixels:
    """Return raw pixels in 0-255 of one image file, `[image_size, image_size, 3]`.

    Raises:
        UnreadableImageError: If the file is missing or damaged; the message names it.
    """
    try:
        return to_pixels(decode_image(path.read_bytes(), ranges, path.name), image_size)
    except (OSError, UnreadableImageError) as error:
        check_shortage(error)
        raise UnreadableImageError(
            _("The photo {name} cannot be used: {reason}.").format(name=path.name, reason=error)
        ) from error
