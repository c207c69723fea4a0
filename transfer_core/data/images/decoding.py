"""The one way from the bytes of a picture to the pixels a network sees.

Training, evaluation and testing all come through here, so that a picture means the same everywhere. Only
Pillow decodes, with a list of allowed formats: other decoders are neither as strict nor as safe.
"""

from __future__ import annotations

import hashlib
import io
import re
import struct
import warnings
from dataclasses import dataclass

import pillow_heif
from PIL import Image

from transfer_core.data.images.image_path import (
    DECODER_ERRORS,
    MAX_STORED_SIDE,
    ON_ITS_SIDE,
    transform_to_srgb,
    upright_rgb,
)
from transfer_core.data.images.jpeg import jpeg_without_metadata
from transfer_core.data.limits import limits
from transfer_core.errors import UnreadableImageError
from transfer_core.files import check_shortage
from transfer_core.language import _

ALLOWED_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF", "HEIF")
MIN_SIDE = 8
JPEG_QUALITY = 95
# A progressive JPEG of a camera has about ten. Each decodes the whole picture once more, and takes a few bytes.
_MOST_SCANS = 100
_SCAN = b"\xff\xda"

# Pillow registers most formats only after a first failure, and `formats=` needs them registered.
Image.init()
# One thread a picture: the pictures themselves are decoded side by side.
pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
# Pillow warns about large pictures after the fact; the limit on pixels refuses them before they are decoded.
Image.MAX_IMAGE_PIXELS = None
# Notes about odd tags and palettes; what cannot be decoded fails, and the person is told of that.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

_HEIF_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_ARCHIVE_STARTS = (b"PK\3\4", b"PK\5\6", b"Rar!", b"7z\xbc\xaf", b"\x1f\x8b", b"BZh", b"\xfd7zXZ")
_CODED_SIZE = re.compile(rb"ispe\0\0\0\0(.{8})", re.DOTALL)


@dataclass(frozen=True)
class DecodedImage:
    """A picture as a network sees it, and what its file says about it.

    Args:
        image: Upright, RGB, at most 1,024 pixels on its longer side, without metadata.
        width: Pixels of the original from left to right when it is upright, before it was shrunk.
        height: Pixels of the original from top to bottom, likewise.
        original: The file, when its compressed pixels can be stored as they are.
    """

    image: Image.Image
    width: int
    height: int
    original: bytes | None = None

    def to_jpeg(self) -> bytes:
        """Return the bytes to store: a JPEG file without any metadata (no place, no camera, no date)."""
        as_it_came = jpeg_without_metadata(self.original) if self.original else None
        return as_it_came or encode_jpeg(self.image)


def decode_image(content: bytes) -> Image.Image:
    """Decode a picture: upright, RGB, at most 1,024 pixels on its longer side.

    The EXIF orientation is applied, transparency is laid over white, 16-bit greys are scaled, colours are
    converted to sRGB, and of an animation the first frame counts.

    Args:
        content: The bytes of the file.

    Returns:
        A Pillow image in mode RGB without metadata.

    Raises:
        UnreadableImageError: If the bytes are not a whole picture in an allowed format; the message says why.
    """
    return read_image(content).image


def read_image(content: bytes) -> DecodedImage:
    """Decode a picture as `decode_image` does, and keep what its file says about it.

    Args:
        content: The bytes of the file.

    Returns:
        The decoded picture and the size of the original.

    Raises:
        UnreadableImageError: If the bytes are not a whole picture in an allowed format; the message says why.
    """
    if not content:
        raise UnreadableImageError(_("the file is empty (0 bytes)"))
    try:
        with Image.open(io.BytesIO(content), formats=ALLOWED_FORMATS) as opened:
            _check_size(opened.size)
            for size in _coded_sizes(opened, content):
                _check_pixels(size)
            _check_scans(opened, content)
            _check_checksums(opened, content)
            return _decoded(opened, content)
    except UnreadableImageError:
        raise
    except MemoryError as error:
        raise UnreadableImageError(_not_enough_memory(), "unreadable") from error
    except DECODER_ERRORS as error:
        check_shortage(error)
        raise _explained(content) from error


def image_id(image: Image.Image) -> str:
    """Return what a picture is known by: a hash of its size and pixels, as 32 hexadecimal digits.

    Args:
        image: What `decode_image` returned.
    """
    digest = hashlib.sha256(f"{image.width}x{image.height}".encode())
    digest.update(image.tobytes())
    return digest.hexdigest()[:32]


