"""Broken, oversized and disguised pictures: each gives one clear sentence and its kind, before it costs anything."""

from __future__ import annotations

import gzip
import io
import struct
import subprocess
import sys
import textwrap
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

from transfer_core.data.images.decoding import decode_image, read_image
from transfer_core.errors import InvalidConfigError, UnreadableImageError

# In the app these are left out when images.py is imported; pytest sets its own filters around each test.
pytestmark = pytest.mark.filterwarnings(r"ignore::UserWarning:PIL\.")

ROOT = Path(__file__).resolve().parents[4]
DAMAGED = ("the photo is cut off or damaged", "damaged")
NOT_A_PICTURE = ("it is not a photo, whatever its name says", "not_an_image")
WEB_PAGE = ("it is a web page, not a photo", "not_an_image")
DRAWING = ("it is an SVG drawing; save it as PNG or JPEG first", "other_format")
VIDEO = ("it is a video; use “From a video” to take photos from it", "other_format")
PDF = ("it is a PDF document; save its pages as PNG or JPEG first", "other_format")
ARCHIVE = ("it is an archive, not a photo; unpack it and add what is in it", "not_an_image")
NO_MEMORY = "there was not enough memory to read it; close other programs and add it again"
FORMATS = ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "HEIF", "AVIF", "PPM", "JPEG2000"]


def photo(size: tuple[int, int] = (160, 120)) -> Image.Image:
    pixels = np.random.default_rng(5).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def saved(image: Image.Image, image_format: str, **options: Any) -> bytes:
    if image_format == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow was built without AVIF")
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def why_refused(content: bytes) -> tuple[str, str]:
    with pytest.raises(UnreadableImageError) as caught:
        read_image(content)
    return str(caught.value), caught.value.kind


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    facts = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", facts) + chunk(b"IDAT", zlib.compress(b"\0" * 64))


def with_size(image_format: str, width: int, height: int) -> bytes:
    """Return a small picture whose header claims another size."""
    content = bytearray(saved(photo((64, 64)), image_format))
    if image_format == "JPEG":
        struct.pack_into(">HH", content, content.index(b"\xff\xc0") + 5, height, width)
    elif image_format == "GIF":
        struct.pack_into("<HH", content, 6, width, height)
    elif image_format == "BMP":
        struct.pack_into("<ii", content, 18, width, height)
    elif image_format == "WEBP":
        frame = content.index(b"\x9d\x01\x2a") + 3
        struct.pack_into("<HH", content, frame, width, height)
    else:
        struct.pack_into(">II", content, content.index(b"ispe") + 8, width, height)
    return bytes(content)


