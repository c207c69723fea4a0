"""Turn an opened image into the pixels that a model gets: upright, RGB, resized.

Exported models contain this file, so that an image gives the same pixels there as in the app. It needs only Pillow and
NumPy.
"""

from __future__ import annotations

import io
import math
import struct
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageFile

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
NumberKind = Literal["integers", "floats"]
Values = np.ndarray[Any, Any]
# White in files of 8, 10, 12, 14 and 16 bits: nothing in a 16-bit file says how many of its bits the camera filled.
_INTEGER_WHITES = (255, 1023, 4095, 16383, 65535)
_FLOAT_WHITES = (1, *_INTEGER_WHITES)
_LARGEST_16_BITS = 65535
_ALL_16_BITS: tuple[float, float] = (0.0, 65535.0)
# Larger floats mark pixels without a value.
_LARGEST_FLOAT = 1e30
# Percent of the pixels that may be hot or dead.
_OUTLIERS = 0.1
_PIXELS_TO_MEASURE = 1_000_000
_PHOTOMETRIC_TAG, _WHITE_IS_ZERO = 262, 0


class GreyRanges(NamedTuple):
    """Lowest and highest value, which become black and white, in files with more than 8 bits.

    The same for all photos of a dataset and for those that its models answer, so that brightness keeps its meaning.

    Args:
        integers: In files of whole numbers; None if the dataset has no such file.
        floats: In files of floating-point numbers; None if the dataset has no such file.
    """

    integers: tuple[float, float] | None = None
    floats: tuple[float, float] | None = None

    def of(self, kind: NumberKind) -> tuple[float, float] | None:
        """Return the range for one kind of number."""
        return self.integers if kind == "integers" else self.floats


UNKNOWN_RANGES = GreyRanges()


class ValueExtent(NamedTuple):
    """Lowest and highest value of a file with more than 8 bits, without a thousandth of the pixels at either end."""

    kind: NumberKind
    low: float
    high: float


class UprightImage(NamedTuple):
    """A decoded image: upright, RGB, at most 1,024 pixels on its longer side, without metadata.

    Args:
        image: In mode RGB.
        orientation: Of its file by EXIF, 1 by default.
        extent: Of the values of a file with more than 8 bits.
    """

    image: Image.Image
    orientation: int
    extent: ValueExtent | None = None


def upright_rgb(opened: ImageFile.ImageFile, ranges: GreyRanges = UNKNOWN_RANGES) -> UprightImage:
    """Decode an opened image.

    Args:
        opened: From `PIL.Image.open`, not yet loaded.
        ranges: Black and white for files with more than 8 bits. Where none is known, black is 0, and white is that of
            the smallest number of bits that holds the values of the file.
    """
    if opened.format in ("JPEG", "MPO"):
        _reduce_while_decoding(opened)
    _forget_xmp(opened)
    values = _portable_map(opened) if opened.format == "PPM" else _colors_of_16_bits(opened, ranges)
    if values is None or opened.format != "PPM":
        opened.load()
    orientation = _orientation(opened)
    image, extent = _with_8_bits(opened, values, ranges)
    image = _to_rgb(image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image)
    image.info = {}
    return UprightImage(image, orientation, extent)


def white_of(kind: NumberKind, highest: float) -> float | None:
    """Return white in the smallest usual number of bits that holds a value; None if none does.

    Args:
        kind: Of number in the file.
        highest: Value in it.
    """
    whites = _INTEGER_WHITES if kind == "integers" else _FLOAT_WHITES
    return next((white for white in whites if highest <= white), None)


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


def _forget_xmp(image: Image.Image) -> None:
    # Pillow takes the orientation from XMP where EXIF has none; browsers and phones do not.
    for name in ("xmp", "XML:com.adobe.xmp"):
        image.info.pop(name, None)


def _orientation(image: Image.Image) -> int:
    # Once more: in a PNG it may follow the pixels.
    _forget_xmp(image)
    # ImageOps.exif_transpose also writes the EXIF again, which fails on the odd tags of some cameras.
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except DECODER_ERRORS:
        return 1
    return orientation if isinstance(orientation, int) else 1


def _with_8_bits(
    image: Image.Image, values: Values | None, ranges: GreyRanges
) -> tuple[Image.Image, ValueExtent | None]:
    """Return an image with 8 bits a value, and the extent of its values if it had more.

    Args:
        image: Loaded, unless there are `values`.
        values: Of its pixels, where Pillow's are not good enough.
        ranges: Black and white.
    """
    if values is None and (image.mode == "F" or image.mode.startswith("I")):
        values = np.asarray(image)
    if values is None:
        return image, None
    if values.dtype == np.uint8:
        return Image.fromarray(values), None
    kind: NumberKind = "floats" if values.dtype.kind == "f" else "integers"
    hidden = image.info.get("transparency")
    is_clear = np.zeros(values.shape[:2], bool) if hidden is None else values == hidden
    if is_clear.ndim == 3:
        is_clear = is_clear.all(axis=2)
    has_alpha = values.ndim == 3 and values.shape[2] in (2, 4)
    extent = _extent(kind, values[..., :-1] if has_alpha else values, is_clear)
    shades = _scaled(values, ranges.of(kind) or (0, white_of(kind, extent.high) or _LARGEST_16_BITS))
    if _is_white_at_zero(image):
        shades = 255 - shades
    if has_alpha:
        shades[..., -1] = values[..., -1] >> 8
    shades[is_clear] = 255
    scaled = Image.fromarray(shades)
    scaled.info = {name: value for name, value in image.info.items() if name == "icc_profile"}
    return scaled, extent


