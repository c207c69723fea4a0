"""Images of a dataset as pixels, decoded ahead on all cores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from transfer_core.data.images import decode_image, to_pixels
from transfer_core.data.parallel import map_ahead


def pixel_batches(
    paths: Sequence[Path], image_size: int, batch_size: int = 32
) -> Iterator[np.ndarray[Any, np.dtype[np.uint8]]]:
    """Yield raw pixels in 0-255, `[batch, image_size, image_size, 3]`, in the order of the paths.

    Args:
        paths: Image files.
        image_size: Side of the square, in pixels.
        batch_size: Images in one batch; the last may be smaller.

    Raises:
        UnreadableImageError: If a file is damaged.
    """

    def read(path: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
        return to_pixels(decode_image(path.read_bytes()), image_size)

    pixels = map_ahead(read, paths, num_ahead=2 * batch_size)
    while batch := list(islice(pixels, batch_size)):
        yield np.stack(batch)