class TestTooLarge:
    @pytest.mark.parametrize(
        ("image_format", "side"),
        [
            ("PNG", 30_000),
            ("JPEG", 30_000),
            ("GIF", 30_000),
            ("BMP", 30_000),
            ("WEBP", 16_383),
            ("HEIF", 30_000),
            ("AVIF", 16_384),
            ("JPEG", 65_500),
            ("PNG", 2**31 - 1),
        ],
    )
    def test_it_is_refused_before_it_is_decoded(
        self, monkeypatch: pytest.MonkeyPatch, image_format: str, side: int
    ) -> None:
        content = png_header(side, side) if image_format == "PNG" else with_size(image_format, side, side)
        monkeypatch.setattr("PIL.ImageFile.ImageFile.load", pytest.fail)
        assert why_refused(content) == (
            f"it is too large ({side:,} × {side:,} pixels; up to 64 megapixels are read)",
            "too_large",
        )

    def test_one_that_is_cropped_to_a_small_size_is_refused_as_well(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        content = bytearray(saved(photo((16, 16)), "HEIF"))
        assert b"clap" in content
        struct.pack_into(">II", content, content.index(b"ispe") + 8, 30_000, 30_000)
        monkeypatch.setattr("PIL.ImageFile.ImageFile.load", pytest.fail)
        assert why_refused(bytes(content)) == (
            "it is too large (30,000 × 30,000 pixels; up to 64 megapixels are read)",
            "too_large",
        )

    @pytest.mark.parametrize("options", [{}, {"no_jp2": True}])
    def test_a_jpeg_2000_whose_code_is_larger_than_its_header_says_is_refused(
        self, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
    ) -> None:
        content = bytearray(saved(photo((16, 16)), "JPEG2000", **options))
        struct.pack_into(">II", content, content.index(b"\xff\x4f\xff\x51") + 8, 30_000, 30_000)
        monkeypatch.setattr("PIL.ImageFile.ImageFile.load", pytest.fail)
        assert why_refused(bytes(content)) == (
            "it is too large (30,000 × 30,000 pixels; up to 64 megapixels are read)",
            "too_large",
        )

    @pytest.mark.parametrize("header", [b"P1 %d %d\n", b"P3 %d %d 255\n", b"P4 %d %d\n", b"P6 %d %d 4095\n"])
    def test_a_portable_map_is_refused_before_it_is_decoded(
        self, monkeypatch: pytest.MonkeyPatch, header: bytes
    ) -> None:
        monkeypatch.setattr("PIL.ImageFile.ImageFile.load", pytest.fail)
        assert why_refused(header % (30_000, 30_000) + bytes(99))[1] == "too_large"

    def test_a_false_size_does_not_get_more_memory(self) -> None:
        content = bytearray(saved(Image.new("RGB", (640, 480)), "HEIF"))
        struct.pack_into(">II", content, content.index(b"ispe") + 8, 64, 64)
        assert why_refused(bytes(content)) == DAMAGED

    def test_the_limit_is_a_setting(self, monkeypatch: pytest.MonkeyPatch) -> None:
        content = saved(Image.new("RGB", (1001, 1000)), "PNG")
        assert decode_image(content).size == (1001, 1000)
        monkeypatch.setenv("TRANSFER_STUDIO_MAX_MEGAPIXELS", "1")
        assert why_refused(content) == (
            "it is too large (1,001 × 1,000 pixels; up to 1 megapixels are read)",
            "too_large",
        )

    def test_a_setting_that_is_no_number_is_reported(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TRANSFER_STUDIO_MAX_MEGAPIXELS", "many")
        with pytest.raises(InvalidConfigError) as caught:
            decode_image(saved(photo(), "PNG"))
        assert str(caught.value) == (
            "The setting TRANSFER_STUDIO_MAX_MEGAPIXELS is “many”. Expected was a whole number from 1 to 1,000,000,000."
        )


SLOW = ("it is made so that decoding it takes very long", "unsafe")


@pytest.mark.parametrize("header", [b"P1 %d %d\n", b"P2 %d %d 255\n", b"P3 %d %d 255\n"])
def test_a_large_portable_map_of_text_is_not_read(monkeypatch: pytest.MonkeyPatch, header: bytes) -> None:
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", pytest.fail)
    assert why_refused(header % (4000, 4000) + b"0 " * 99) == SLOW


@pytest.mark.parametrize("is_in_tile", [False, True])
def test_a_jpeg_2000_of_very_many_layers_is_not_read(
    monkeypatch: pytest.MonkeyPatch, is_in_tile: bool
) -> None:
    content = bytearray(saved(photo(), "JPEG2000", no_jp2=True))
    start = content.index(b"\xff\x52")
    (length,) = struct.unpack_from(">H", content, start + 2)
    style = content[start : start + 2 + length]
    struct.pack_into(">H", style, 6, 60_000)
    if is_in_tile:
        place = content.index(b"\xff\x93")
        content[place:place] = style
    else:
        content[start : start + len(style)] = style
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", pytest.fail)
    assert why_refused(bytes(content)) == SLOW


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 7)])
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "BMP"])
def test_a_tiny_picture(image_format: str, size: tuple[int, int]) -> None:
    assert why_refused(saved(Image.new("RGB", size), image_format)) == (
        f"it is too small ({size[0]:,} × {size[1]:,} pixels; each side needs 8)",
        "too_small",
    )


