"""The trainable layers of one phase, compiled once and trained again from the start as often as needed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from transfer_core.config import TrainingConfig
from transfer_core.training.checkpoint import Arrays, Checkpoint, Progress
from transfer_core.training.optimizers import build_optimizer
from transfer_core.training.precision import Float16OverflowError
from transfer_core.training.schedule import PlannedPhase
from transfer_core.training.soft_targets import accuracy, distillation_loss, labels_of
from transfer_core.types import Array

if TYPE_CHECKING:
    import keras


class CompiledTail:
    """The layers behind the boundary with the optimizer and the loss of a phase.

    Args:
        phase: What is trainable, number of epochs and learning rate.
        tail: The layers.
        config: For optimizer and loss.
        model: The whole classifier.
        class_weights: Weight of an image of each class in the loss; None if all are equal.
        num_batches: Batches in one epoch.

    Attributes:
        model: The layers as a model.
        generators: Seed generators of its layers with randomness.
        is_mixed: Whether some of the layers compute in float16.
    """

    def __init__(
        self,
        phase: PlannedPhase,
        tail: keras.Model,
        config: TrainingConfig,
        model: keras.Model,
        class_weights: Sequence[float] | None,
        num_batches: int,
    ) -> None:
        import keras

        self.model = tail
        self.generators = [layer.seed_generator for layer in tail.layers if hasattr(layer, "seed_generator")]
        self._config = config
        self._num_batches = num_batches
        self._class_weights = _as_array(class_weights)
        self._pace = keras.Variable(1.0, trainable=False, name="pace")
        smoothing = config.label_smoothing
        loss: Any = "sparse_categorical_crossentropy"
        if config.teacher:
            loss = distillation_loss(config.teacher_temperature, config.teacher_share, smoothing)
        elif smoothing:
            loss = keras.losses.CategoricalCrossentropy(label_smoothing=smoothing)
        tail.compile(
            optimizer=build_optimizer(phase, config, model, phase.num_epochs * num_batches, self._pace),
            loss=loss,
            metrics=[accuracy if config.teacher else "accuracy"],
            jit_compile=False,
        )
        tail.optimizer.build(tail.trainable_variables)
        scaling = tail.optimizer
        self._optimizer = getattr(scaling, "inner_optimizer", scaling)
        self.is_mixed = self._optimizer is not scaling
        self._loss_scale = [scaling.step_counter, scaling.dynamic_scale] if self.is_mixed else []
        self._first_loss_scale = [variable.numpy() for variable in self._loss_scale]

    def checkpoint(self, progress: Progress, best_weights: Arrays) -> Checkpoint:
        """Return the state of the training, for a resume to the bit."""
        return Checkpoint(
            progress,
            self.model.get_weights(),
            best_weights,
            [variable.numpy() for variable in self._optimizer.variables],
            [generator.state.numpy() for generator in self.generators],
            [variable.numpy() for variable in self._loss_scale],
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Set the state that `checkpoint` returned."""
        self.model.set_weights(checkpoint.weights)
        for variable, value in zip(self._optimizer.variables, checkpoint.optimizer, strict=True):
            variable.assign(value)
        # A run may go on where mixed precision is not available, or only there.
        if checkpoint.loss_scale and self._loss_scale:
            for variable, value in zip(self._loss_scale, checkpoint.loss_scale, strict=True):
                variable.assign(value)
        for generator, state in zip(self.generators, checkpoint.random_states, strict=True):
            generator.state.assign(state)

    def restart(self, class_weights: Sequence[float] | None, num_batches: int) -> None:
        """Set the optimizer back to its start, for a training on other images. The graph is kept.

        The learning rate follows the schedule of the phase by epochs, also where an epoch has another number of steps.

        Args:
            class_weights: As when it was made.
            num_batches: Batches in one epoch of these images.
        """
        for variable in self._optimizer.variables:
            variable.assign(np.zeros(variable.shape))
        for variable, value in zip(self._loss_scale, self._first_loss_scale, strict=True):
            variable.assign(value)
        self._class_weights = _as_array(class_weights)
        self._pace.assign(self._num_batches / num_batches)

    def train_on_batch(self, features: Array, targets: Array) -> tuple[float, float]:
        """Take one step; return loss and accuracy before it.

        Args:
            features: At the boundary.
            targets: Labels, or `soft_targets` with a teacher.

        Raises:
            Float16OverflowError: If the loss is not finite in mixed precision. The weights have not changed.
        """
        labels = labels_of(targets)
        weights = None if self._class_weights is None else self._class_weights[labels]
        if self._config.label_smoothing and not self._config.teacher:
            targets = np.eye(self.model.output.shape[-1], dtype=np.float32)[labels]
        # Keras before 3.15 adds up its metrics over the batches.
        self.model.reset_metrics()
        logs = self.model.train_on_batch(features, targets, weights, return_dict=True)
        loss = float(logs["loss"])
        if self.is_mixed and not math.isfinite(loss):
            raise Float16OverflowError
        return loss, float(logs["accuracy"])

    def set_random_states(self, epoch: int) -> None:
        """Seed dropout for one epoch, counted from 1 over all phases."""
        set_random_states(self.generators, self._config.seed, epoch)


def set_random_states(generators: Sequence[keras.random.SeedGenerator], seed: int, epoch: int) -> None:
    """Seed the generators of dropout for one epoch, so that a resumed training draws the same numbers.

    Args:
        generators: Of the layers with randomness.
        seed: Of the training.
        epoch: Counted from 1 over all phases.
    """
    draws = np.random.default_rng([seed, epoch, 2])
    for generator in generators:
        generator.state.assign(draws.integers(2**32, size=2, dtype=np.uint32))


def _as_array(class_weights: Sequence[float] | None) -> Array | None:
    return None if class_weights is None else np.array(class_weights, np.float32)
