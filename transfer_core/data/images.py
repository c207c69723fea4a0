"""The one way from the bytes of a picture to the pixels a network sees.

Training, evaluation and testing all come through here, so that a picture means the same everywhere. Only
Pillow decodes, with a list of allowed formats: other decoders are neither as strict nor as safe.
"""

from __future__ import annotations

import io
import struct
import warnings
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from transfer_core.errors import UnreadableImageError
from transfer_core.language import _

ALLOWED_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF")
MAX_PIXELS = 64_000_000
MIN_SIDE = 8
# Twice the input of the largest network in common use; keeps a phone photo under half a megabyte.
MAX_STORED_SIDE = 1024
JPEG_QUALITY = 95

# Pillow registers most formats only after a first failure, and `formats=` needs them registered.
Image.init()
# Pillow warns about large pictures after the fact; MAX_PIXELS refuses them before they are decoded.
Image.MAX_IMAGE_PIXELS = None
# Notes about odd tags and palettes; what cannot be decoded fails, and the person is told of that.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

# What Pillow's decoders raise on damaged or hostile bytes (seen by feeding them mutated files).
_DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    EOFError,
    OverflowError,
    ZeroDivisionError,
    MemoryError,
    RuntimeError,
    struct.error,
)
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode_image(content: bytes) -> Image.Image:
    """Decode a picture: upright, RGB, at most 1,024 pixels on its longer side.

    The EXIF orientation is applied, transparency is laid over white, 16-bit greys are scaled, and of an
    animation the first frame counts.

    Args:
        content: The bytes of the file.

    Returns:
        A Pillow image in mode RGB without metadata.

    Raises:
        UnreadableImageError: If the bytes are not a whole picture in an allowed format; the message says why.
    """
    if not content:
        raise UnreadableImageError(_("the file is empty (0 bytes)"))
    try:
        with Image.open(io.BytesIO(content), formats=ALLOWED_FORMATS) as opened:
            _check_size(opened)
            _check_checksums(opened, content)
            opened.draft(None, (MAX_STORED_SIDE, MAX_STORED_SIDE))
            opened.load()
            image = _to_rgb(_upright(opened))
    except UnreadableImageError:
        raise
    except _DECODER_ERRORS as error:
        raise UnreadableImageError(_explain(content)) from error
    image.info = {}
    return image


def to_pixels(image: Image.Image, image_size: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Resize a decoded picture to the input of a network.

    The whole picture is kept and squeezed into a square, with antialiasing (bicubic): measured against
    cropping and padding in docs/image-path.md.

    Args:
        image: What `decode_image` returned.
        image_size: Side of the square, in pixels.

    Returns:
        Raw pixels in 0-255, `[image_size, image_size, 3]`, uint8.
    """
    return np.asarray(image.resize((image_size, image_size), Image.Resampling.BICUBIC), dtype=np.uint8)


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


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise UnreadableImageError(
            _("it is too large ({width:,} × {height:,} pixels; up to {limit} megapixels are read)").format(
                width=width, height=height, limit=MAX_PIXELS // 1_000_000
            )
        )
    if min(width, height) < MIN_SIDE:
        raise UnreadableImageError(
            _("it is too small ({width} × {height} pixels; at least {limit} on each side are needed)").format(
                width=width, height=height, limit=MIN_SIDE
            )
        )


def _check_checksums(image: Image.Image, content: bytes) -> None:
    # PNG carries checksums that load() passes over; verify() spoils the image it is called on.
    if image.format == "PNG":
        with Image.open(io.BytesIO(content), formats=("PNG",)) as copy:
            copy.verify()


def _upright(image: Image.Image) -> Image.Image:
    # ImageOps.exif_transpose also writes the EXIF anew, which fails on the odd tags of some cameras.
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except _DECODER_ERRORS:
        return image
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8))
    if image.mode == "F":
        image = Image.fromarray(_float_to_8_bits(np.nan_to_num(np.asarray(image))))
    if image.has_transparency_data:
        image = _shrunk(image, "RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return _shrunk(image, "RGB").copy()


def _shrunk(image: Image.Image, mode: str) -> Image.Image:
    # In place where it can be: each copy of a large picture takes a quarter of a gigabyte.
    if image.mode != mode:
        image = image.convert(mode)
    image.thumbnail((MAX_STORED_SIDE, MAX_STORED_SIDE), Image.Resampling.LANCZOS)
    return image


def _float_to_8_bits(grey: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    # Nothing in such a file says how bright white is: 1, 255 or 65,535, whichever fits.
    brightest = grey.max()
    white = 1 if brightest <= 1 else 255 if brightest <= 255 else 65535
    return (grey.clip(0, white) * (255 / white)).round().astype(np.uint8)


def _explain(content: bytes) -> str:
    """Say in words why bytes are no picture, from how they begin."""
    start = content[:4096].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return _("it is a web page, not a picture")
    if start.startswith(b"<") and b"<svg" in start:
        return _("it is an SVG drawing; save it as PNG or JPEG first")
    if content[4:8] == b"ftyp" and content[8:12] in _HEIC_BRANDS:
        return _("it is in Apple's HEIC format, which is not read yet; save it as JPEG first")
    if _looks_like_picture(content):
        return _("the picture is cut off or damaged")
    return _("it is not a picture, whatever its name says")


def _looks_like_picture(content: bytes) -> bool:
    starts = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
    is_webp = content[:4] == b"RIFF" and content[8:12] == b"WEBP"
    is_avif = content[4:12] in (b"ftypavif", b"ftypavis")
    return content.startswith(starts) or is_webp or is_avif
