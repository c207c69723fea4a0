"""The one image path: whatever comes in is upright RGB without metadata, or is refused in plain words."""

import io
import struct
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin, features

from transfer_core.data.images import image_path
from transfer_core.data.images.decoding import decode_image, encode_jpeg, read_image
from transfer_core.data.images.image_path import to_pixels
from transfer_core.errors import UnreadableImageError

# In the app these are left out when images.py is imported; pytest sets its own filters around each test.
pytestmark = pytest.mark.filterwarnings(r"ignore::UserWarning:PIL\.")

ROOT = Path(__file__).resolve().parents[4]
DAMAGED = "the photo is cut off or damaged"
NOT_A_PICTURE = "it is not a photo, whatever its name says"
VIDEO = "it is a video; use “From a video” to take photos from it"
ORIENTATION, CAMERA, PLACE = 0x0112, 0x010F, 0x8825

needs_avif = pytest.mark.skipif(not features.check("avif"), reason="this Pillow was built without AVIF")


def saved(image: Image.Image, image_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def four_corners(size: tuple[int, int] = (48, 32)) -> Image.Image:
    """Red, green, blue and yellow quarters, clockwise from the upper left."""
    image = Image.new("RGB", size, "red")
    width, height = size[0] // 2, size[1] // 2
    image.paste("lime", (width, 0, *size[:1], height))
    image.paste("blue", (width, height, *size))
    image.paste("yellow", (0, height, width, size[1]))
    return image


def corner_names(image: Image.Image) -> list[str]:
    """Names of the colours in the corners, clockwise from the upper left."""
    palette = {"red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255), "yellow": (255, 255, 0)}
    right, bottom = image.width - 4, image.height - 4
    pixels = [np.array(image.getpixel(place)) for place in ((3, 3), (right, 3), (right, bottom), (3, bottom))]
    return [min(palette, key=lambda name: abs(pixel - palette[name]).sum()) for pixel in pixels]


def noise(mode: str = "RGB", size: tuple[int, int] = (40, 32)) -> Image.Image:
    pixels = np.random.default_rng(7).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_header(width: int, height: int) -> bytes:
    facts = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", facts) + png_chunk(b"IDAT", zlib.compress(b"\0" * 64))


def why_refused(content: bytes) -> str:
    with pytest.raises(UnreadableImageError) as caught:
        decode_image(content)
    return str(caught.value)


@pytest.mark.parametrize(
    ("image_format", "options"),
    [
        ("JPEG", {"quality": 95, "subsampling": 0}),
        ("JPEG", {"quality": 95, "subsampling": 0, "progressive": True}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("GIF", {}),
        pytest.param("AVIF", {"quality": 95}, marks=needs_avif),
        ("HEIF", {"quality": 95}),
        ("PPM", {}),
        ("JPEG2000", {}),
        ("JPEG2000", {"no_jp2": True}),
    ],
)
def test_allowed_formats(image_format: str, options: dict[str, Any]) -> None:
    decoded = decode_image(saved(four_corners(), image_format, **options))
    assert type(decoded) is Image.Image
    assert (decoded.mode, decoded.size, decoded.info) == ("RGB", (48, 32), {})
    assert corner_names(decoded) == ["red", "lime", "blue", "yellow"]


@pytest.mark.parametrize("image_format", ["ICO", "TGA", "PCX", "DDS", "SGI"])
def test_other_formats_are_refused_by_name(image_format: str) -> None:
    assert why_refused(saved(four_corners(), image_format)) == (
        f"it is a photo in the format {image_format}; save it as PNG or JPEG first"
    )


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_every_mode_of_png_becomes_rgb(mode: str) -> None:
    decoded = decode_image(saved(noise(mode), "PNG"))
    assert (decoded.mode, decoded.size) == ("RGB", (40, 32))
    if mode in ("LA", "RGB", "RGBA"):
        assert decoded.tobytes() == noise(mode).convert("RGB").tobytes()


def test_grey_has_three_equal_channels() -> None:
    red, green, blue = decode_image(saved(noise("L"), "JPEG")).split()
    assert red.tobytes() == green.tobytes() == blue.tobytes()


@pytest.mark.parametrize("image_format", ["JPEG", "TIFF"])
def test_cmyk_keeps_its_colors(image_format: str) -> None:
    decoded = decode_image(saved(four_corners().convert("CMYK"), image_format))
    assert corner_names(decoded) == ["red", "lime", "blue", "yellow"]


class TestUpright:
    CORNERS: tuple[tuple[int, list[str]], ...] = (
        (1, ["red", "lime", "blue", "yellow"]),
        (2, ["lime", "red", "yellow", "blue"]),
        (3, ["blue", "yellow", "red", "lime"]),
        (4, ["yellow", "blue", "lime", "red"]),
        (5, ["red", "yellow", "blue", "lime"]),
        (6, ["yellow", "red", "lime", "blue"]),
        (7, ["blue", "lime", "red", "yellow"]),
        (8, ["lime", "blue", "yellow", "red"]),
    )

    @pytest.mark.parametrize(
        "image_format", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", pytest.param("AVIF", marks=needs_avif)]
    )
    @pytest.mark.parametrize(("orientation", "corners"), CORNERS)
    def test_the_exif_orientation_is_applied(
        self, orientation: int, corners: list[str], image_format: str
    ) -> None:
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        decoded = read_image(saved(four_corners(), image_format, exif=exif.tobytes()))
        size = (48, 32) if orientation < 5 else (32, 48)
        assert decoded.image.size == (decoded.width, decoded.height) == size
        assert corner_names(decoded.image) == corners
        assert corner_names(decode_image(decoded.to_jpeg())) == corners

    @pytest.mark.parametrize("orientation", [0, 9, 65535])
    def test_an_orientation_that_does_not_exist_is_passed_over(self, orientation: int) -> None:
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        assert corner_names(decode_image(saved(four_corners(), "JPEG", exif=exif)))[0] == "red"

    @pytest.mark.parametrize("image_format", ["JPEG", "WEBP"])
    def test_damaged_exif_does_not_cost_the_picture(self, image_format: str) -> None:
        exif = Image.Exif()
        exif[CAMERA], exif[ORIENTATION] = "Camera", 6
        content = bytearray(saved(four_corners(), image_format, exif=exif))
        start = content.index(exif.tobytes()[6:14])
        for place in range(start, start + 40):
            for value in (0, 2, 5, 12, 255):
                changed = bytes(content[:place]) + bytes([value]) + bytes(content[place + 1 :])
                assert sorted(decode_image(changed).size) == [32, 48]

    def test_tags_that_cannot_be_written_again_do_not_hide_the_orientation(self) -> None:
        # Some cameras write a text where a number is due; writing such EXIF again fails.
        make_as_text = struct.pack(">HHI4s", 0x011A, 2, 4, b"72\0\0")
        upright = struct.pack(">HHIHH", ORIENTATION, 3, 1, 6, 0)
        tags = b"MM\0*\0\0\0\x08\0\x02" + upright + make_as_text + b"\0\0\0\0"
        decoded = decode_image(saved(four_corners(), "JPEG", exif=b"Exif\0\0" + tags))
        assert corner_names(decoded) == ["yellow", "red", "lime", "blue"]


class TestTransparency:
    @pytest.mark.parametrize("image_format", ["PNG", "WEBP", "TIFF"])
    def test_it_is_laid_over_white(self, image_format: str) -> None:
        image = Image.new("RGBA", (16, 16), (255, 0, 0, 0))
        image.paste((255, 0, 0, 255), (8, 0, 16, 16))
        image.paste((0, 0, 0, 51), (0, 8, 8, 16))
        options = {"lossless": True, "exact": True} if image_format == "WEBP" else {}
        decoded = decode_image(saved(image, image_format, **options))
        assert decoded.mode == "RGB"
        assert decoded.getpixel((2, 2)) == (255, 255, 255)
        assert decoded.getpixel((12, 4)) == (255, 0, 0)
        assert decoded.getpixel((2, 12)) == (204, 204, 204)

    def test_grey_with_alpha(self) -> None:
        assert decode_image(saved(Image.new("LA", (16, 16), (0, 0)), "PNG")).getpixel((3, 3)) == (
            255,
            255,
            255,
        )

    @pytest.mark.parametrize("transparency", [1, b"\xff\x00"])
    @pytest.mark.parametrize("image_format", ["PNG", "GIF"])
    def test_a_transparent_palette_entry(self, image_format: str, transparency: int | bytes) -> None:
        image = Image.new("P", (16, 16), 0)
        image.putpalette([0, 0, 255, 255, 0, 0])
        image.paste(1, (8, 0, 16, 16))
        if image_format == "GIF":
            transparency = 1
        decoded = decode_image(saved(image, image_format, transparency=transparency))
        assert decoded.getpixel((2, 2)) == (0, 0, 255)
        assert decoded.getpixel((12, 2)) == (255, 255, 255)


class TestOrientationInXmp:
    XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:Description tiff:Orientation=\"%d\"/></x:xmpmeta>"

    def content(self, image_format: str, in_xmp: int, in_exif: int | None) -> bytes:
        options: dict[str, Any] = {"xmp": self.XMP % in_xmp}
        if image_format == "PNG":
            facts = PngImagePlugin.PngInfo()
            facts.add_itxt("XML:com.adobe.xmp", (self.XMP % in_xmp).decode())
            options = {"pnginfo": facts}
        elif image_format == "TIFF":
            options = {"tiffinfo": {700: self.XMP % in_xmp}}
        exif = Image.Exif()
        if in_exif:
            exif[ORIENTATION] = in_exif
            options["exif"] = exif
        return saved(four_corners(), image_format, **options)

    @pytest.mark.parametrize("in_xmp", range(1, 9))
    @pytest.mark.parametrize(
        "image_format", ["JPEG", "PNG", "WEBP", "TIFF", pytest.param("AVIF", marks=needs_avif)]
    )
    def test_it_is_ignored_as_in_browsers(self, image_format: str, in_xmp: int) -> None:
        content = self.content(image_format, in_xmp, None)
        assert b"tiff:Orientation" in content
        assert corner_names(decode_image(content)) == ["red", "lime", "blue", "yellow"]

    @pytest.mark.parametrize("in_exif", [1, 3])
    @pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
    def test_exif_decides(self, image_format: str, in_exif: int) -> None:
        corners = ["red", "lime", "blue", "yellow"] if in_exif == 1 else ["blue", "yellow", "red", "lime"]
        assert corner_names(decode_image(self.content(image_format, 6, in_exif))) == corners


class TestDeepGrey:
    @pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
    def test_sixteen_bits_are_scaled_not_clipped(self, image_format: str) -> None:
        values = np.array([[0, 257, 32896, 65535]], dtype=np.uint16).repeat(8, axis=0).repeat(4, axis=1)
        decoded = np.asarray(decode_image(saved(Image.fromarray(values), image_format)))
        assert decoded[0, ::4, 0].tolist() == [0, 1, 128, 255]

    def test_thirty_two_bits_count_as_sixteen_and_negative_is_black(self) -> None:
        values = np.array([[-5, 0, 32896, 70000]], dtype=np.int32).repeat(8, axis=0).repeat(4, axis=1)
        decoded = np.asarray(decode_image(saved(Image.fromarray(values), "TIFF")))
        assert decoded[0, ::4, 0].tolist() == [0, 0, 128, 255]

    @pytest.mark.parametrize("white", [1.0, 255.0, 65535.0])
    def test_floats_are_scaled_to_the_white_that_fits(self, white: float) -> None:
        shares = np.array([[0.0, 0.2, 0.6, 1.0]]).repeat(8, axis=0).repeat(4, axis=1)
        image = Image.fromarray((shares * white).astype(np.float32))
        assert np.asarray(decode_image(saved(image, "TIFF")))[0, ::4, 0].tolist() == [0, 51, 153, 255]

    def test_floats_that_are_no_numbers_are_black(self) -> None:
        values = np.full((8, 8), np.nan, dtype=np.float32)
        assert decode_image(saved(Image.fromarray(values), "TIFF")).getpixel((0, 0)) == (0, 0, 0)


class TestAnimation:
    @pytest.mark.parametrize("image_format", ["GIF", "PNG", "WEBP"])
    def test_the_first_frame_counts(self, image_format: str) -> None:
        frames = [Image.new("RGB", (16, 16), color) for color in ("red", "lime", "blue")]
        options = {"lossless": True} if image_format == "WEBP" else {}
        content = saved(frames[0], image_format, save_all=True, append_images=frames[1:], **options)
        assert decode_image(content).getpixel((8, 8)) == (255, 0, 0)

    def test_the_number_of_frames_costs_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        frames = [Image.new("P", (8, 8), number % 7) for number in range(60)]
        content = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
        monkeypatch.setattr("PIL.GifImagePlugin.GifImageFile.seek", pytest.fail)
        assert decode_image(content).size == (8, 8)

    def test_the_first_page_of_a_tiff_counts(self) -> None:
        pages = [Image.new("RGB", (16, 16), color) for color in ("lime", "red")]
        content = saved(pages[0], "TIFF", save_all=True, append_images=pages[1:])
        assert decode_image(content).getpixel((8, 8)) == (0, 255, 0)


class TestMetadata:
    def exif(self) -> Image.Exif:
        exif = Image.Exif()
        exif[CAMERA] = "SecretCamera"
        exif.get_ifd(PLACE)[1] = "N"
        return exif

    @pytest.mark.parametrize(
        "image_format", ["JPEG", "MPO", "PNG", "WEBP", "TIFF", "HEIF", pytest.param("AVIF", marks=needs_avif)]
    )
    def test_it_is_removed_from_the_image_and_the_stored_file(self, image_format: str) -> None:
        options: dict[str, Any] = {"exif": self.exif(), "icc_profile": b"SecretProfile" * 9, "dpi": (72, 72)}
        content = saved(noise(), image_format, **options)
        assert b"Secret" in content
        decoded = read_image(content)
        stored = decoded.to_jpeg()
        assert decoded.image.info == {}
        assert b"Secret" not in stored
        assert b"Exif" not in stored
        with Image.open(io.BytesIO(stored)) as reopened:
            assert not dict(reopened.getexif())
            assert set(reopened.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}

    def test_a_comment_is_removed(self) -> None:
        content = saved(noise(), "JPEG", comment=b"SecretComment")
        assert b"Secret" in content
        assert b"Secret" not in read_image(content).to_jpeg()

    def test_gps_in_xmp_is_removed(self) -> None:
        content = saved(noise(), "JPEG", xmp=b"<x:xmpmeta>SecretPlace</x:xmpmeta>")
        assert b"Secret" in content
        assert b"Secret" not in read_image(content).to_jpeg()

    def test_storing_changes_a_photo_by_next_to_nothing(self) -> None:
        smooth = Image.radial_gradient("L").convert("RGB")
        again = decode_image(encode_jpeg(smooth))
        assert np.abs(np.asarray(again, int) - np.asarray(smooth, int)).max() <= 3


class TestSize:
    def test_a_large_picture_is_refused_before_it_is_decoded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("PIL.ImageFile.ImageFile.load", pytest.fail)
        assert why_refused(png_header(30_000, 30_000)) == (
            "it is too large (30,000 × 30,000 pixels; up to 64 megapixels are read)"
        )

    def test_the_limit_is_64_megapixels(self) -> None:
        assert why_refused(png_header(8_000, 8_001)).startswith("it is too large (8,000 × 8,001 pixels;")
        assert why_refused(png_header(8_000, 8_000)) == DAMAGED

    @pytest.mark.parametrize("size", [(1, 1), (7, 400), (400, 7)])
    def test_a_tiny_picture_is_refused(self, size: tuple[int, int]) -> None:
        assert why_refused(saved(Image.new("RGB", size), "PNG")) == (
            f"it is too small ({size[0]} × {size[1]} pixels; each side needs 8)"
        )

    def test_eight_pixels_are_enough(self) -> None:
        assert decode_image(saved(Image.new("RGB", (8, 8)), "PNG")).size == (8, 8)

    @pytest.mark.parametrize(
        ("size", "kept"),
        [((1024, 700), (1024, 700)), ((2048, 1024), (1024, 512)), ((600, 3000), (205, 1024))],
    )
    def test_at_most_1024_pixels_are_kept_on_the_longer_side(
        self, size: tuple[int, int], kept: tuple[int, int]
    ) -> None:
        assert decode_image(saved(Image.new("RGB", size), "PNG")).size == kept

    def test_a_large_jpeg_is_shrunk_while_decoding_to_the_same_picture(self) -> None:
        smooth = Image.radial_gradient("L").resize((2400, 1800)).convert("RGB")
        from_jpeg = decode_image(saved(smooth, "JPEG", quality=95))
        from_png = decode_image(saved(smooth, "PNG", compress_level=1))
        assert from_jpeg.size == from_png.size == (1024, 768)
        difference = np.abs(np.asarray(from_jpeg, int) - np.asarray(from_png, int))
        assert difference.mean() < 1
        assert difference.max() <= 8

    def test_a_large_picture_is_shrunk_before_it_is_copied(self, monkeypatch: pytest.MonkeyPatch) -> None:
        laid_over_white: list[tuple[int, int]] = []
        original = Image.alpha_composite

        def alpha_composite(below: Image.Image, above: Image.Image) -> Image.Image:
            laid_over_white.extend((below.size, above.size))
            return original(below, above)

        monkeypatch.setattr(Image, "alpha_composite", alpha_composite)
        decoded = decode_image(saved(Image.new("RGBA", (2048, 1024), (0, 0, 0, 51)), "PNG"))
        assert laid_over_white == [(1024, 512)] * 2
        assert decoded.getpixel((500, 250)) == (204, 204, 204)

    @pytest.mark.parametrize(
        ("size", "decoded_at", "kept"),
        [
            ((4000, 3000), (1000, 750), (1000, 750)),
            ((3024, 4032), (756, 1008), (756, 1008)),
            ((2000, 1500), (1000, 750), (1000, 750)),
            ((1200, 900), (1200, 900), (1024, 768)),
            ((4608, 40), (1152, 10), (1024, 9)),
        ],
    )
    @pytest.mark.parametrize("progressive", [False, True])
    def test_a_large_jpeg_is_never_decoded_in_full(
        self,
        monkeypatch: pytest.MonkeyPatch,
        size: tuple[int, int],
        decoded_at: tuple[int, int],
        kept: tuple[int, int],
        progressive: bool,
    ) -> None:
        loaded: list[tuple[int, int]] = []
        original = Image.Image.getexif
        monkeypatch.setattr(
            Image.Image, "getexif", lambda image: (loaded.append(image.size), original(image))[1]
        )
        decoded = read_image(saved(Image.new("RGB", size), "JPEG", progressive=progressive))
        assert loaded == [decoded_at]
        assert decoded.image.size == kept
        assert (decoded.width, decoded.height) == size

    @pytest.mark.parametrize("image_format", ["JPEG", "PNG", "TIFF"])
    def test_the_size_of_the_original_is_upright(self, image_format: str) -> None:
        exif = Image.Exif()
        exif[ORIENTATION] = 6
        decoded = read_image(saved(Image.new("RGB", (3000, 2000)), image_format, exif=exif))
        assert (decoded.width, decoded.height) == (2000, 3000)
        assert decoded.image.width < decoded.image.height <= 1024


class TestWhatIsStored:
    @pytest.mark.parametrize("mode", ["L", "RGB"])
    @pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 2}], ids=str)
    def test_the_pixels_of_a_small_jpeg_are_unchanged(self, mode: str, options: dict[str, Any]) -> None:
        content = saved(noise(mode, (90, 70)), "JPEG", quality=80, comment=b"Secret", **options)
        decoded = read_image(content)
        stored = decoded.to_jpeg()
        assert decode_image(stored).tobytes() == decoded.image.tobytes()
        assert len(stored) < len(content)

    def test_nothing_that_follows_the_end_is_stored(self) -> None:
        content = saved(noise(), "JPEG")
        assert read_image(content + b"<script>Secret</script>").to_jpeg() == read_image(content).to_jpeg()
        assert b"Secret" not in read_image(content + b"<script>Secret</script>").to_jpeg()

    @pytest.mark.parametrize(
        "image",
        [four_corners().convert("CMYK"), four_corners((2048, 1024))],
        ids=["cmyk", "large"],
    )
    def test_other_jpegs_are_encoded_again(self, image: Image.Image) -> None:
        stored = read_image(saved(image, "JPEG")).to_jpeg()
        with Image.open(io.BytesIO(stored)) as opened:
            assert (opened.mode, max(opened.size) <= 1024) == ("RGB", True)
        assert corner_names(decode_image(stored)) == ["red", "lime", "blue", "yellow"]

    def test_real_photos_decode_to_the_same_pixels_from_what_is_stored(self, shared_data: Path) -> None:
        photos = [path.read_bytes() for path in sorted(shared_data.glob("*/*/*.jpg"))[::20]]
        pictures = [read_image(content) for content in photos]
        assert sum(picture.original is not None for picture in pictures) > 0.8 * len(pictures)
        for picture in pictures:
            if picture.original:
                assert decode_image(picture.to_jpeg()).tobytes() == picture.image.tobytes()


