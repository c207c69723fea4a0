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
from collections.abc import Iterator
from dataclasses import dataclass

import pillow_heif
from PIL import Image, ImageFile

from transfer_core.data.images.image_path import (
    DECODER_ERRORS,
    MAX_STORED_SIDE,
    ON_ITS_SIDE,
    UNKNOWN_RANGES,
    GreyRanges,
    ValueExtent,
    transform_to_srgb,
    upright_rgb,
)
from transfer_core.data.images.jpeg import jpeg_without_metadata
from transfer_core.data.images.other_formats import camera_raw, is_camera_raw, why_not_read
from transfer_core.data.limits import limits
from transfer_core.errors import UnreadableImageError
from transfer_core.files import check_shortage
from transfer_core.language import _

ALLOWED_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF", "HEIF", "PPM", "JPEG2000")
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

_CODED_SIZE = re.compile(rb"ispe\0\0\0\0(.{8})", re.DOTALL)
# The size that a JPEG 2000 is decoded to, its tiles, and the layers of its quality.
_CODESTREAM_SIZE = re.compile(rb"\xff\x4f\xff\x51.{4}(.{8})", re.DOTALL)
_CODESTREAM_HEADERS = re.compile(rb"\xff\x4f\xff\x51.*?(?=\xff\x90)|\xff\x90.*?\xff\x93", re.DOTALL)
_CODING_STYLE = re.compile(rb"\xff\x52.{4}(.{2})", re.DOTALL)
_MOST_LAYERS = 100
# Values of a PPM written as text: Pillow reads a million in a second.
_MOST_TEXT_VALUES = 4_000_000
# Pages of one TIFF, and their pixels together as a multiple of those of the largest picture.
_MOST_PAGES = 500
_MOST_PIXELS_OF_PAGES = 20
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_NEW_SUBFILE_TYPE, _OLD_SUBFILE_TYPE = 254, 255
_REDUCED, _MASK, _OLD_REDUCED = 1, 4, 2


@dataclass(frozen=True)
class DecodedImage:
    """A decoded image with the size of its original.

    Args:
        image: Upright, RGB, at most 1,024 pixels on its longer side, without metadata.
        width: Of the original when it is upright, in pixels.
        height: Of the original when it is upright, in pixels.
        original: The content of the file, if its compressed pixels can be stored unchanged.
        extent: Of the values of a file with more than 8 bits.
        has_more_frames: Whether the file holds further frames or photos, which are not read.
    """

    image: Image.Image
    width: int
    height: int
    original: bytes | None = None
    extent: ValueExtent | None = None
    has_more_frames: bool = False

    def to_jpeg(self) -> bytes:
        """Return the bytes of a JPEG file without any metadata (no location, camera or date)."""
        as_it_came = jpeg_without_metadata(self.original) if self.original else None
        return as_it_came or encode_jpeg(self.image)


def decode_image(content: bytes, ranges: GreyRanges = UNKNOWN_RANGES, name: str = "") -> Image.Image:
    """Decode an image: upright, RGB, at most 1,024 pixels on its longer side.

    Applies the EXIF orientation, lays transparency over white, scales more than 8 bits to 8, converts colours to sRGB,
    and takes the first frame of an animation.

    Args:
        content: The bytes of the file.
        ranges: Black and white for files with more than 8 bits.
        name: Of the file; its ending helps to say what an unreadable one is.

    Returns:
        A Pillow image in mode RGB without metadata.

    Raises:
        UnreadableImageError: If the bytes are not a whole picture in an allowed format; the message says why.
    """
    return read_image(content, ranges, name).image


def read_image(
    content: bytes, ranges: GreyRanges = UNKNOWN_RANGES, name: str = "", page: int | None = None
) -> DecodedImage:
    """Decode an image as `decode_image` does, and keep the size of the original.

    Args:
        content: The bytes of the file.
        ranges: Black and white for files with more than 8 bits.
        name: Of the file; its ending helps to say what an unreadable one is.
        page: Of a TIFF, from 0; the first photo in it if not given.

    Raises:
        UnreadableImageError: If the bytes are not a whole picture in an allowed format; the message says why.
    """
    if not content:
        raise UnreadableImageError(_("the file is empty (0 bytes)"))
    try:
        with Image.open(io.BytesIO(content), formats=ALLOWED_FORMATS) as opened:
            if is_camera_raw(opened, name):
                raise camera_raw()
            if page is None:
                page = next(iter(_pages(content)[0]), 0)
            if page:
                opened.seek(page)
            _check_size(opened.size)
            for size in _coded_sizes(opened, content):
                _check_pixels(size)
            _check_effort(opened, content)
            _check_checksums(opened, content)
            return _decoded(opened, content, ranges)
    except UnreadableImageError:
        raise
    except MemoryError as error:
        raise UnreadableImageError(_not_enough_memory(), "unreadable") from error
    except DECODER_ERRORS as error:
        check_shortage(error)
        raise why_not_read(content, name) from error


def read_pages(
    content: bytes, ranges: GreyRanges = UNKNOWN_RANGES, name: str = ""
) -> Iterator[tuple[int, DecodedImage | UnreadableImageError]]:
    """Yield the photos of a file one by one: each page of a TIFF, and the only photo of any other file.

    Smaller copies of a page are passed over.

    Args:
        content: The bytes of the file.
        ranges: Black and white for files with more than 8 bits.
        name: Of the file; its ending helps to say what an unreadable one is.

    Yields:
        The number of the page, from 1, or 0 for the only photo of a file; and the photo, or why it cannot be read.
    """
    pages, is_whole = _pages(content)
    for page in pages or [0]:
        try:
            found: DecodedImage | UnreadableImageError = read_image(content, ranges, name, page)
        except UnreadableImageError as error:
            found = error
        yield (page + 1 if len(pages) > 1 else 0), found
    if not is_whole:
        reason = _("only the first {count:,} pages of a file are read; split it").format(count=len(pages))
        yield pages[-1] + 2, UnreadableImageError(reason, "too_large")


