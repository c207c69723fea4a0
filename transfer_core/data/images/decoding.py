"""Decode images safely: the only way from the bytes of a file to the pixels that a model gets.

Training, evaluation and testing share it, so that an image gives the same pixels everywhere. Only Pillow decodes, with
a list of allowed formats: other decoders are neither as strict nor as safe.
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
# A progressive JPEG of a camera has about ten. Each takes a few bytes and decodes the whole image once more.
_MOST_SCANS = 100
_SCAN = b"\xff\xda"

# Pillow registers most formats only after a first failure, and `formats=` needs them registered.
Image.init()
# One thread for each image: several images are decoded in parallel.
pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
# Pillow warns about large pictures after the fact; the limit on pixels refuses them before they are decoded.
Image.MAX_IMAGE_PIXELS = None
# Warnings about odd tags and palettes; an image that cannot be decoded raises an error anyway.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

_HEIF_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_ARCHIVE_STARTS = (b"PK\3\4", b"PK\5\6", b"Rar!", b"7z\xbc\xaf", b"\x1f\x8b", b"BZh", b"\xfd7zXZ")
_CODED_SIZE = re.compile(rb"ispe\0\0\0\0(.{8})", re.DOTALL)


@dataclass(frozen=True)
class DecodedImage:
    """A decoded image with the size of its original.

    Args:
        image: Upright, RGB, at most 1,024 pixels on its longer side, without metadata.
        width: Of the original when it is upright, in pixels.
        height: Of the original when it is upright, in pixels.
        original: The content of the file, if its compressed pixels can be stored unchanged.
    """

    image: Image.Image
    width: int
    height: int
    original: bytes | None = None

    def to_jpeg(self) -> bytes:
        """Return the bytes of a JPEG file without any metadata (no location, camera or date)."""
        as_it_came = jpeg_without_metadata(self.original) if self.original else None
        return as_it_came or encode_jpeg(self.image)


def decode_image(content: bytes) -> Image.Image:
    """Decode an image: upright, RGB, at most 1,024 pixels on its longer side.

    Applies the EXIF orientation, lays transparency over white, scales 16-bit greys, converts colours to sRGB, and takes
    the first frame of an animation.

    Args:
        content: The bytes of the file.

    Returns:
        A Pillow image in mode RGB without metadata.

    Raises:
        UnreadableImageError: If the bytes are not a whole picture in an allowed format; the message says why.
    """
    return read_image(content).image


def read_image(content: bytes) -> DecodedImage:
    """Decode an image as `decode_image` does, and keep the size of the original.

    Args:
        content: The bytes of the file.

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
    """Return the id of an image: a hash of its size and pixels, as 32 hexadecimal digits.

    Args:
        image: From `decode_image`.
    """
    digest = hashlib.sha256(f"{image.width}x{image.height}".encode())
    digest.update(image.tobytes())
    return digest.hexdigest()[:32]


def check_stored(content: bytes) -> None:
    """Raise an error unless the bytes are an image as a dataset stores it. Decodes all of it.

    Args:
        content: The bytes of the file.

    Raises:
        UnreadableImageError: If they are no whole JPEG, or larger than a stored one can be; the message says why.
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
    """Encode an image as JPEG without any metadata (no location, camera or date).

    Args:
        image: From `decode_image`.
        quality: 1-100.

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
    """Return the sizes that a HEIC or AVIF is decoded to before it is cropped to its size."""
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
    """Return the error about bytes that are no image, with the reason that their start suggests."""
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
