"""The fastest way through a frozen network: its weights as constants of one graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

Forward = Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]


def constant_graph(model: keras.Model) -> Forward:
    """Put the weights into the graph itself: TensorFlow then folds them and runs a network about twice as fast.

    Args:
        model: Used in inference mode, with its present weights.

    Returns:
        A function from a batch of inputs of any real type to a batch of float32 outputs.
    """
    import keras
    import tensorflow as tf

    constants = [(variable, tf.constant(variable.numpy())) for variable in model.variables]

    def call(inputs: Any) -> Any:
        with keras.StatelessScope(state_mapping=constants):
            return model(inputs, training=False)

    signature = tf.TensorSpec((None, *model.input.shape[1:]), tf.float32)
    graph = tf.function(call).get_concrete_function(signature)

    def forward(inputs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        result: np.ndarray[Any, Any] = graph(tf.constant(inputs, tf.float32)).numpy()
        return result

    return forward
