"""Small copies of photos."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from tests.conftest import MakeImage
from transfer_core.data.images.thumbnails import stored_thumbnail, thumbnail


def test_a_thumbnail_fits_into_its_square_and_keeps_its_shape() -> None:
    with Image.open(io.BytesIO(thumbnail(Image.new("RGB", (400, 200), "red"), 64))) as small:
        assert (small.format, small.size) == ("JPEG", (64, 32))


def test_a_stored_image_that_is_missing_or_damaged_has_no_thumbnail(
    tmp_path: Path, make_image: MakeImage
) -> None:
    path = tmp_path / "photo.jpg"
    assert stored_thumbnail(path, 64) == b""
    path.write_bytes(make_image("red", size=(300, 100), image_format="JPEG"))
    with Image.open(io.BytesIO(stored_thumbnail(path, 64))) as small:
        assert max(small.size) == 64
    path.write_bytes(path.read_bytes()[:200])
    assert stored_thumbnail(path, 64) == b""
