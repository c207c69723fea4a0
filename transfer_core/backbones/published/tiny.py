"""A network small enough for a test to train in a second; same shape of facts as the real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


def build_tiny() -> keras.Model:
    """Build three strided convolutions with random weights from a fixed seed.

    Returns:
        A functional model from raw RGB pixels (0-255), 32 pixels a side, to a feature map of 32 channels.
    """
    import keras

    inputs = keras.Input((32, 32, 3), name="pixels")
    x = keras.layers.Rescaling(1 / 128, offset=-127 / 128, name="stem_rescaling")(inputs)
    for name, num_filters in (("stem", 8), ("block1", 16), ("block2", 32)):
        x = keras.layers.Conv2D(
            num_filters,
            3,
            strides=2,
            padding="same",
            use_bias=False,
            kernel_initializer=keras.initializers.HeNormal(seed=num_filters),
            name=f"{name}_conv",
        )(x)
        x = keras.layers.BatchNormalization(name=f"{name}_bn")(x)
        x = keras.layers.ReLU(6.0, name=f"{name}_relu")(x)
    return keras.Model(inputs, x, name="tiny_random")
