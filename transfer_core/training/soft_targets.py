"""Knowledge distillation: train on the output probabilities of a teacher (soft targets) as well as on the labels.

Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network" (2015). The teacher's probabilities of the
wrong classes show a student which classes are similar; labels do not.
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

# Keras clips probabilities at this value before the logarithm.
_EPSILON = 1e-7


def soft_targets(labels: Array, teacher_outputs: Array) -> Array:
    """Concatenate labels and the teacher's probabilities to the targets of one training.

    Args:
        labels: Class index of each image.
        teacher_outputs: Probabilities of the teacher, `[num_images, num_classes]`.

    Returns:
        `[num_images, 2 * num_classes]` in float32: one-hot labels, then the teacher's probabilities.
    """
    one_hot = np.eye(teacher_outputs.shape[1], dtype=np.float32)[labels]
    return np.concatenate([one_hot, teacher_outputs.astype(np.float32)], axis=1)


def labels_of(targets: Array) -> Array:
    """Return the class index of each image, from labels or from `soft_targets`."""
    return targets if targets.ndim == 1 else targets[:, : targets.shape[1] // 2].argmax(axis=1)


def distillation_loss(
    temperature: float, share: float, label_smoothing: float
) -> Callable[[keras.KerasTensor, keras.KerasTensor], keras.KerasTensor]:
    """Return the loss for `soft_targets`.

    Args:
        temperature: Softens the probabilities of teacher and student before they are compared; above 0.
        share: Weight of the teacher's term, 0-1; the labels have the rest.
        label_smoothing: Probability taken from the right class, 0-0.5.

    Returns:
        A function of targets and probabilities. The teacher's term is the Kullback-Leibler divergence, which has
        the gradients of the cross-entropy and is 0 for equal outputs. It is multiplied by the square of the
        temperature, so that its gradients keep their scale.
    """
    from keras import ops

    def loss(targets: keras.KerasTensor, probabilities: keras.KerasTensor) -> keras.KerasTensor:
        num_classes = probabilities.shape[-1]
        one_hot, teacher = targets[:, :num_classes], targets[:, num_classes:]
        logs = ops.log(ops.clip(probabilities, _EPSILON, 1.0))
        smooth = one_hot * (1 - label_smoothing) + label_smoothing / num_classes
        from_labels = -ops.sum(smooth * logs, axis=-1)
        # Log-probabilities can stand for logits: they differ by a constant, which the softmax cancels.
        student_logs = ops.log_softmax(logs / temperature, axis=-1)
        teacher_logs = ops.log_softmax(ops.log(ops.clip(teacher, _EPSILON, 1.0)) / temperature, axis=-1)
        from_teacher = ops.sum(ops.exp(teacher_logs) * (teacher_logs - student_logs), axis=-1)
        return (1 - share) * from_labels + share * temperature**2 * from_teacher

    return loss


def accuracy(targets: keras.KerasTensor, probabilities: keras.KerasTensor) -> keras.KerasTensor:
    """Return whether each image is classified right; a metric for `soft_targets`."""
    from keras import ops

    labels = ops.argmax(targets[:, : probabilities.shape[-1]], axis=-1)
    return ops.cast(ops.equal(labels, ops.argmax(probabilities, axis=-1)), "float32")
