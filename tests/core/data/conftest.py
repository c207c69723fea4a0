"""Images with different fingerprints, as photos have."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

MakePhoto = Callable[..., Image.Image]


@pytest.fixture(scope="session")
def make_photo() -> MakePhoto:
    """`make_photo(3)` gives a picture of soft spots of color with finer ones in them; another seed, other spots."""
    return _photo


def _photo(seed: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    random = np.random.default_rng(seed)
    layers = [
        Image.fromarray(random.integers(0, 256, (cells, cells, 3), dtype=np.uint8)).resize(
            size, Image.Resampling.BICUBIC
        )
        for cells in (4, 9, 24)
    ]
    return Image.blend(Image.blend(layers[0], layers[1], 0.4), layers[2], 0.3)