@pytest.mark.parametrize("tenth", range(1, 10))
@pytest.mark.parametrize("image_format", FORMATS)
def test_cut_off_at_every_tenth(image_format: str, tenth: int) -> None:
    content = saved(photo(), image_format)
    assert why_refused(content[: len(content) * tenth // 10]) == DAMAGED


@pytest.mark.parametrize("tenth", range(1, 10))
@pytest.mark.parametrize("progressive", [False, True])
def test_a_phone_photo_cut_off_at_every_tenth_although_it_is_decoded_at_a_quarter(
    tenth: int, progressive: bool
) -> None:
    content = saved(photo((3200, 240)), "JPEG", progressive=progressive)
    assert why_refused(content[: len(content) * tenth // 10]) == DAMAGED


DISGUISES = [
    (b"", ("the file is empty (0 bytes)", "damaged")),
    (b"\0", NOT_A_PICTURE),
    (b"Dear diary", NOT_A_PICTURE),
    (b"%PDF-1.7\n", PDF),
    (b"MZ" + bytes(99), NOT_A_PICTURE),
    (b"\0" * 4096, NOT_A_PICTURE),
    (b"\0\0\0\x1cftypisom\0\0\0\0", VIDEO),
    (b"<!DOCTYPE html><p>x", WEB_PAGE),
    (b"\xef\xbb\xbf <HTML>", WEB_PAGE),
    (b"<svg xmlns='http://www.w3.org/2000/svg'/>", DRAWING),
    (b"<?xml version='1.0'?><!DOCTYPE svg [<!ENTITY a 'b'>]><svg/>", DRAWING),
    (b"PK\3\4" + bytes(99), ARCHIVE),
    (b"Rar!\x1a\7", ARCHIVE),
    (gzip.compress(b"picture", mtime=0), ARCHIVE),
    (b"BZh91AY", ARCHIVE),
    (b"\xff\xd8\xff\xe0", DAMAGED),
    (b"\x89PNG\r\n\x1a\n", DAMAGED),
    (b"\0\0\0\x18ftypheic\0\0\0\0", DAMAGED),
    (b"GIF89a<script>alert(1)</script>", DAMAGED),
]


@pytest.mark.parametrize(
    ("content", "refusal"), DISGUISES, ids=[repr(content[:12]) for content, _refusal in DISGUISES]
)
def test_what_is_no_picture(content: bytes, refusal: tuple[str, str]) -> None:
    assert why_refused(content) == refusal


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "GIF", "WEBP"])
@pytest.mark.parametrize(
    "hidden", [b"<script>hidden</script>", b"PK\3\4hidden", b"<?php hidden ?>"], ids=["html", "zip", "php"]
)
def test_what_is_hidden_behind_a_picture_is_not_stored(image_format: str, hidden: bytes) -> None:
    assert b"hidden" not in read_image(saved(photo(), image_format) + hidden).to_jpeg()


@pytest.mark.parametrize("marker", [0xFE, 0xE1, 0xEC], ids=["comment", "app1", "app12"])
def test_what_is_hidden_inside_a_jpeg_is_not_stored(marker: int) -> None:
    content = saved(photo(), "JPEG")
    hidden = b"<html><script>hidden</script>"
    segment = bytes([0xFF, marker]) + struct.pack(">H", len(hidden) + 2) + hidden
    decoded = read_image(content[:2] + segment + content[2:])
    assert b"hidden" not in decoded.to_jpeg()
    assert decoded.to_jpeg() == read_image(content).to_jpeg()


class TestNotEnoughMemory:
    def test_a_decoder_that_gets_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(_image: object) -> None:
            raise MemoryError

        monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", fail)
        assert why_refused(saved(photo(), "PNG")) == (NO_MEMORY, "unreadable")

    def test_a_machine_that_has_none(self) -> None:
        pytest.importorskip("resource", reason="needs limits as Linux and macOS have them")
        if sys.platform != "linux":
            pytest.skip("only Linux holds a process to a limit on memory")
        script = """
            import io, resource
            from PIL import Image
            from transfer_core.data.images.decoding import decode_image
            from transfer_core.errors import UnreadableImageError
            buffer = io.BytesIO()
            Image.new("RGB", (8000, 8000)).save(buffer, "PNG", compress_level=1)
            taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (taken + 100_000_000,) * 2)
            try:
                decode_image(buffer.getvalue())
            except UnreadableImageError as error:
                print(error)
        """
        finished = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert (finished.stdout, finished.stderr) == (NO_MEMORY + "\n", "")


def test_a_picture_is_refused_quickly_whatever_its_length(make_image: Callable[..., bytes]) -> None:
    content = make_image(image_format="PNG")
    assert why_refused(content[:-20] + bytes(5_000_000)) == DAMAGED
