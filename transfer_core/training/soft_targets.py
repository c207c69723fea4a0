"""Learn from the answers of a larger model as well as from the labels.

Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network" (2015): how sure a large model is of each wrong
class tells a small one which classes look alike, which a label alone does not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from transfer_core.data.dataset import ImageDataset
from transfer_core.types import Array

if TYPE_CHECKING:
    import keras

# From the images, and a function that takes the number of images done, to the teacher's probabilities by image id, in
# the order of the dataset's classes.
TeacherOutputs = Callable[[ImageDataset, Callable[[int], None]], Mapping[str, Array]]

# As Keras keeps probabilities from 0 before it takes their logarithm.
_EPSILON = 1e-7


def with_answers(labels: Array, answers: Array) -> Array:
    """Put labels and the large model's answers side by side, as the targets of one training.

    Args:
        labels: Class index of each image.
        answers: Probabilities of the large model for each, `[num_images, num_classes]`.

    Returns:
        `[num_images, 2 * num_classes]` in float32: the labels one-hot, then the answers.
    """
    one_hot = np.eye(answers.shape[1], dtype=np.float32)[labels]
    return np.concatenate([one_hot, answers.astype(np.float32)], axis=1)


def labels_of(targets: Array) -> Array:
    """Return the class index of each image, from labels or from what `with_answers` returned."""
    return targets if targets.ndim == 1 else targets[:, : targets.shape[1] // 2].argmax(axis=1)


def distillation_loss(
    temperature: float, share: float, label_smoothing: float
) -> Callable[[keras.KerasTensor, keras.KerasTensor], keras.KerasTensor]:
    """Return the loss for targets of `with_answers`.

    Args:
        temperature: Both models' answers are softened by it before they are compared; above 0.
        share: How much the large model's answers count, 0-1; the labels count for the rest.
        label_smoothing: Share of the certainty taken from the right class, 0-0.5.

    Returns:
        A function of targets and probabilities. The large model's part is the divergence from its answers rather
        than the cross-entropy, which has the same gradients and is 0 for the same answers; it is multiplied by the
        square of the temperature, so that its gradients do not shrink with it.
    """
    from keras import ops

    def loss(targets: keras.KerasTensor, probabilities: keras.KerasTensor) -> keras.KerasTensor:
        num_classes = probabilities.shape[-1]
        one_hot, answers = targets[:, :num_classes], targets[:, num_classes:]
        logs = ops.log(ops.clip(probabilities, _EPSILON, 1.0))
        smooth = one_hot * (1 - label_smoothing) + label_smoothing / num_classes
        from_labels = -ops.sum(smooth * logs, axis=-1)
        # The logarithm of a softmax differs from what went into it by a constant, which a softmax takes out again.
        mine = ops.log_softmax(logs / temperature, axis=-1)
        theirs = ops.log_softmax(ops.log(ops.clip(answers, _EPSILON, 1.0)) / temperature, axis=-1)
        from_answers = ops.sum(ops.exp(theirs) * (theirs - mine), axis=-1)
        return (1 - share) * from_labels + share * temperature**2 * from_answers

    return loss


def accuracy(targets: keras.KerasTensor, probabilities: keras.KerasTensor) -> keras.KerasTensor:
    """Return whether each image is right by its label; a metric for targets of `with_answers`."""
    from keras import ops

    labels = ops.argmax(targets[:, : probabilities.shape[-1]], axis=-1)
    return ops.cast(ops.equal(labels, ops.argmax(probabilities, axis=-1)), "float32")
