"""Fast inference of a frozen network: its weights become constants of one TensorFlow graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from transfer_core.data.parallel import map_ahead, num_usable_cores
from transfer_core.training.precision import Float16OverflowError
from transfer_core.types import Array

if TYPE_CHECKING:
    import keras


class ConstantGraph:
    """A forward pass with constant weights, which TensorFlow folds: about twice as fast as the model.

    Images are computed one at a time. The outputs of an image are thus identical to the bit in any batch, so they can
    be cached; computed as a batch, their last bits would depend on the other images. Several threads may use a graph.

    Args:
        model: Runs in inference mode, with its present weights. It may have several outputs.

    Attributes:
        output_shapes: Shape of each output of one image.
        input_shape: Shape of the input: one image with a batch axis.
        function: The graph itself, from a tensor to a list of tensors.
    """

    def __init__(self, model: keras.Model) -> None:
        import keras
        import tensorflow as tf

        constants = [(variable, tf.constant(variable.numpy())) for variable in model.variables]

        def call(inputs: Any) -> Any:
            with keras.StatelessScope(state_mapping=constants):
                return keras.tree.flatten(model(inputs, training=False))

        self.input_shape = (1, *model.input.shape[1:])
        signature = tf.TensorSpec(self.input_shape, tf.float32)
        self.function: Any = tf.function(call).get_concrete_function(signature)
        self.output_shapes = tuple(tuple(output.shape[1:]) for output in model.outputs)

    def outputs(self, image: Array) -> list[Array]:
        """Return each output of one image, float32.

        Args:
            image: Input without a batch axis, of any real dtype.
        """
        import tensorflow as tf

        return [output.numpy()[0] for output in self.function(tf.constant(image[np.newaxis], tf.float32))]

    def __call__(self, images: Array) -> Array:
        """Return the first output of a batch of at least one image, computed in parallel."""
        return np.stack([outputs[0] for outputs in map_ahead(self.outputs, images)])


class MixedPrecisionGraph(ConstantGraph):
    """A constant graph of layers that compute in float16.

    Its outputs are float32 and never infinite.
    """

    def outputs(self, image: Array) -> list[Array]:
        """Return each output of one image, float32.

        Args:
            image: Input without a batch axis, of any real dtype.

        Raises:
            Float16OverflowError: If a number was too large for float16.
        """
        outputs = [output.astype(np.float32) for output in super().outputs(image)]
        if not all(np.isfinite(output).all() for output in outputs):
            raise Float16OverflowError
        return outputs


def num_graph_threads() -> int:
    """Return the number of threads of one TensorFlow operation. It affects the last bits of sums."""
    import tensorflow as tf

    return int(tf.config.threading.get_intra_op_parallelism_threads()) or num_usable_cores()
