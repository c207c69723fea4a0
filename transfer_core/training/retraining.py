"""Train again, from the start and on other images, with the epochs that led to the kept weights of a training."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from transfer_core.config import TrainingConfig
from transfer_core.events import best_of
from transfer_core.training.batches import TrainingBatches
from transfer_core.training.checkpoint import Checkpoint, Progress
from transfer_core.training.features.feature_cache import FeaturesStoppedError
from transfer_core.training.phase_trainer import PhaseTrainer
from transfer_core.types import Array, ShouldStop

_SECONDS_BETWEEN_EVENTS = 0.1
_SECONDS_BETWEEN_CHECKPOINTS = 20.0


@dataclass(frozen=True)
class KeptEpochs:
    """Epochs of one phase that led to the kept weights.

    Args:
        phase: Index of the phase.
        first: The first of them, counted from 1 over all phases.
        num_epochs: How many.
    """

    phase: int
    first: int
    num_epochs: int


def kept_epochs(progress: Progress) -> list[KeptEpochs]:
    """Return the epochs that led to the kept weights, by phase.

    Each phase begins with the best weights of those before it, so later epochs of an earlier phase led nowhere.

    Args:
        progress: Of a training that has finished its phases.
    """
    ends = (0, *progress.phase_ends)
    kept: list[KeptEpochs] = []
    epochs = list(progress.epochs)
    while best := best_of(epochs):
        phase = next((number for number, end in enumerate(progress.phase_ends) if best.epoch <= end), 0)
        if best.epoch > ends[phase]:
            kept.insert(0, KeptEpochs(phase, ends[phase] + 1, best.epoch - ends[phase]))
        epochs = [epoch for epoch in epochs if epoch.epoch <= ends[phase]] if phase else []
    return kept


class Retrainer:
    """Trains the layers of a finished training again: without validation, curves or early stopping.

    The compiled graphs of that training are used again; only weights and optimizers go back to their start.

    Args:
        kept: What led to the kept weights.
        phase_trainer: Returns the trainer of a phase with its compiled layers.
        config: For the batch size and the seed.
        restart: Sets the weights back to the start of the training.
        class_weights: Returns the weights in the loss for the labels of a training.
        should_stop: Called after each batch.
    """

    def __init__(
        self,
        kept: Sequence[KeptEpochs],
        phase_trainer: Callable[[int], PhaseTrainer],
        config: TrainingConfig,
        restart: Callable[[], None],
        class_weights: Callable[[Array], Sequence[float] | None],
        should_stop: ShouldStop,
    ) -> None:
        self._kept = kept
        self._phase_trainer = phase_trainer
        self._config = config
        self._restart = restart
        self._class_weights = class_weights
        self._should_stop = should_stop

    def train(
        self,
        batches_of: Callable[[int], TrainingBatches],
        labels: Array,
        on_step: Callable[[int], None] = lambda num_done: None,
        checkpoint: Checkpoint | None = None,
        save: Callable[[Checkpoint], None] = lambda checkpoint: None,
        fit_head: Callable[[], None] | None = None,
    ) -> bool:
        """Train from the start, or from a checkpoint; return whether the loss remained a finite number.

        Args:
            batches_of: Returns the images by the index of a phase.
            labels: Class index of each image, for the class weights.
            on_step: Called with the number of batches done in all.
            checkpoint: Where to resume; its progress counts the phases in `kept`.
            save: Writes a checkpoint, every 20 seconds at most.
            fit_head: Sets the head of the first phase in place of its epochs, where it has a closed form.

        Raises:
            FeaturesStoppedError: If `should_stop` returned true.
        """
        reached = checkpoint.progress if checkpoint else Progress()
        self._restart()
        saved_at = emitted_at = time.monotonic()
        num_done = 0
        for place, kept in enumerate(self._kept):
            batches = batches_of(kept.phase)
            num_batches = batches.num_batches(self._config.batch_size)
            if fit_head and kept.phase == 0:
                fit_head()
            if place < reached.phase or (fit_head and kept.phase == 0):
                num_done += kept.num_epochs * num_batches
                continue
            compiled = self._phase_trainer(kept.phase).compiled
            compiled.restart(self._class_weights(labels), num_batches)
            begun = Progress(phase=place)
            if checkpoint and place == reached.phase:
                compiled.restore(checkpoint)
                begun = reached
                num_done += begun.epoch * num_batches + begun.step
            for progress, (features, targets) in self._steps(kept, batches, begun):
                if progress.step == 1:
                    compiled.set_random_states(kept.first + progress.epoch)
                loss, _accuracy = compiled.train_on_batch(features, targets)
                num_done += 1
                now = time.monotonic()
                if now - emitted_at >= _SECONDS_BETWEEN_EVENTS:
                    emitted_at = now
                    on_step(num_done)
                if not math.isfinite(loss):
                    return False
                if now - saved_at >= _SECONDS_BETWEEN_CHECKPOINTS:
                    saved_at = now
                    save(compiled.checkpoint(progress, []))
                if self._should_stop():
                    raise FeaturesStoppedError
        return True

    def _steps(
        self, kept: KeptEpochs, batches: TrainingBatches, begun: Progress
    ) -> Iterator[tuple[Progress, tuple[Array, Array]]]:
        """Yield each batch with the progress after it."""
        for epoch in range(begun.epoch, kept.num_epochs):
            first = begun.step if epoch == begun.epoch else 0
            shuffled = batches.shuffled_batches(
                self._config.batch_size, self._config.seed, kept.first + epoch, first
            )
            for step, batch in enumerate(shuffled, first + 1):
                yield Progress(phase=begun.phase, epoch=epoch, step=step), batch