class TestColorProfile:
    def wide_profile(self) -> bytes:
        # Red and green swapped: no real profile, but one whose effect nobody overlooks.
        profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
        tags = {
            bytes(profile[place : place + 4]): profile[place + 4 : place + 12]
            for place in range(132, 132 + 12 * profile[131], 12)
        }
        for name, other in ((b"rXYZ", b"gXYZ"), (b"gXYZ", b"rXYZ")):
            place = 132 + 12 * list(tags).index(name)
            profile[place + 4 : place + 12] = tags[other]
        return bytes(profile).replace("sRGB".encode("utf-16-be"), "wide".encode("utf-16-be"))

    @pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF"])
    def test_colors_are_converted_to_srgb(self, image_format: str) -> None:
        content = saved(four_corners(), image_format, icc_profile=self.wide_profile())
        decoded = read_image(content)
        assert corner_names(decoded.image) == ["lime", "red", "blue", "yellow"]
        assert corner_names(decode_image(decoded.to_jpeg())) == ["lime", "red", "blue", "yellow"]

    def test_srgb_is_not_converted(self) -> None:
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        plain = decode_image(saved(noise(), "PNG"))
        assert decode_image(saved(noise(), "PNG", icc_profile=profile)).tobytes() == plain.tobytes()

    @pytest.mark.parametrize("profile", [b"x", b"\0" * 200, b"acsp" * 50])
    def test_a_damaged_profile_does_not_cost_the_picture(self, profile: bytes) -> None:
        plain = decode_image(saved(noise(), "PNG"))
        assert decode_image(saved(noise(), "PNG", icc_profile=profile)).tobytes() == plain.tobytes()

    def test_transparency_and_palettes_are_converted_as_well(self) -> None:
        image = four_corners().convert("RGBA")
        image.putpixel((3, 3), (255, 0, 0, 0))
        decoded = decode_image(saved(image, "PNG", icc_profile=self.wide_profile()))
        assert decoded.getpixel((3, 3)) == (255, 255, 255)
        assert corner_names(decoded)[1:] == ["red", "blue", "yellow"]
        palette = decode_image(saved(four_corners().quantize(4), "PNG", icc_profile=self.wide_profile()))
        assert corner_names(palette) == ["lime", "red", "blue", "yellow"]


