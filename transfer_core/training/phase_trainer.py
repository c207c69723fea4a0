"""Train one phase: loop over epochs and batches, keep the weights of the lowest validation loss, save checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from msgspec import structs

from transfer_core.config import TrainingConfig
from transfer_core.events import BatchEnded, EpochEnded, PhaseStarted, StartScored, TrainingEvent
from transfer_core.training.batches import LabelledFeatures, scored_positions
from transfer_core.training.checkpoint import Arrays, Checkpoint, Progress
from transfer_core.training.classifier import set_linear_head
from transfer_core.training.compiled_tail import CompiledTail
from transfer_core.training.freezing import FreezePlan
from transfer_core.training.heads import LinearHead
from transfer_core.training.machine import process_memory
from transfer_core.training.optimizers import learning_rate_schedule
from transfer_core.training.phase_data import PhaseData
from transfer_core.training.precision import Float16OverflowError
from transfer_core.training.schedule import PlannedPhase
from transfer_core.types import Array, ShouldStop

if TYPE_CHECKING:
    import keras

_SECONDS_BETWEEN_BATCH_EVENTS = 0.1
# Saving a checkpoint takes a few milliseconds for a head and half a second for a whole network.
_SECONDS_BETWEEN_CHECKPOINTS = 5.0
_MOST_SECONDS_WITHOUT_CHECKPOINT = 20.0
# A stop waits for the current batch; batches of a deep tail take longer.
_VALIDATION_BATCH_SIZES = {True: 64, False: 16}
_MOST_SECONDS_OF_VALIDATION_AFTER_STOP = 1.0
# Keras clips probabilities at this value before the logarithm.
_EPSILON = 1e-7


class PhaseTrainer:
    """Trains the tail of a classifier for a number of epochs, or until early stopping.

    Keras's `fit` sets up its input pipeline again in each epoch; on cached features that takes longer than the
    epoch itself (measured in docs/training-loop.md). This class calls `train_on_batch` instead, with batches whose
    order depends on seed and epoch alone.

    Args:
        phase: What is trainable, number of epochs and learning rate.
        data: The tail of the model and its batches.
        config: For optimizer, loss and early stopping.
        model: The whole classifier.
        class_weights: Weight of an image of each class in the loss; None if all are equal.
        emit: Called with each event as it happens.
        should_stop: Called after each batch; may block while the run is paused.
        clock: Returns the time in seconds since 1970.
        save: Writes a checkpoint.
        goal: The head that a cross-validation measured, for the same images: the weights approach it from epoch to
            epoch, and are its weights after the last. None trains freely.

    Attributes:
        plan: What is trainable.
        data: The tail of the model and its batches.
        compiled: The tail with its optimizer and loss.
    """

    def __init__(
        self,
        phase: PlannedPhase,
        data: PhaseData,
        config: TrainingConfig,
        model: keras.Model,
        class_weights: Sequence[float] | None,
        emit: Callable[[TrainingEvent], None],
        should_stop: ShouldStop,
        clock: Callable[[], float],
        save: Callable[[Checkpoint], None],
        goal: LinearHead | None = None,
    ) -> None:
        self.plan = phase.plan
        self._phase = phase
        self.data = data
        self._config = config
        self._emit = emit
        self._should_stop = should_stop
        self._clock = clock
        self._save = save
        self._goal = goal
        self._num_batches = data.train.num_batches(config.batch_size)
        self.compiled = CompiledTail(phase, data.tail, config, model, class_weights, self._num_batches)
        self._tail = data.tail
        self._progress = Progress()
        self._best_weights: Arrays = []
        self._saved_at = 0.0
        self._paused_seconds = 0.0
        self._emitted_at = -math.inf
        self._first_image = 0
        self._validation_seconds = 0.0

    def run(self, checkpoint: Checkpoint) -> tuple[Progress, bool]:
        """Train the phase and set the best weights of the training so far.

        Args:
            checkpoint: Where to resume; one without weights begins the phase.

        Returns:
            Progress, and whether the loss is still a finite number.
        """
        self._restore(checkpoint)
        num_steps = self._phase.num_epochs * self._num_batches
        now = self._clock()
        self._saved_at = now - self._paused_seconds
        self._emit(PhaseStarted(now, self._phase.name, num_steps, self._step))
        if self.plan.is_all_frozen and checkpoint.progress == Progress():
            self._score_start()
        is_in_bounds = True
        while self._has_next_epoch and is_in_bounds:
            is_in_bounds = self._train_epoch()
            if self._is_to_stop():
                break
        self._tail.set_weights(self._best_weights)
        if is_in_bounds and not self._has_next_epoch:
            self._progress = Progress(
                phase=self._progress.phase + 1,
                best_loss=self._progress.best_loss,
                epochs=self._progress.epochs,
                phase_ends=(*self._progress.phase_ends, self._progress.last_epoch),
            )
        return self._progress, is_in_bounds

    def predict(self, images: LabelledFeatures) -> Array:
        """Return softmax outputs, `[num_images, num_classes]`, for features at the boundary of this phase."""
        return predict(self._tail, images, self.plan)

    @property
    def _step(self) -> int:
        return self._progress.epoch * self._num_batches + self._progress.step

    @property
    def _has_next_epoch(self) -> bool:
        """Whether epochs are left and early stopping has not ended the phase."""
        patience = self._config.early_stopping_patience
        is_worse = 0 < patience <= self._progress.num_worse_epochs
        return self._progress.epoch < self._phase.num_epochs and not is_worse

    def _is_to_stop(self) -> bool:
        """Return whether to stop. `should_stop` blocks during a pause, which does not count as work."""
        called_at = time.monotonic()
        is_to_stop = self._should_stop()
        self._paused_seconds += time.monotonic() - called_at
        return is_to_stop

    def _restore(self, checkpoint: Checkpoint) -> None:
        self._progress = checkpoint.progress
        if checkpoint.weights:
            self.compiled.restore(checkpoint)
        self._best_weights = checkpoint.best_weights or self._tail.get_weights()

    def _score_start(self) -> None:
        """Emit the scores before the first step. With frozen layers this takes milliseconds."""
        if not isinstance(self.data.train, LabelledFeatures):
            return
        train, validation = (
            Scores.of(self.predict(split), split.labels) for split in (self.data.train, self.data.validation)
        )
        self._emit(
            StartScored(
                self._clock(),
                train.loss,
                train.accuracy,
                validation.loss,
                validation.accuracy,
                validation.correct,
            )
        )

    def _train_epoch(self) -> bool:
        """Train on every image once, then validate. Return whether the loss is finite."""
        progress = self._progress
        config = self._config
        epoch = len(progress.epochs) + 1
        if progress.step == 0:
            self.compiled.set_random_states(epoch)
        batches = self.data.train.shuffled_batches(config.batch_size, config.seed, epoch, progress.step)
        is_in_bounds = True
        for features, targets in batches:
            is_in_bounds = self._train_batch(epoch, features, targets)
            if self._is_to_stop() or not is_in_bounds:
                break
        is_whole = self._progress.step == self._num_batches
        if self._goal and is_whole:
            share = (self._progress.epoch + 1) / self._phase.num_epochs
            set_linear_head(self._tail, self._goal, share**2)
        scored = self._validate()
        if self.compiled.is_mixed and scored and not math.isfinite(scored.loss):
            raise Float16OverflowError
        if scored is not None:
            ended = self._end_epoch(epoch, scored, is_whole=is_whole)
            # Resuming behind a partial epoch would lead to other weights.
            if is_whole and is_in_bounds and math.isfinite(ended.val_loss):
                self._save_if_older_than(_SECONDS_BETWEEN_CHECKPOINTS, ended.time)
        return is_in_bounds

    def _train_batch(self, epoch: int, features: Array, targets: Array) -> bool:
        loss, accuracy = self.compiled.train_on_batch(features, targets)
        self._progress = _plus(self._progress, loss, accuracy, len(features))
        self._first_image += len(features)
        now = self._clock()
        # Ten events a second are enough for a chart; a thousand would fill the log.
        if now - self._emitted_at >= _SECONDS_BETWEEN_BATCH_EVENTS:
            self._emitted_at = now
            self._emit(self._batch_ended(now, epoch, loss))
        is_last = self._progress.step == self._num_batches
        if math.isfinite(loss) and not is_last:
            self._save_if_older_than(_MOST_SECONDS_WITHOUT_CHECKPOINT, now)
        return math.isfinite(loss)

    def _batch_ended(self, now: float, epoch: int, loss: float) -> BatchEnded:
        progress = self._progress
        return BatchEnded(
            now,
            epoch,
            self._step,
            progress.loss,
            progress.accuracy,
            self._first_image,
            loss,
            self._learning_rate(),
            progress.step / self._num_batches,
        )

    def _validate(self) -> Scores | None:
        """Return the scores of the validation images, or None if a stop cannot wait for them."""
        validation: LabelledFeatures = self.data.validation
        parts: list[Array] = []
        stop_seen_at: float | None = None
        if self._validation_seconds > _MOST_SECONDS_OF_VALIDATION_AFTER_STOP and self._is_to_stop():
            return None
        began = time.monotonic() - self._paused_seconds
        for features, _targets in validation.batches(_VALIDATION_BATCH_SIZES[self._phase.plan.is_all_frozen]):
            if stop_seen_at is None and self._is_to_stop():
                stop_seen_at = time.monotonic()
            elif stop_seen_at and time.monotonic() - stop_seen_at > _MOST_SECONDS_OF_VALIDATION_AFTER_STOP:
                return None
            parts.append(self._tail.predict_on_batch(features))
        self._validation_seconds = time.monotonic() - self._paused_seconds - began
        return Scores.of(np.concatenate(parts), validation.labels)

    def _end_epoch(self, epoch: int, validation: Scores, *, is_whole: bool) -> EpochEnded:
        """Keep the weights if they are the best. A partial epoch, after a stop, is not counted as done."""
        progress = self._progress
        val_loss = validation.loss
        now = self._clock()
        ended = EpochEnded(
            now,
            epoch,
            self._phase.name,
            progress.loss,
            progress.accuracy,
            val_loss,
            validation.accuracy,
            self._learning_rate(),
            process_memory(),
            validation.correct,
        )
        # NaN compares as not less, so it is never the best.
        if val_loss < progress.best_loss:
            self._best_weights = self._tail.get_weights()
        is_better = val_loss < progress.phase_best_loss
        self._progress = Progress(
            phase=progress.phase,
            epoch=progress.epoch + is_whole,
            best_loss=val_loss if val_loss < progress.best_loss else progress.best_loss,
            phase_best_loss=val_loss if is_better else progress.phase_best_loss,
            num_worse_epochs=0 if is_better else progress.num_worse_epochs + is_whole,
            epochs=(*progress.epochs, ended),
            phase_ends=progress.phase_ends,
        )
        self._emit(ended)
        return ended

    def _save_if_older_than(self, seconds: float, now: float) -> None:
        """Save a checkpoint if the last one is `seconds` of work old."""
        if now - self._paused_seconds - self._saved_at < seconds:
            return
        self._saved_at = now - self._paused_seconds
        self._save(self.compiled.checkpoint(self._progress, self._best_weights))

    def _learning_rate(self) -> float:
        # The optimizer's own property is the rate of the next step.
        num_steps = self._phase.num_epochs * self._num_batches
        schedule = learning_rate_schedule(self._phase.learning_rate, num_steps)
        # Mixed precision may have skipped the first step.
        return float(schedule(max(int(self._tail.optimizer.iterations.numpy()) - 1, 0)))


@dataclass(frozen=True)
class Scores:
    """Scores of the images of one split.

    Args:
        loss: Mean cross-entropy.
        accuracy: 0-1.
        correct: A digit for each image at `scored_positions`.
    """

    loss: float
    accuracy: float
    correct: str = ""

    @classmethod
    def of(cls, probabilities: Array, labels: Array) -> Scores:
        """Return the scores of softmax outputs, `[num_images, num_classes]`."""
        of_truth = probabilities[np.arange(len(labels)), labels]
        loss = float(np.mean(-np.log(np.clip(of_truth, _EPSILON, 1.0))))
        is_correct = probabilities.argmax(axis=1) == labels
        digits = "".join("01"[correct] for correct in is_correct[scored_positions(len(labels))].tolist())
        return cls(loss, float(np.mean(is_correct)), digits)


def predict(tail: keras.Model, images: LabelledFeatures, plan: FreezePlan) -> Array:
    """Return the softmax outputs of a tail, `[num_images, num_classes]`.

    Args:
        tail: The layers behind the boundary.
        images: Features at the boundary.
        plan: What is trainable.
    """
    size = _VALIDATION_BATCH_SIZES[plan.is_all_frozen]
    return np.concatenate([tail.predict_on_batch(features) for features, _y in images.batches(size)])


def _plus(progress: Progress, loss: float, accuracy: float, num_more: int) -> Progress:
    """Update the running means by one batch. Those of Keras are of one batch."""
    num_images = progress.num_images + num_more
    share = num_more / num_images
    return structs.replace(
        progress,
        step=progress.step + 1,
        num_images=num_images,
        loss=progress.loss + share * (loss - progress.loss),
        # Rounding adds up to a little above 1.
        accuracy=min(progress.accuracy + share * (accuracy - progress.accuracy), 1.0),
    )
