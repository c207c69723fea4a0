"""Turn an opened image into the pixels that a model gets: upright, RGB, resized.

Exported models contain this file, so that an image gives the same pixels there as in the app. It needs only Pillow and
NumPy.
"""

from __future__ import annotations

import io
import struct
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageCms

# Twice the input of the largest network in common use; keeps a phone photo under half a megabyte.
MAX_STORED_SIDE = 1024
# A JPEG decodes at a half, a quarter or an eighth of its size for a fraction of the time. When that leaves
# at least so many pixels it is small enough as it is: resizing once more takes longer than decoding.
_MIN_REDUCED_SIDE = 768
# Errors of Pillow's decoders on damaged or hostile bytes (found by feeding them mutated files).
DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    EOFError,
    OverflowError,
    ZeroDivisionError,
    RuntimeError,
    struct.error,
)
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
ON_ITS_SIDE = {5, 6, 7, 8}


def upright_rgb(opened: Image.Image) -> tuple[Image.Image, int]:
    """Decode an opened image: upright, RGB, at most 1,024 pixels on its longer side.

    Args:
        opened: From `PIL.Image.open`, not yet loaded.

    Returns:
        An image in mode RGB without metadata, and the EXIF orientation of its file, 1 by default.
    """
    if opened.format in ("JPEG", "MPO"):
        _reduce_while_decoding(opened)
    opened.load()
    orientation = _orientation(opened)
    image = _to_rgb(opened.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else opened)
    image.info = {}
    return image, orientation


def to_pixels(image: Image.Image, image_size: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Resize a decoded image to the input of a model.

    The whole image is squeezed into a square, with antialiasing (bicubic): compared with cropping and padding in
    docs/image-path.md.

    Args:
        image: From `decode_image`.
        image_size: Side of the square, in pixels.

    Returns:
        Raw pixels in 0-255, `[image_size, image_size, 3]`, uint8.
    """
    return np.asarray(image.resize((image_size, image_size), Image.Resampling.BICUBIC), dtype=np.uint8)


def _reduce_while_decoding(jpeg: Image.Image) -> None:
    scale = next((scale for scale in (8, 4, 2) if max(jpeg.size) // scale >= _MIN_REDUCED_SIDE), 1)
    width, height = (max(side // scale, 1) for side in jpeg.size)
    jpeg.draft(None, (width, height))


def _orientation(image: Image.Image) -> int:
    # ImageOps.exif_transpose also writes the EXIF again, which fails on the odd tags of some cameras.
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except DECODER_ERRORS:
        return 1
    return orientation if isinstance(orientation, int) else 1


def _to_rgb(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8))
    if image.mode == "F":
        image = Image.fromarray(_float_to_8_bits(np.nan_to_num(np.asarray(image))))
    if image.has_transparency_data:
        image = _shrunk(image, "RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = _shrunk(image, "CMYK" if image.mode == "CMYK" else "RGB")
    transform = transform_to_srgb(profile, image.mode)
    if transform is not None:
        return ImageCms.applyTransform(image, transform) or image
    # The pixels without the file they came from; a copy of a small photo takes a third as long as decoding it.
    return image._new(image.im) if image.mode == "RGB" else image.convert("RGB")


def _shrunk(image: Image.Image, mode: str) -> Image.Image:
    # In place where it can be: each copy of a large picture takes a quarter of a gigabyte.
    if image.mode != mode:
        image = image.convert(mode)
    image.thumbnail((MAX_STORED_SIDE, MAX_STORED_SIDE), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return image


@lru_cache(maxsize=16)
def transform_to_srgb(profile: bytes | None, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the transform from the colours of a profile to sRGB; None if they are sRGB already or unknown.

    Args:
        profile: The ICC profile of an image.
        mode: Pillow's mode of the image, such as `"RGB"`.
    """
    if not isinstance(profile, bytes):
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).casefold():
            return None
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, *DECODER_ERRORS):
        return None


def _float_to_8_bits(grey: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    # Nothing in such a file says how bright white is: 1, 255 or 65,535, whichever fits.
    brightest = grey.max()
    white = 1 if brightest <= 1 else 255 if brightest <= 255 else 65535
    return (grey.clip(0, white) * (255 / white)).round().astype(np.uint8)