class TestNotAPicture:
    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"", "the file is empty (0 bytes)"),
            (b"Dear diary, this is no picture.", NOT_A_PICTURE),
            (bytes(range(256)) * 9, NOT_A_PICTURE),
            (b"%PDF-1.7\n", "it is a PDF document; save its pages as PNG or JPEG first"),
            (b"\0" * 4096, NOT_A_PICTURE),
            (b"<!DOCTYPE html><html><svg></svg></html>", "it is a web page, not a photo"),
            (b"\n  <HTML><body>", "it is a web page, not a photo"),
            (b"<svg xmlns='x'></svg>", "it is an SVG drawing; save it as PNG or JPEG first"),
            (
                b"\xef\xbb\xbf<?xml version='1.0'?>\n<svg>",
                "it is an SVG drawing; save it as PNG or JPEG first",
            ),
            (b"<!-- made with love --><svg>", "it is an SVG drawing; save it as PNG or JPEG first"),
            (b"<?xml version='1.0'?><note/>", NOT_A_PICTURE),
            (b"\xff\xd8\xff", DAMAGED),
            (b"\x89PNG\r\n\x1a\n", DAMAGED),
            (b"GIF89a", DAMAGED),
            (b"BM", DAMAGED),
            (b"II*\0\x08\0\0\0", DAMAGED),
            (b"MM\0*\0\0\0\x08", DAMAGED),
            (b"II+\0\x08\0\0\0", DAMAGED),
            (b"RIFF\x24\0\0\0WEBPVP8 ", DAMAGED),
            (b"RIFF\x24\0\0\0WAVEfmt ", "it is a sound file, not a photo"),
            (b"\0\0\0\x1cftypavif\0\0\0\0", DAMAGED),
            (b"\0\0\0\x1cftypisom\0\0\0\0", VIDEO),
        ],
        ids=lambda value: repr(value[:16]),
    )
    def test_it_is_said_what_it_is(self, content: bytes, reason: str) -> None:
        assert why_refused(content) == reason

    @pytest.mark.parametrize("brand", ["heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1"])
    def test_a_heic_without_content_is_damaged(self, brand: str) -> None:
        assert why_refused(b"\0\0\0\x18ftyp" + brand.encode() + b"\0\0\0\0mif1heic" + b"\0" * 64) == DAMAGED