def check_stored(content: bytes) -> None:
    """Make sure that bytes are a picture as a dataset stores it, by decoding all of it.

    Args:
        content: The bytes of the file.

    Raises:
        UnreadableImageError: If they are no whole JPEG, or larger than any that is stored; the message says why.
    """
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as opened:
            _check_pixels(opened.size)
            if max(opened.size) > MAX_STORED_SIDE:
                raise UnreadableImageError(
                    _("it is larger than {limit:,} pixels on a side").format(limit=MAX_STORED_SIDE),
                    "too_large",
                )
            _check_scans(opened, content)
            # Every byte is read, and only an eighth of the pixels computed.
            opened.draft(None, (1, 1))
            opened.load()
    except UnreadableImageError:
        raise
    except MemoryError as error:
        raise UnreadableImageError(_not_enough_memory(), "unreadable") from error
    except DECODER_ERRORS as error:
        raise _explained(content) from error


def encode_jpeg(image: Image.Image, quality: int = JPEG_QUALITY) -> bytes:
    """Encode a picture without any metadata (no place, no camera, no date).

    Args:
        image: What `decode_image` returned.
        quality: 1-100; the higher, the truer and the larger.

    Returns:
        The bytes of a JPEG file.
    """
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def _decoded(opened: Image.Image, content: bytes) -> DecodedImage:
    size = opened.size
    image, orientation = upright_rgb(opened)
    can_be_stored = (
        opened.format in ("JPEG", "MPO")
        and opened.mode in ("L", "RGB")
        and orientation not in range(2, 9)
        and transform_to_srgb(opened.info.get("icc_profile"), "RGB") is None
        and max(size) <= MAX_STORED_SIDE
    )
    width, height = size[::-1] if orientation in ON_ITS_SIDE else size
    return DecodedImage(image, width, height, content if can_be_stored else None)


def _check_size(size: tuple[int, int]) -> None:
    _check_pixels(size)
    if min(size) < MIN_SIDE:
        raise UnreadableImageError(
            _(
                "it is too small ({width:,} × {height:,} pixels; at least {limit} on each side are needed)"
            ).format(width=size[0], height=size[1], limit=MIN_SIDE),
            "too_small",
        )


def _check_pixels(size: tuple[int, int]) -> None:
    width, height = size
    allowed = limits()
    if width * height > allowed.pixels:
        raise UnreadableImageError(
            _("it is too large ({width:,} × {height:,} pixels; up to {limit} megapixels are read)").format(
                width=width, height=height, limit=allowed.megapixels
            ),
            "too_large",
        )


def _coded_sizes(image: Image.Image, content: bytes) -> list[tuple[int, int]]:
    """Return the sizes of what is decoded before a HEIC or AVIF is cropped to the size that it shows."""
    if image.format not in ("HEIF", "AVIF"):
        return []
    return [struct.unpack(">II", size) for size in _CODED_SIZE.findall(content)]


def _check_scans(image: Image.Image, content: bytes) -> None:
    if image.format in ("JPEG", "MPO") and content.count(_SCAN) > _MOST_SCANS:
        raise UnreadableImageError(_("it is made so that decoding it takes very long"), "unsafe")


def _check_checksums(image: Image.Image, content: bytes) -> None:
    # PNG carries checksums that load() passes over; verify() spoils the image it is called on.
    if image.format == "PNG":
        with Image.open(io.BytesIO(content), formats=("PNG",)) as copy:
            copy.verify()


def _explained(content: bytes) -> UnreadableImageError:
    """Say in words why bytes are no picture, from how they begin."""
    start = content[:4096].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        reason = _("it is a web page, not a picture")
    elif start.startswith(b"<") and b"<svg" in start:
        reason = _("it is an SVG drawing; save it as PNG or JPEG first")
    elif content.startswith(_ARCHIVE_STARTS):
        reason = _("it is an archive, not a picture; unpack it and add what is in it")
    elif _looks_like_picture(content):
        return UnreadableImageError(_("the picture is cut off or damaged"), "damaged")
    else:
        reason = _("it is not a picture, whatever its name says")
    return UnreadableImageError(reason, "not_an_image")


def _looks_like_picture(content: bytes) -> bool:
    starts = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
    is_webp = content[:4] == b"RIFF" and content[8:12] == b"WEBP"
    is_heif = content[4:8] == b"ftyp" and content[8:12] in _HEIF_BRANDS
    return content.startswith(starts) or is_webp or is_heif


def _not_enough_memory() -> str:
    return _("there was not enough memory to read it; close other programs and add it again")
