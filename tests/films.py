"""Tiny videos for tests."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

SIZE = (96, 64)
WITHOUT_PYAV = "needs PyAV: pip install -r requirements-video.txt"
CODECS = {
    "mp4": ("mp4", "mpeg4", "yuv420p"),
    "mov": ("mov", "mpeg4", "yuv420p"),
    "m4v": ("mp4", "mpeg4", "yuv420p"),
    "webm": ("webm", "libvpx", "yuv420p"),
    "mkv": ("matroska", "mpeg4", "yuv420p"),
    "avi": ("avi", "mjpeg", "yuvj420p"),
}


def scene(number: int, size: tuple[int, int] = SIZE) -> Image.Image:
    """A picture with large shapes and sharp edges, which differs from that of any other number."""
    cells = np.random.default_rng(number).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    return Image.fromarray(cells).resize(size, Image.Resampling.NEAREST)


def film(
    images: Sequence[Image.Image], kind: str = "mp4", *, rotation: int = 0, rate: int = 10, gop: int = 12
) -> io.BytesIO:
    """Encode images as a video. Skips the test without PyAV."""
    av = pytest.importorskip("av", reason=WITHOUT_PYAV)
    container_format, codec, pixel_format = CODECS[kind]
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container_format) as container:
        # Otherwise the encoder adds a key frame wherever the scene changes.
        options = {"sc_threshold": "1000000000"} if codec == "mpeg4" else {}
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height = images[0].size
        stream.pix_fmt = pixel_format
        stream.codec_context.gop_size = gop
        stream.bit_rate = 4_000_000
        if rotation:
            stream.set_display_rotation(rotation)
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_image(image)))
        container.mux(stream.encode())
    buffer.seek(0)
    return buffer