class TestDamaged:
    @pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9, 0.98])
    @pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "JPEG2000"])
    def test_a_file_that_was_cut_off(self, image_format: str, share: float) -> None:
        content = saved(noise(size=(120, 90)), image_format)
        assert why_refused(content[: int(len(content) * share)]) == DAMAGED

    @needs_avif
    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
    def test_an_avif_that_was_cut_off(self, share: float) -> None:
        content = saved(noise(size=(120, 90)), "AVIF")
        assert why_refused(content[: int(len(content) * share)]) == DAMAGED

    @needs_avif
    def test_an_avif_with_a_damaged_middle(self) -> None:
        content = bytearray(saved(noise("RGBA", size=(120, 90)), "AVIF"))
        start = content.index(b"mdat") + 4
        content[start : start + 40] = bytes(40)
        assert why_refused(bytes(content)) == DAMAGED

    @pytest.mark.parametrize("kind", [b"IHDR", b"IDAT"])
    def test_a_png_with_a_broken_checksum(self, kind: bytes) -> None:
        content = bytearray(saved(four_corners(), "PNG"))
        place = content.index(kind)
        (length,) = struct.unpack(">I", content[place - 4 : place])
        content[place + 4 + length] ^= 0xFF
        assert why_refused(bytes(content)) == DAMAGED

    @pytest.mark.parametrize("image_format", ["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP", "PPM", "JPEG2000"])
    def test_a_mutated_file_is_read_or_refused_and_nothing_else(self, image_format: str) -> None:
        random = np.random.default_rng(11)
        original = saved(noise("P" if image_format == "GIF" else "RGB", (24, 20)), image_format)
        for _ in range(60):
            content = bytearray(original)
            for place in random.integers(0, len(content), 4):
                content[place] = random.integers(0, 256)
            try:
                assert decode_image(bytes(content)).mode == "RGB"
            except UnreadableImageError as error:
                assert str(error)


