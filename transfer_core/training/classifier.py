"""A backbone with a new last layer, cut in two where the frozen part ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transfer_core.config import TrainingConfig
from transfer_core.training.freezing import POOLING_LAYER, FreezePlan

if TYPE_CHECKING:
    import keras


def build_classifier(plan: FreezePlan, num_classes: int, config: TrainingConfig) -> keras.Model:
    """Build the whole network: raw pixels in, one probability for each class out.

    Args:
        plan: The backbone; which of its blocks learn is decided by `plan.apply`.
        num_classes: Number of outputs.
        config: For dropout and the seed.

    Returns:
        A flat functional model from pixels in 0-255, `[batch, size, size, 3]`, to `[batch, num_classes]`.

    Raises:
        WeightsError: If the pretrained weights are missing or damaged.
    """
    import keras

    body = plan.backbone.build()
    x = keras.layers.GlobalAveragePooling2D(name=POOLING_LAYER)(body.output)
    x = keras.layers.Dropout(config.dropout, seed=config.seed, name="dropout")(x)
    outputs = keras.layers.Dense(
        num_classes,
        activation="softmax",
        kernel_initializer=keras.initializers.GlorotUniform(seed=config.seed),
        name="new_layer",
    )(x)
    return keras.Model(body.input, outputs, name="classifier")


def split_at_boundary(
    model: keras.Model, boundary_layer: str | None
) -> tuple[keras.Model | None, keras.Model]:
    """Return the frozen prefix and the trainable tail of a classifier. They share its layers.

    Args:
        model: What `build_classifier` returned.
        boundary_layer: The plan's; with None there is no prefix and the tail is the whole model.
    """
    import keras

    if boundary_layer is None:
        return None, model
    boundary = model.get_layer(boundary_layer).output
    return keras.Model(model.input, boundary), keras.Model(boundary, model.output)