def _extent(kind: NumberKind, values: Values, is_clear: np.ndarray[Any, np.dtype[np.bool_]]) -> ValueExtent:
    step = int((is_clear.size / _PIXELS_TO_MEASURE) ** 0.5) + 1
    measured = values[::step, ::step][~is_clear[::step, ::step]]
    if kind == "floats":
        measured = measured[np.abs(measured) < _LARGEST_FLOAT]
    if not measured.size:
        return ValueExtent(kind, 0, 0)
    low = np.percentile(measured, _OUTLIERS, method="lower")
    high = np.percentile(measured, 100 - _OUTLIERS, method="higher")
    return ValueExtent(kind, float(low), float(high))


def _scaled(values: Values, limits: tuple[float, float]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    low, high = limits
    # A table of all values takes far less memory than a copy of a large picture in floats.
    is_table = values.dtype == np.uint16
    shades = (np.arange(_LARGEST_16_BITS + 1) if is_table else values).astype(np.float32)
    np.nan_to_num(shades, copy=False, nan=low)
    np.clip(shades, low, high, out=shades)
    shades -= low
    shades *= 255 / max(high - low, 1e-9)
    rounded = shades.round(out=shades).astype(np.uint8)
    return rounded[values] if is_table else rounded


def _is_white_at_zero(image: Image.Image) -> bool:
    # Pillow turns such files over only where they have 8 bits.
    tags = getattr(image, "tag_v2", None)
    return tags is not None and tags.get(_PHOTOMETRIC_TAG) == _WHITE_IS_ZERO


def _portable_map(opened: ImageFile.ImageFile) -> Values | None:
    """Return the values of a PGM or PPM with its own value for white, of 8 or 16 bits; None for other files.

    Pillow takes a second for each million of them.
    """
    tile = opened.tile[0]
    if tile.codec_name != "ppm" or not isinstance(tile.args, tuple) or opened.fp is None:
        return None
    white = int(tile.args[1])
    width, height = opened.size
    shape = (height, width, 3) if opened.mode == "RGB" else (height, width)
    kind = np.dtype(np.uint8 if white < 256 else ">u2")
    opened.fp.seek(tile.offset)
    stored = np.frombuffer(opened.fp.read(math.prod(shape) * kind.itemsize), kind).reshape(shape)
    largest = 255 if white < 256 else _LARGEST_16_BITS
    scaled = np.minimum(np.arange(largest + 1) * (largest / white) + 0.5, largest)
    values: Values = scaled.astype(np.uint8 if white < 256 else np.uint16)[stored]
    return values


def _colors_of_16_bits(opened: ImageFile.ImageFile, ranges: GreyRanges) -> Values | None:
    """Return the values of a PNG or TIFF with 16-bit colours, `[height, width, bands]`; None where Pillow's do.

    Pillow keeps only the upper byte of each value, so the file is decoded once more.
    """
    arguments = opened.tile[0].args if opened.format in ("PNG", "TIFF") and opened.tile else None
    raw = str(arguments[0] if isinstance(arguments, tuple) else arguments)
    if not raw.startswith(("RGB;16", "RGBA;16", "RGBX;16", "LA;16")):
        return None
    if ranges.integers == _ALL_16_BITS and "transparency" not in opened.info:
        return None
    if raw.startswith("LA"):
        # Two values of 16 bits take as many bytes as four of 8.
        pairs = _decoded_as(opened, "RGBA")
        return pairs[..., ::2].astype(np.uint16) << 8 | pairs[..., 1::2]
    upper = _decoded_as(opened, raw)
    lower = _decoded_as(opened, raw[:-1] + ("L" if raw.endswith("B") else "B"))
    return upper.astype(np.uint16) << 8 | lower


def _decoded_as(opened: ImageFile.ImageFile, raw: str) -> Values:
    """Return the pixels of the opened page of a file, its bytes read as Pillow's mode `raw`."""
    file = opened.fp
    assert file is not None
    place = file.tell()
    file.seek(0)
    content = file.read()
    file.seek(place)
    with Image.open(io.BytesIO(content), formats=(str(opened.format),)) as copy:
        copy.seek(opened.tell())
        _forget_xmp(copy)
        copy.tile = [
            tile._replace(args=(raw, *tile.args[1:]) if isinstance(tile.args, tuple) else raw)
            for tile in copy.tile
        ]
        return np.asarray(copy)


def _to_rgb(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
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
