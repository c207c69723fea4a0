"""Varied views of a training image, so that a network does not learn a photo by heart.

Exported scripts carry this file, so it needs Pillow and numpy alone.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageEnhance

if TYPE_CHECKING:
    from transfer_core.config import AugmentationKind, AugmentationStrength, TrainingConfig
    from transfer_core.types import Pixels


# Part of the key of every cached view: raise it when the same choices give other pixels.
_VERSION = 1


@dataclass(frozen=True)
class _Range:
    """How far a view may be from the picture: degrees, and shares of zoom, light and colour."""

    degrees: float
    zoom: float
    color: float


_RANGES: dict[AugmentationStrength, _Range] = {
    "off": _Range(0, 0, 0),
    "light": _Range(7, 0.1, 0.1),
    "medium": _Range(15, 0.2, 0.2),
    "strong": _Range(30, 0.35, 0.4),
}


@dataclass(frozen=True)
class Augmentation:
    """Which changes a view may have, and how strong.

    Args:
        strength: How far a view may be from the picture.
        kinds: Mirroring left and right, turning, zooming with a shift, light and colour.

    Example:
        >>> Augmentation("light", ("flip",)).key
        'light:flip:1'
    """

    strength: AugmentationStrength
    kinds: tuple[AugmentationKind, ...]

    @classmethod
    def of(cls, config: TrainingConfig) -> Augmentation:
        """Return what the choices of a run mean."""
        return cls(config.augmentation, config.augmentation_kinds)

    @property
    def key(self) -> str:
        """Names the choices in the keys of cached views."""
        return f"{self.strength}:{'+'.join(sorted(self.kinds))}:{_VERSION}"

    def view(self, pixels: Pixels, image_id: str, *draw: int) -> Pixels:
        """Return one view of a picture, the same for the same arguments on every machine.

        Args:
            pixels: Raw pixels in 0-255, `[size, size, 3]`, uint8.
            image_id: Names the picture.
            draw: Numbers that name the view, such as its place, or seed and epoch.

        Returns:
            Pixels of the same shape.
        """
        image_number = int.from_bytes(hashlib.sha256(image_id.encode()).digest()[:4], "big")
        random = np.random.default_rng([image_number, *draw])
        # Drawn in this order whatever the kinds, so that leaving one out does not change the others.
        is_mirrored = random.random() < 0.5
        turn, zoom, across, down, light, contrast, color = random.uniform(-1, 1, 7)
        reach = _RANGES[self.strength]
        if "flip" in self.kinds and is_mirrored and self.strength != "off":
            pixels = pixels[:, ::-1]
        has_turn, has_zoom = "rotation" in self.kinds, "zoom" in self.kinds
        pixels = _moved(
            pixels,
            degrees=turn * reach.degrees * has_turn,
            zoom=1 + zoom * reach.zoom * has_zoom,
            shift=(across * reach.zoom / 2 * has_zoom, down * reach.zoom / 2 * has_zoom),
        )
        if "color" in self.kinds:
            pixels = _colored(pixels, *(1 + part * reach.color for part in (light, contrast, color)))
        return np.ascontiguousarray(pixels)


def _moved(pixels: Pixels, degrees: float, zoom: float, shift: tuple[float, float]) -> Pixels:
    """Turn, enlarge and shift a picture about its middle; what comes in from outside is its mirror image."""
    if (degrees, zoom, *shift) == (0, 1, 0, 0):
        return pixels
    size = len(pixels)
    margin = size // 2
    wide = Image.fromarray(np.pad(pixels, ((margin, margin), (margin, margin), (0, 0)), mode="reflect"))
    cosine, sine = (function(math.radians(degrees)) / zoom for function in (math.cos, math.sin))
    middle = size / 2
    # Pillow asks where in the source each pixel of the result comes from.
    across = middle + margin + shift[0] * size - cosine * middle - sine * middle
    down = middle + margin + shift[1] * size + sine * middle - cosine * middle
    coefficients = (cosine, sine, across, -sine, cosine, down)
    moved = wide.transform(
        (size, size), Image.Transform.AFFINE, coefficients, resample=Image.Resampling.BICUBIC
    )
    return np.asarray(moved, dtype=np.uint8)


def _colored(pixels: Pixels, light: float, contrast: float, color: float) -> Pixels:
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image = ImageEnhance.Brightness(image).enhance(light)
    image = ImageEnhance.Contrast(image).enhance(contrast)
    image = ImageEnhance.Color(image).enhance(color)
    return np.asarray(image, dtype=np.uint8)
