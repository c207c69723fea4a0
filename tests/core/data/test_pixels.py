"""Batches of raw pixels, in the order of the files."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from transfer_core.data.images.decoding import decode_image
from transfer_core.data.images.image_path import to_pixels
from transfer_core.data.pixels import pixel_batches, readable_batches
from transfer_core.errors import UnreadableImageError, WorkspaceError


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


def test_readable_batches_pass_over_what_is_damaged_or_missing(
    paths: list[Path], make_image: Callable[..., bytes]
) -> None:
    whole = np.concatenate(list(pixel_batches(paths, image_size=24)))
    paths[2].write_bytes(make_image()[:100])
    for place in (3, 4, 5):
        paths[place].unlink()
    batches = list(readable_batches(paths, image_size=24, batch_size=3))
    assert [positions for positions, _pixels in batches] == [[0, 1], [6]]
    np.testing.assert_array_equal(np.concatenate([pixels for _, pixels in batches]), whole[[0, 1, 6]])


@pytest.mark.parametrize("batches", [pixel_batches, readable_batches])
def test_without_a_descriptor_left_no_photo_is_called_damaged(
    batches: Callable[..., Any], paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path) -> NoReturn:
        raise OSError(errno.EMFILE, "Too many open files", str(path))

    monkeypatch.setattr(Path, "read_bytes", refused)
    with pytest.raises(WorkspaceError, match="Too many open files"):
        list(batches(paths, image_size=24))


def test_no_files_give_no_batches() -> None:
    assert list(pixel_batches([], image_size=24)) == []


def test_a_damaged_file_is_reported(paths: list[Path], make_image: Callable[..., bytes]) -> None:
    paths[2].write_bytes(make_image()[:100])
    with pytest.raises(UnreadableImageError, match="cut off or damaged"):
        list(pixel_batches(paths, image_size=24, batch_size=3))
