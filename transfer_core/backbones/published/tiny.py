"""Networks with random weights, small enough for a test to train in a second."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class RandomWeights:
    """Random weights, the same every time.

    Args:
        checksum: Identifies them.
        seed: None keeps the weights that the network was built with.
    """

    checksum: str
    seed: int | None = None
    are_available: bool = True

    def load(self, model: keras.Model) -> None:
        """Draw the kernels as He et al. (2015) did."""
        if self.seed is None:
            return
        draws = np.random.default_rng(self.seed)
        for weight in model.weights:
            if weight.name.endswith("kernel"):
                # A depthwise kernel, with one output for each channel, sees one channel at a time.
                num_inputs = math.prod(weight.shape[:2] if weight.shape[-1] == 1 else weight.shape[:-1])
                weight.assign(draws.normal(0, math.sqrt(2 / num_inputs), weight.shape))


def build_tiny(*, name: str, image_size: int) -> keras.Model:
    """Build three strided convolutions with random weights from a fixed seed.

    Args:
        name: Of the model.
        image_size: Side of the square input, in pixels.

    Returns:
        A functional model from raw RGB pixels (0-255) to a feature map of 32 channels.
    """
    import keras

    inputs = keras.Input((image_size, image_size, 3), name="pixels")
    x = keras.layers.Rescaling(1 / 128, offset=-127 / 128, name="stem_rescaling")(inputs)
    for layer, num_filters in (("stem", 8), ("block1", 16), ("block2", 32)):
        x = keras.layers.Conv2D(
            num_filters,
            3,
            strides=2,
            padding="same",
            use_bias=False,
            kernel_initializer=keras.initializers.HeNormal(seed=num_filters),
            name=f"{layer}_conv",
        )(x)
        x = keras.layers.BatchNormalization(name=f"{layer}_bn")(x)
        x = keras.layers.ReLU(6.0, name=f"{layer}_relu")(x)
    return keras.Model(inputs, x, name=name)
