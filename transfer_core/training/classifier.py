"""Build a classifier from a backbone and a new head, and split it at the boundary of the frozen layers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from transfer_core.config import TrainingConfig
from transfer_core.training.features.frozen_network import body_for
from transfer_core.training.freezing import POOLING_LAYER, FreezePlan
from transfer_core.training.heads import LINEAR_HEADS, LinearHead

if TYPE_CHECKING:
    import keras

OUTPUT_LAYER = "new_layer"
CENTRE_LAYER = "centre"


def build_classifier(
    plan: FreezePlan, num_classes: int, config: TrainingConfig, body: keras.Model | None = None
) -> keras.Model:
    """Build the backbone with a new head. Its layers are frozen by `plan.apply`, not here.

    Args:
        plan: The backbone and the head.
        num_classes: Number of outputs.
        config: For dropout and the seed.
        body: The built backbone; that of `body_for` if not given. Its weights are replaced if the plan is from
            scratch.

    Returns:
        A flat functional model from pixels in 0-255, `[batch, size, size, 3]`, to `[batch, num_classes]`.

    Raises:
        WeightsError: If the pretrained weights are missing or damaged.
    """
    import keras

    body = body or body_for(plan)
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
    if plan.head in LINEAR_HEADS:
        # Subtracts its moving mean. Keras's Normalization would not follow `set_weights`.
        x = keras.layers.BatchNormalization(
            epsilon=0.0, center=False, scale=False, trainable=False, name=CENTRE_LAYER
        )(x)
        x = keras.layers.UnitNormalization(name="unit_length")(x)
        return keras.layers.Dense(
            num_classes, activation="softmax", kernel_initializer="zeros", name=OUTPUT_LAYER
        )(x)
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


def set_linear_head(model: keras.Model, head: LinearHead, share: float = 1.0) -> None:
    """Set the layers of a classifier, or of its tail, to a head on centred features of unit length.

    Args:
        model: Its plan has such a head.
        head: The mean and the weights.
        share: Of the way from the present weights of the last layer to those of the head, 0-1. The mean is set as a
            whole.
    """
    model.get_layer(CENTRE_LAYER).moving_mean.assign(head.mean)
    output = model.get_layer(OUTPUT_LAYER)
    for weight, goal in ((output.kernel, head.kernel), (output.bias, head.bias)):
        present = weight.numpy()
        weight.assign(goal if share == 1.0 else present + share * (goal - present))


def split_at_boundary(
    model: keras.Model, boundary_layer: str | None
) -> tuple[keras.Model | None, keras.Model]:
    """Return the frozen prefix and the trainable tail of a classifier. They share its layers.

    Args:
        model: The classifier.
        boundary_layer: The plan's; None gives no prefix, and the whole network as the tail.
    """
    import keras

    tail = tail_behind(model, boundary_layer)
    if boundary_layer is None:
        return None, tail
    return keras.Model(model.input, model.get_layer(boundary_layer).output), tail


def tail_behind(model: keras.Model, boundary_layer: str | None) -> keras.Model:
    """Return the trainable part of a classifier. It shares its layers.

    Args:
        model: The classifier.
        boundary_layer: The plan's; None gives the whole network.
    """
    import keras

    # Not `model` itself: the tail is compiled, and a compiled model is saved with its optimizer.
    start = model.input if boundary_layer is None else model.get_layer(boundary_layer).output
    return keras.Model(start, model.output)


def _randomise(body: keras.Model, seed: int) -> None:
    """Draw the kernels of a fresh network from a seed, as in He et al. (2015)."""
    import keras

    draws = np.random.default_rng([seed, 0])
    for layer in body.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            # Keras's 0.99 needs hundreds of steps to adapt; few photos give a handful per epoch.
            layer.momentum = 0.9
        for weight in layer.weights:
            if weight.name.endswith("kernel"):
                initializer = keras.initializers.HeNormal(seed=int(draws.integers(2**31)))
                shape = weight.shape
                if isinstance(layer, keras.layers.DepthwiseConv2D) or weight.name == "depthwise_kernel":
                    # A depthwise kernel has one input channel; Keras would count all channels as inputs.
                    shape = (*shape[:2], 1, math.prod(shape[2:]))
                weight.assign(keras.ops.reshape(initializer(shape), weight.shape))