def _pages(content: bytes) -> tuple[list[int], bool]:
    """Return the pages of a TIFF that are photos of their own, and whether these are all within the limits."""
    if not content.startswith(TIFF_STARTS):
        return [], True
    sizes: dict[int, tuple[int, int]] = {}
    page, is_whole = 0, True
    try:
        with Image.open(io.BytesIO(content), formats=("TIFF",)) as opened:
            while is_whole:
                opened.seek(page)
                if not _is_reduced(opened):
                    sizes[page] = opened.size
                page += 1
                num_pixels = sum(width * height for width, height in sizes.values())
                is_whole = len(sizes) <= _MOST_PAGES and num_pixels <= _MOST_PIXELS_OF_PAGES * limits().pixels
    except EOFError:
        pass
    except DECODER_ERRORS:
        # Reading this page says what is wrong with it.
        sizes[page] = (0, 0)
    if not is_whole and len(sizes) > 1:
        sizes.popitem()
    return [page for page, size in sizes.items() if not _is_preview(size, list(sizes.values()))], is_whole


def _is_reduced(page: Image.Image) -> bool:
    """Return whether a page of a TIFF says that it is a smaller copy of another page, or a mask."""
    tags = getattr(page, "tag_v2", {})
    kind = tags.get(_NEW_SUBFILE_TYPE, 0)
    is_other = isinstance(kind, int) and bool(kind & (_REDUCED | _MASK))
    return is_other or tags.get(_OLD_SUBFILE_TYPE) == _OLD_REDUCED


def _is_preview(size: tuple[int, int], sizes: list[tuple[int, int]]) -> bool:
    """Return whether a page has the shape of the one largest page at half its size or less."""
    largest = max(sizes)
    if 0 in size or sizes.count(largest) > 1 or 2 * size[0] > largest[0]:
        return False
    return abs(size[0] * largest[1] - size[1] * largest[0]) <= max(largest)


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
            _check_effort(opened, content)
            # Every byte is read, and only an eighth of the pixels computed.
            opened.draft(None, (1, 1))
            opened.load()
    except UnreadableImageError:
        raise
    except MemoryError as error:
        raise UnreadableImageError(_not_enough_memory(), "unreadable") from error
    except DECODER_ERRORS as error:
        raise why_not_read(content) from error


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


def _decoded(opened: ImageFile.ImageFile, content: bytes, ranges: GreyRanges) -> DecodedImage:
    size = opened.size
    has_more_frames = _has_more_frames(opened)
    image, orientation, extent = upright_rgb(opened, ranges)
    can_be_stored = (
        opened.format in ("JPEG", "MPO")
        and opened.mode in ("L", "RGB")
        and orientation not in range(2, 9)
        and transform_to_srgb(opened.info.get("icc_profile"), "RGB") is None
        and max(size) <= MAX_STORED_SIDE
    )
    width, height = size[::-1] if orientation in ON_ITS_SIDE else size
    return DecodedImage(image, width, height, content if can_be_stored else None, extent, has_more_frames)


def _has_more_frames(opened: Image.Image) -> bool:
    # Not the number of frames: for it Pillow would go through all of a GIF.
    try:
        return bool(getattr(opened, "is_animated", False))
    except DECODER_ERRORS:
        return False


def _check_size(size: tuple[int, int]) -> None:
    _check_pixels(size)
    if min(size) < MIN_SIDE:
        raise UnreadableImageError(
            _("it is too small ({width:,} × {height:,} pixels; each side needs {limit})").format(
                width=size[0], height=size[1], limit=MIN_SIDE
            ),
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
    """Return the sizes that a HEIC, AVIF or JPEG 2000 is decoded to before it is cropped to its size."""
    if image.format == "JPEG2000":
        return [struct.unpack(">II", size) for size in _CODESTREAM_SIZE.findall(content)]
    if image.format in ("HEIF", "AVIF"):
        return [struct.unpack(">II", size) for size in _CODED_SIZE.findall(content)]
    return []


def _check_effort(image: ImageFile.ImageFile, content: bytes) -> None:
    is_slow = False
    if image.format in ("JPEG", "MPO"):
        is_slow = content.count(_SCAN) > _MOST_SCANS
    elif image.format == "JPEG2000":
        headers = b"".join(_CODESTREAM_HEADERS.findall(content))
        is_slow = any(int.from_bytes(layers) > _MOST_LAYERS for layers in _CODING_STYLE.findall(headers))
    elif image.format == "PPM" and image.tile[0].codec_name == "ppm_plain":
        width, height = image.size
        is_slow = width * height * len(image.getbands()) > _MOST_TEXT_VALUES
    if is_slow:
        raise UnreadableImageError(_("it is made so that decoding it takes very long"), "unsafe")


def _check_checksums(image: Image.Image, content: bytes) -> None:
    # PNG carries checksums that load() passes over; verify() spoils the image it is called on.
    if image.format == "PNG":
        with Image.open(io.BytesIO(content), formats=("PNG",)) as copy:
            copy.verify()


def _not_enough_memory() -> str:
    return _("there was not enough memory to read it; close other programs and add it again")
