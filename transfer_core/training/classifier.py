"""A backbone with new layers on top, cut in two where the frozen part ends."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from transfer_core.config import TrainingConfig
from transfer_core.training.freezing import POOLING_LAYER, FreezePlan

if TYPE_CHECKING:
    import keras

OUTPUT_LAYER = "new_layer"


def build_classifier(
    plan: FreezePlan, num_classes: int, config: TrainingConfig, body: keras.Model | None = None
) -> keras.Model:
    """Build the whole network: raw pixels in, one probability for each class out.

    Args:
        plan: The backbone and the head; which of its blocks learn is decided by `plan.apply`.
        num_classes: Number of outputs.
        config: For dropout and the seed.
        body: The backbone, where it is built already; without its weights if the plan is from scratch.

    Returns:
        A flat functional model from pixels in 0-255, `[batch, size, size, 3]`, to `[batch, num_classes]`.

    Raises:
        WeightsError: If the pretrained weights are missing or damaged.
    """
    import keras

    body = body or plan.backbone.build(pretrained=not plan.is_from_scratch)
    if plan.is_from_scratch:
        _randomise(body, config.seed)
    return keras.Model(body.input, _head(plan, num_classes, config, body.output), name="classifier")


def _head(
    plan: FreezePlan, num_classes: int, config: TrainingConfig, feature_map: keras.KerasTensor
) -> keras.KerasTensor:
    import keras

    initializer = keras.initializers.GlorotUniform
    if plan.head == "flattened_map":
        x = keras.layers.Flatten(name="flatten")(feature_map)
    else:
        x = keras.layers.GlobalAveragePooling2D(name=POOLING_LAYER)(feature_map)
    x = keras.layers.Dropout(config.dropout, seed=config.seed, name="dropout")(x)
    if plan.head == "hidden":
        x = keras.layers.Dense(
            plan.hidden_units,
            activation="relu",
            kernel_initializer=initializer(seed=config.seed + 1),
            name="hidden_layer",
        )(x)
    return keras.layers.Dense(
        num_classes,
        activation="softmax",
        kernel_initializer=initializer(seed=config.seed),
        name=OUTPUT_LAYER,
    )(x)


def split_at_boundary(
    model: keras.Model, boundary_layer: str | None
) -> tuple[keras.Model | None, keras.Model]:
    """Return the frozen prefix and the trainable tail of a classifier. They share its layers.

    Args:
        model: What `build_classifier` returned.
        boundary_layer: The plan's; with None there is no prefix and the tail is the whole network.
    """
    import keras

    if boundary_layer is None:
        # A model of its own: what is compiled is saved with its optimizer, and the tail is never saved.
        return None, keras.Model(model.input, model.output)
    boundary = model.get_layer(boundary_layer).output
    return keras.Model(model.input, boundary), keras.Model(boundary, model.output)


def _randomise(body: keras.Model, seed: int) -> None:
    """Draw the kernels of a fresh network from a seed, as He et al. (2015) did; normalisation is at rest."""
    import keras

    draws = np.random.default_rng([seed, 0])
    for layer in body.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            # The usual 0.99 takes hundreds of steps to follow; few photos give a handful in an epoch.
            layer.momentum = 0.9
        for weight in layer.weights:
            if weight.name.endswith("kernel"):
                initializer = keras.initializers.HeNormal(seed=int(draws.integers(2**31)))
                shape = weight.shape
                if isinstance(layer, keras.layers.DepthwiseConv2D) or weight.name == "depthwise_kernel":
                    # Each channel is filtered by itself; Keras would count all of them as inputs of each.
                    shape = (*shape[:2], 1, math.prod(shape[2:]))
                weight.assign(keras.ops.reshape(initializer(shape), weight.shape))
