"""Combine EfficientNet-Lite networks into careful ones: mirrored views, regions, and two networks side by side.

Pooled features are averaged over the views of a photo and joined over the networks; docs/backbones.md has the gain in
accuracy. The views of a photo run through the network as one batch, so that every layer is
used once: cuts, weights by name and exports work as for any other network.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from transfer_core.backbones.published.efficientnet_lite import PackageWeights, efficientnet_lite_map

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class CombinedWeights:
    """ImageNet weights of several networks, each in an installed Python package.

    Args:
        parts: The name that the layers of each network begin with, and its weights.
    """

    parts: tuple[tuple[str, PackageWeights], ...]

    @property
    def checksum(self) -> str:
        """SHA-256 of the names and checksums of the parts."""
        facts = "".join(f"{name} {part.checksum}\n" for name, part in self.parts)
        return hashlib.sha256(facts.encode()).hexdigest()

    @property
    def are_available(self) -> bool:
        """Whether all packages are installed."""
        return all(part.are_available for _name, part in self.parts)

    def load(self, model: keras.Model) -> None:
        """Set the weights of a network of `build_careful`.

        Raises:
            WeightsError: If the weights are missing or damaged.
        """
        for name, part in self.parts:
            part.load(model, f"{name}_")


def build_careful(
    *,
    name: str,
    image_size: int,
    networks: Mapping[str, Mapping[str, float]],
    is_mirrored: bool = False,
    has_regions: bool = False,
) -> keras.Model:
    """Build EfficientNet-Lite networks side by side with fresh weights.

    Args:
        name: Of the model.
        image_size: Side of the square input, in pixels; the same for all networks.
        networks: Width and depth of each network, by the name that its layers begin with.
        is_mirrored: Whether features are the mean of the photo and its mirror image. Classes that differ in left
            and right alone then look the same.
        has_regions: Whether each quarter of the photo has channels of its own, so that pooled features know where
            things are.

    Returns:
        A flat functional model from raw RGB pixels (0-255) to a feature map of 1280 channels for each network and
        region.
    """
    import keras

    pixels = keras.Input((image_size, image_size, 3), name="pixels")
    views = pixels
    if is_mirrored:
        views = keras.layers.Concatenate(axis=0, name="views")([pixels, keras.ops.flip(pixels, axis=2)])
    maps = [
        efficientnet_lite_map(views, prefix=f"{network}_", **scale) for network, scale in networks.items()
    ]
    feature_map = keras.layers.Concatenate(name="networks")(maps) if len(maps) > 1 else maps[0]
    if is_mirrored:
        photo, mirrored = keras.ops.split(feature_map, 2, axis=0)
        # Mirrored back, so that heat maps and flattened maps keep their positions.
        feature_map = keras.layers.Average(name="views_mean")([photo, keras.ops.flip(mirrored, axis=2)])
    return keras.Model(pixels, _by_region(feature_map) if has_regions else feature_map, name=name)


def _by_region(feature_map: keras.KerasTensor) -> keras.KerasTensor:
    """Return the map four times, each with zeros outside one corner; the corners of an odd map overlap by a row.

    The map keeps its size, so that heat maps show positions as with any other network.
    """
    import keras

    side = feature_map.shape[1]
    corners = [
        (rows, columns)
        for rows in ((0, side // 2), (side // 2, 0))
        for columns in ((0, side // 2), (side // 2, 0))
    ]
    parts = [
        keras.layers.ZeroPadding2D(corner, name=f"region_{number}")(
            keras.layers.Cropping2D(corner, name=f"corner_{number}")(feature_map)
        )
        for number, corner in enumerate(corners)
    ]
    return keras.layers.Concatenate(name="regions")(parts)