@pytest.mark.parametrize(
    "error",
    [OSError(), SyntaxError(), RuntimeError(), struct.error(), IndexError(), KeyError()],
)
def test_whatever_a_decoder_raises_is_said_in_words(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(_image: object) -> None:
        raise error

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", fail)
    assert why_refused(saved(noise(), "PNG")) == DAMAGED


def test_a_bug_of_ours_is_not_taken_for_a_damaged_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_image: object) -> None:
        raise AssertionError

    monkeypatch.setattr(image_path, "_to_rgb", fail)
    with pytest.raises(AssertionError):
        decode_image(saved(noise(), "PNG"))


def jpeg_that_pillow_warns_about() -> bytes:
    exif = Image.Exif()
    exif[CAMERA] = "a camera with a rather long name"
    content = bytearray(saved(noise(), "JPEG", exif=exif))
    start = content.index(b"Exif") + 6
    content[start + 14 : start + 18] = bytes([127, 255, 255, 255])
    return bytes(content)


def test_pillow_warns_about_odd_tags() -> None:
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        assert decode_image(jpeg_that_pillow_warns_about()).size == (40, 32)
    assert noted


def test_the_app_keeps_such_warnings_out_of_the_log() -> None:
    script = (
        "import sys; from transfer_core.data.images.decoding import decode_image\n"
        "decode_image(sys.stdin.buffer.read())"
    )
    finished = subprocess.run(
        [sys.executable, "-W", "always", "-c", script],
        cwd=ROOT,
        input=jpeg_that_pillow_warns_about(),
        capture_output=True,
        check=True,
    )
    assert finished.stderr == b""


