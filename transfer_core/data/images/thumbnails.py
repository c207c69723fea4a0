"""Small copies of photos for a screen."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image


def thumbnail(image: Image.Image, side: int, quality: int = 80) -> bytes:
    """Return a small copy of a picture as a JPEG. Shrinks `image` itself.

    Args:
        image: What `decode_image` returned.
        side: Of the square that it fits into, in pixels.
        quality: 1-100.
    """
    image.thumbnail((side, side))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def stored_thumbnail(path: Path, side: int) -> bytes:
    """Return a small copy of an image of a dataset as a JPEG; empty where its file is missing or damaged.

    Args:
        path: A JPEG that `ingest` has written.
        side: Of the square that it fits into, in pixels.
    """
    try:
        with Image.open(path, formats=("JPEG",)) as opened:
            # Decode only as many pixels as are needed.
            opened.draft("RGB", (side, side))
            return thumbnail(opened, side)
    except OSError:
        return b""
