"""Mixed precision: where it is available, and how the layers of a backbone switch to it and back.

The layers of the backbone compute in float16, except those that scale pixels. The new layers, all weights and every
file are float32 (Micikevicius et al., "Mixed Precision Training", 2018).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from transfer_core.backbones.runtime import gpu_details
from transfer_core.events import PrecisionReason

if TYPE_CHECKING:
    import keras

MIXED_PRECISION = "mixed_float16"
# Of the first GPUs with tensor cores, of 2017. Older ones compute float16 no faster than float32.
_LEAST_CAPABILITY = (7, 0)


class Float16OverflowError(Exception):
    """A number was too large for float16, or is no number, in a training with mixed precision."""


def reason_against_mixed_precision() -> PrecisionReason:
    """Return why this process computes in float32; empty if its GPU has mixed precision. Loads TensorFlow."""
    gpu = gpu_details()
    if not gpu:
        return "no_gpu"
    return "" if gpu.get("compute_capability", (0, 0)) >= _LEAST_CAPABILITY else "old_gpu"


def use_mixed_precision(body: keras.Model) -> None:
    """Let the layers of a backbone compute in float16.

    Args:
        body: A backbone of one training alone. Its weights remain float32.
    """
    import keras

    # Pixels have a larger range than the rest, and scaling them costs next to nothing.
    scaling = (keras.layers.InputLayer, keras.layers.Rescaling, keras.layers.Normalization)
    for layer in body.layers:
        if not isinstance(layer, scaling):
            layer.dtype_policy = MIXED_PRECISION


def use_float32(model: keras.Model) -> None:
    """Let all layers of a model compute in float32 again, as in every saved model.

    A function that Keras has traced for another model with these layers, such as a compiled tail, keeps its precision.
    """
    for layer in model.layers:
        layer.dtype_policy = "float32"
