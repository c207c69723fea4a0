"""Image files come back as batches of raw pixels, in order."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from transfer_core.data.batches import pixel_batches
from transfer_core.data.image_path import to_pixels
from transfer_core.data.images import decode_image
from transfer_core.errors import UnreadableImageError


@pytest.fixture
def paths(image_folder: Path) -> list[Path]:
    """Seven pictures, not in the order of their names."""
    return sorted(image_folder.rglob("*.jpg"), key=lambda path: path.name[::-1])[:7]


def test_batches_are_raw_pixels_in_the_order_of_the_files(paths: list[Path]) -> None:
    batches = list(pixel_batches(paths, image_size=24, batch_size=3))
    assert [batch.shape for batch in batches] == [(3, 24, 24, 3), (3, 24, 24, 3), (1, 24, 24, 3)]
    assert {batch.dtype for batch in batches} == {np.dtype(np.uint8)}
    expected = [to_pixels(decode_image(path.read_bytes()), 24) for path in paths]
    assert np.array_equal(np.concatenate(batches), expected)


def test_no_files_give_no_batches() -> None:
    assert list(pixel_batches([], image_size=24)) == []


def test_a_damaged_file_is_told(paths: list[Path], make_image: Callable[..., bytes]) -> None:
    paths[2].write_bytes(make_image()[:100])
    with pytest.raises(UnreadableImageError, match="cut off or damaged"):
        list(pixel_batches(paths, image_size=24, batch_size=3))
