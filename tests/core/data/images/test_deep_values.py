"""Files with more than 8 bits a value: one range of black and white for all of a dataset, never silently black."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from transfer_core.data.images.decoding import DecodedImage, decode_image, read_image
from transfer_core.data.images.grey_ranges import brightness_notices, chosen_ranges, with_counts
from transfer_core.data.images.image_path import UNKNOWN_RANGES, GreyRanges, ValueExtent
from transfer_core.data.records import Notice

Values = np.ndarray[Any, Any]
WIDTH, HEIGHT = 64, 16
WHITES = (1023, 4095, 16383, 65535)
ORIENTATION, PHOTOMETRIC = 0x0112, 262


def ramp(low: float, high: float, kind: str) -> Values:
    row = np.linspace(low, high, WIDTH)
    return np.tile(row if kind.startswith("float") else row.round(), (HEIGHT, 1)).astype(kind)


def tiff(values: Values, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "TIFF", **options)
    return buffer.getvalue()


def pgm(values: Values, white: int = 65535) -> bytes:
    return b"P5 %d %d %d\n" % (WIDTH, HEIGHT, white) + values.astype(">u2").tobytes()


def text_pgm(values: Values, white: int = 65535) -> bytes:
    return b"P2 %d %d %d\n" % (WIDTH, HEIGHT, white) + b" ".join(b"%d" % value for value in values.ravel())


def jpeg_2000(values: Values) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "JPEG2000")
    return buffer.getvalue()


def png(values: Values, *extra: tuple[bytes, bytes]) -> bytes:
    """Return a PNG of 16 bits with 1 to 4 bands, which Pillow cannot write."""
    values = values.reshape(*values.shape[:2], -1)
    height, width, bands = values.shape
    facts = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[bands], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    chunks = [(b"IHDR", facts), *extra, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )


def color_tiff(values: Values, byte_order: str) -> bytes:
    """Return an uncompressed RGB TIFF of 16 bits, which Pillow cannot write."""
    height, width, _bands = values.shape
    strip = values.astype(f"{byte_order}u2").tobytes()
    facts = [(256, width), (257, height), (258, 8), (259, 1), (262, 2), (273, 14), (277, 3), (278, height)]
    facts += [(279, len(strip))]
    directory = struct.pack(f"{byte_order}H", len(facts))
    for tag, value in facts:
        kind, count = (3, 3) if tag == 258 else (4, 1)
        directory += struct.pack(f"{byte_order}HHII", tag, kind, count, value)
    start = 14 + len(strip)
    header = (b"II" if byte_order == "<" else b"MM") + struct.pack(f"{byte_order}HI", 42, start)
    return header + struct.pack(f"{byte_order}3H", 16, 16, 16) + strip + directory + struct.pack("I", 0)


def greys(decoded: DecodedImage) -> list[int]:
    pixels = np.asarray(decoded.image).astype(int)
    assert (pixels.max(axis=2) - pixels.min(axis=2)).max() <= 1
    return list(pixels[HEIGHT // 2, :, 0])


def is_ramp(decoded: DecodedImage, *, darkest: int = 0, brightest: int = 255) -> bool:
    steps = greys(decoded)
    expected = np.linspace(darkest, brightest, WIDTH)
    return bool(np.abs(np.array(steps) - expected).max() <= 2)


WRITERS = {
    "png": png,
    "tiff": tiff,
    "tiff_lzw": lambda values: tiff(values, compression="tiff_lzw"),
    "tiff_zip": lambda values: tiff(values, compression="tiff_adobe_deflate"),
    "pgm": pgm,
    "text_pgm": text_pgm,
    "jpeg_2000": jpeg_2000,
}


class TestOneFile:
    @pytest.mark.parametrize("white", WHITES)
    @pytest.mark.parametrize("writer", WRITERS)
    def test_a_ramp_of_any_bit_depth_goes_from_black_to_white(self, writer: str, white: int) -> None:
        decoded = read_image(WRITERS[writer](ramp(0, white, "uint16")))
        assert is_ramp(decoded)
        assert decoded.extent == ValueExtent("integers", 0, white)

    @pytest.mark.parametrize("white", WHITES)
    @pytest.mark.parametrize("kind", ["int32", "float32"])
    def test_a_ramp_of_wide_numbers_goes_from_black_to_white(self, kind: str, white: int) -> None:
        assert is_ramp(read_image(tiff(ramp(0, white, kind))))

    @pytest.mark.parametrize("white", [9, 100, 255, 1023, 4095, 65535])
    @pytest.mark.parametrize("write", [pgm, text_pgm])
    def test_the_header_of_a_portable_map_says_what_is_white(self, write: Any, white: int) -> None:
        values = ramp(0, white, "uint16")
        content = write(values, white)
        if write is pgm and white < 256:
            content = content[: -values.nbytes] + values.astype(np.uint8).tobytes()
        shades = np.array(greys(read_image(content)))
        assert np.abs(shades - values[0] * (255 / white)).max() <= 1

    @pytest.mark.parametrize("bands", [2, 3, 4])
    @pytest.mark.parametrize("white", WHITES)
    def test_colors_of_a_png(self, bands: int, white: int) -> None:
        values = np.repeat(ramp(0, white, "uint16")[..., None], bands, axis=2)
        if bands in (2, 4):
            values[..., -1] = 65535
        assert is_ramp(read_image(png(values)))

    @pytest.mark.parametrize("byte_order", ["<", ">"])
    @pytest.mark.parametrize("white", WHITES)
    def test_colors_of_a_tiff(self, byte_order: str, white: int) -> None:
        values = np.repeat(ramp(0, white, "uint16")[..., None], 3, axis=2)
        assert is_ramp(read_image(color_tiff(values, byte_order)))

    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("compression", [None, "tiff_lzw"])
    def test_it_is_turned_upright_once(self, orientation: int, compression: str | None) -> None:
        values = ramp(0, 4095, "uint16")
        turned = read_image(tiff(values, compression=compression, tiffinfo={ORIENTATION: orientation})).image
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        buffer = io.BytesIO()
        shades = np.asarray(read_image(tiff(values)).image)
        Image.fromarray(shades).save(buffer, "PNG", exif=exif)
        assert turned.tobytes() == decode_image(buffer.getvalue()).tobytes()

    @pytest.mark.parametrize("kind", ["uint16", "float32"])
    def test_a_tiff_whose_white_is_zero_is_turned_over(self, kind: str) -> None:
        content = tiff(ramp(4095, 0, kind), tiffinfo={PHOTOMETRIC: 0})
        with Image.open(io.BytesIO(content)) as opened:
            if opened.tag_v2[PHOTOMETRIC] != 0:  # type: ignore[attr-defined]
                entry = struct.pack("<HHIHH", PHOTOMETRIC, 3, 1, 1, 0)
                content = content.replace(entry, struct.pack("<HHIHH", PHOTOMETRIC, 3, 1, 0, 0))
        assert is_ramp(read_image(content))

    def test_hot_and_dead_pixels_do_not_count(self) -> None:
        values = np.tile(ramp(200, 4095, "uint16"), (4, 4))
        values[3, 5], values[7, 9] = 65535, 0
        assert read_image(tiff(values)).extent == ValueExtent("integers", 200, 4095)

    def test_floats_without_a_value_do_not_count(self) -> None:
        values = ramp(0, 1, "float32")
        values[:3] = np.nan
        values[3, :4], values[4, :4] = np.inf, -3.4e38
        decoded = read_image(tiff(values))
        assert decoded.extent == ValueExtent("floats", 0, 1)
        assert is_ramp(decoded)

    @pytest.mark.parametrize("clear", [0, 4095, 40_000])
    def test_the_transparent_value_of_greys_is_white(self, clear: int) -> None:
        values = ramp(100, 4000, "uint16")
        values[:2] = clear
        pixels = np.asarray(decode_image(png(values, (b"tRNS", struct.pack(">H", clear)))))
        assert pixels[:2].min() == 255
        assert pixels[2:, 0].max() < 10

    def test_the_transparent_color_of_16_bits_is_white(self) -> None:
        values = np.zeros((HEIGHT, WIDTH, 3), np.uint16)
        values[:8] = (1000, 2000, 65535)
        values[8:] = (1001, 2000, 65535)
        pixels = np.asarray(decode_image(png(values, (b"tRNS", struct.pack(">3H", 1000, 2000, 65535)))))
        assert pixels[:8].min() == 255
        assert tuple(pixels[12, 0]) == (4, 8, 255)

    @pytest.mark.parametrize("bands", [2, 4])
    def test_transparent_parts_of_16_bits_are_white(self, bands: int) -> None:
        values = np.zeros((HEIGHT, WIDTH, bands), np.uint16)
        values[8:, :, -1] = 65535
        pixels = np.asarray(decode_image(png(values)))
        assert pixels[:7].min() == 255
        assert pixels[9:].max() == 0


class TestOneRange:
    @pytest.mark.parametrize(
        ("kind", "low", "high"),
        [
            *[("uint16", 0, white) for white in WHITES],
            ("uint16", 28_000, 32_000),
            ("uint16", 1000, 1300),
            ("uint16", 0, 63),
            ("int32", -1024, 3071),
            ("int32", 0, 3_000_000),
            ("float32", -1, 1),
            ("float32", 0, 1),
            ("float32", 0, 4095),
            ("float32", 250, 310),
            ("float32", -1e-3, 2e-3),
            ("float32", 0, 1e6),
        ],
    )
    def test_values_reach_from_black_to_white(self, kind: str, low: float, high: float) -> None:
        content = tiff(ramp(low, high, kind))
        extent = read_image(content).extent
        assert extent
        ranges = chosen_ranges(UNKNOWN_RANGES, [extent], "stretch")
        assert is_ramp(read_image(content, ranges))

    @pytest.mark.parametrize("writer", ["png", "tiff", "pgm", "jpeg_2000"])
    @pytest.mark.parametrize("white", WHITES)
    def test_a_dark_photo_among_bright_ones_stays_dark(self, writer: str, white: int) -> None:
        write = WRITERS[writer]
        dark, bright = write(ramp(0, white // 16, "uint16")), write(ramp(0, white, "uint16"))
        extents = [extent for content in (dark, bright) if (extent := read_image(content).extent)]
        ranges = chosen_ranges(UNKNOWN_RANGES, extents, "stretch")
        assert is_ramp(read_image(bright, ranges))
        assert is_ramp(read_image(dark, ranges), brightest=16)

    def test_colors_keep_their_low_bits(self) -> None:
        content = png(np.repeat(ramp(0, 1023, "uint16")[..., None], 3, axis=2))
        assert is_ramp(read_image(content, GreyRanges(integers=(0, 4095))), brightest=64)
        assert is_ramp(read_image(content, GreyRanges(integers=(0, 65535))), brightest=4)

    def test_a_range_that_was_chosen_is_kept(self) -> None:
        known = GreyRanges(integers=(0, 4095))
        extents = [ValueExtent("integers", 0, 60_000), ValueExtent("floats", 0, 0.9)]
        assert chosen_ranges(known, extents, "stretch") == GreyRanges((0, 4095), (0, 1))
        assert chosen_ranges(known, [], "stretch") == known

    @pytest.mark.parametrize(
        ("extent", "limits"),
        [
            (ValueExtent("integers", 0, 4095), (0, 65535)),
            (ValueExtent("integers", -5, 70_000), (0, 65535)),
            (ValueExtent("floats", 0, 0.5), (0, 1)),
            (ValueExtent("floats", 0, 200), (0, 255)),
            (ValueExtent("floats", -9, 4095), (0, 65535)),
        ],
    )
    def test_brightness_can_be_kept_as_in_the_files(
        self, extent: ValueExtent, limits: tuple[float, float]
    ) -> None:
        ranges = chosen_ranges(UNKNOWN_RANGES, [extent], "keep")
        assert ranges.of(extent.kind) == limits
        assert [notice for notice in brightness_notices(ranges, [extent]) if notice.kind == "stretched"] == []

    @pytest.mark.parametrize("kind", ["integers", "floats"])
    def test_photos_of_one_value_choose_no_narrow_range(self, kind: Any) -> None:
        extent = ValueExtent(kind, 30_000, 30_000)
        assert chosen_ranges(UNKNOWN_RANGES, [extent], "stretch").of(kind) == (0, 65535)


class TestNotices:
    def test_stretched_photos_are_counted(self) -> None:
        extents = [ValueExtent("integers", 0, 4095), ValueExtent("integers", 5, 900)]
        assert brightness_notices(GreyRanges(integers=(0, 4095)), extents) == [
            Notice("stretched", names=("0", "4,095"), count=2)
        ]

    @pytest.mark.parametrize(("kind", "white"), [("integers", 65535), ("floats", 1), ("floats", 255)])
    def test_usual_files_are_not_mentioned(self, kind: Any, white: float) -> None:
        ranges = GreyRanges(**{kind: (0, white)})
        assert brightness_notices(ranges, [ValueExtent(kind, 0, white / 2)]) == []

    @pytest.mark.parametrize(("low", "high"), [(0, 5000), (-300, 4095)])
    def test_photos_beyond_the_range_are_counted(self, low: float, high: float) -> None:
        notices = brightness_notices(GreyRanges(integers=(0, 4095)), [ValueExtent("integers", low, high)])
        assert Notice("too_bright_or_dark", names=("0", "4,095"), count=1) in notices

    def test_a_hair_beyond_is_not_mentioned(self) -> None:
        notices = brightness_notices(GreyRanges(integers=(0, 4095)), [ValueExtent("integers", -9, 4100)])
        assert [notice.kind for notice in notices] == ["stretched"]

    def test_counts_of_parts_of_an_upload_add_up(self) -> None:
        first, other = Notice("stretched", names=("0", "1"), count=2), Notice("first_frame", count=1)
        assert with_counts([first, other], [first]) == (Notice("stretched", names=("0", "1"), count=4), other)