class TestToPixels:
    @pytest.mark.parametrize("image_size", [8, 64, 224])
    @pytest.mark.parametrize("size", [(40, 32), (16, 90), (300, 300)])
    def test_shape_and_kind(self, image_size: int, size: tuple[int, int]) -> None:
        pixels = to_pixels(noise(size=size), image_size)
        assert pixels.shape == (image_size, image_size, 3)
        assert pixels.dtype == np.uint8

    def test_channels_are_red_green_blue(self) -> None:
        assert to_pixels(Image.new("RGB", (20, 10), (1, 2, 3)), 8).reshape(-1, 3).tolist() == [[1, 2, 3]] * 64

    def test_the_whole_picture_is_kept(self) -> None:
        pixels = to_pixels(four_corners((400, 32)), 32)
        assert corner_names(Image.fromarray(pixels)) == ["red", "lime", "blue", "yellow"]

    def test_fine_stripes_become_grey_where_the_nearest_pixel_would_not(self) -> None:
        stripes = Image.fromarray(np.tile(np.uint8([0, 255]), (512, 256))).convert("RGB")
        nearest = np.asarray(stripes.resize((96, 96), Image.Resampling.NEAREST))
        assert nearest.std() > 100
        inside = to_pixels(stripes, 96)[4:-4, 4:-4].astype(int)
        assert np.abs(inside - 127).max() <= 16

    def test_a_picture_of_the_right_size_is_not_touched(self) -> None:
        image = noise(size=(32, 32))
        assert to_pixels(image, 32).tobytes() == image.tobytes()


def test_threads_decode_the_same(make_image: Callable[..., bytes]) -> None:
    contents = [
        make_image("green", seed=number, size=(200, 150), image_format=image_format)
        for number, image_format in enumerate(["JPEG", "PNG", "WEBP", "TIFF", "HEIF"] * 6)
    ]
    alone = [decode_image(content).tobytes() for content in contents]
    with ThreadPoolExecutor(4) as pool:
        together = [image.tobytes() for image in pool.map(decode_image, contents)]
    assert alone == together
    assert len(set(alone)) == len(alone)
