"""A JPEG loses everything but its pixels; an unusual one has to be encoded again."""

import io
import struct

import pytest
from PIL import Image

from transfer_core.data.images.jpeg import jpeg_without_metadata


@pytest.fixture(scope="module")
def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((70, 50), 90).convert("RGB").save(buffer, "JPEG", restart_marker_blocks=3)
    return buffer.getvalue()


def pixels(content: bytes) -> bytes:
    with Image.open(io.BytesIO(content)) as opened:
        return opened.convert("RGB").tobytes()


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


@pytest.mark.parametrize("marker", [*range(0xE1, 0xF0), 0xFE], ids=hex)
def test_metadata_is_removed(jpeg: bytes, marker: int) -> None:
    stripped = jpeg_without_metadata(jpeg[:2] + segment(marker, b"Secret" * 9) + jpeg[2:])
    assert stripped == jpeg_without_metadata(jpeg)
    assert stripped is not None
    assert pixels(stripped) == pixels(jpeg)


def test_a_preview_in_the_header_is_removed(jpeg: bytes) -> None:
    start = jpeg.index(b"JFIF") - 4
    header = segment(0xE0, b"JFIF\0\1\2\0\0\1\0\1\2\2" + b"Secret preview"[:12])
    stripped = jpeg_without_metadata(jpeg[:start] + header + jpeg[start + 18 :])
    assert stripped == jpeg_without_metadata(jpeg)


def test_how_colors_are_coded_is_kept() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(buffer, "JPEG", keep_rgb=True, quality=95)
    content = buffer.getvalue()
    assert b"Adobe" in content
    stripped = jpeg_without_metadata(content)
    assert stripped is not None
    assert pixels(stripped) == pixels(content)


def test_filling_before_a_marker_is_passed_over(jpeg: bytes) -> None:
    assert jpeg_without_metadata(jpeg[:2] + b"\xff\xff\xff" + jpeg[2:]) == jpeg_without_metadata(jpeg)


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xd8", b"no picture", b"\xff\xd8hello", b"\xff\xd8\xff\xda\0\x08", b"\xff\xd8\xff\xe0\xff"],
)
def test_what_is_put_together_in_an_unusual_way_is_left_alone(content: bytes) -> None:
    assert jpeg_without_metadata(content) is None


@pytest.mark.parametrize("tenth", range(10))
def test_one_that_is_cut_off_is_left_alone(jpeg: bytes, tenth: int) -> None:
    assert jpeg_without_metadata(jpeg[: len(jpeg) * tenth // 10]) is None
