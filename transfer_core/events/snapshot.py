"""The snapshot of a run: the fold of its events, from which pages draw."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from functools import reduce as fold
from itertools import groupby
from typing import cast

from transfer_core.events.kinds import (
    BatchEnded,
    EpochEnded,
    FoldEnded,
    HeadChosen,
    ImagesSeen,
    Outcome,
    Phase,
    PhaseStarted,
    PhotosLeftOut,
    RunContinued,
    RunEnded,
    RunPaused,
    RunResumed,
    RunStarted,
    StepsDone,
    TrainingEvent,
)

_MOST_POINTS = 800


@dataclass(frozen=True)
class BatchLoss:
    """One point of the loss curve.

    Args:
        position: In epochs, such as 2.5 for the middle of the third.
        loss: Of this batch alone.
    """

    position: float
    loss: float


@dataclass(frozen=True)
class RunSnapshot:
    """The state of a run: the fold of its events. Raw facts are stored, the rest is derived.

    `left_out` holds the original name and the class of each photo that is damaged and was left out.
    All durations leave out the time in which the training was paused or not running at all.
    """

    started_at: float | None = None
    ended_at: float | None = None
    updated_at: float | None = None
    paused_at: float | None = None
    idle_seconds: float = 0.0
    num_train_images: int = 0
    num_validation_images: int = 0
    num_epochs: int = 0
    assumed_seconds: tuple[float, ...] = ()
    seconds_before_resume: float = 0.0
    phase: Phase | None = None
    phase_number: int = 0
    phase_started_at: float = 0.0
    idle_seconds_before_phase: float = 0.0
    num_steps: int = 0
    first_step: int = 0
    step: int = 0
    num_images: int = 0
    epoch: int = 0
    batch_loss: float | None = None
    batch_accuracy: float | None = None
    batch_losses: tuple[BatchLoss, ...] = ()
    learning_rate: float | None = None
    memory_bytes: int | None = None
    head: HeadChosen | None = None
    left_out: tuple[tuple[str, str], ...] = ()
    epochs: tuple[EpochEnded, ...] = ()
    fold_accuracies: tuple[float, ...] = ()
    outcome: Outcome | None = None
    message: str = ""
    best_epoch: int = 0

    @cached_property
    def best(self) -> EpochEnded | None:
        """The epoch whose weights are kept: the one with the lowest validation loss so far."""
        return best_of(self.epochs)

    @property
    def history(self) -> dict[str, list[float]]:
        """Loss and accuracy by epoch, under Keras's names."""
        return history_of(self.epochs)

    @property
    def is_paused(self) -> bool:
        """Whether the training waits for the person."""
        return self.paused_at is not None

    @property
    def phase_seconds(self) -> float:
        """How long the present phase has been at work, in seconds."""
        idle = self.idle_seconds - self.idle_seconds_before_phase
        return max((self.updated_at or 0.0) - self.phase_started_at - idle, 0.0)

    @property
    def phase_share(self) -> float:
        """How much of the present phase is done, 0-1."""
        return min(self.step / self.num_steps, 1.0) if self.num_steps else 0.0

    @property
    def images_per_second(self) -> float | None:
        """Rate of the present phase, or None before it can be estimated."""
        return self.num_images / self.phase_seconds if self.num_images and self.phase_seconds else None

    @property
    def seconds_left(self) -> float | None:
        """Estimated time until the end of the run, or None before it can be estimated.

        The present phase is extrapolated at its rate so far. Later phases have only a prior estimate, scaled by how
        wrong the estimates were until now.
        """
        if self.outcome is not None:
            return None
        later = sum(self.assumed_seconds[self.phase_number :]) * self._pace
        num_done = self.step - self.first_step
        if num_done > 0 and self.phase_seconds:
            return self.phase_seconds / num_done * max(self.num_steps - self.step, 0) + later
        if not self.assumed_seconds:
            return None
        present = self.assumed_seconds[max(self.phase_number - 1, 0) : self.phase_number]
        return sum(present) * (1 - self.phase_share) * self._pace + later

    @property
    def _pace(self) -> float:
        """Seconds that an estimated second really takes."""
        begun = self.assumed_seconds[: self.phase_number]
        share = (self.step - self.first_step) / self.num_steps if self.num_steps else 0.0
        assumed = sum(begun[:-1]) + sum(begun[-1:]) * share
        seconds = self.seconds - self.seconds_before_resume
        return seconds / assumed if assumed >= 1 and seconds > 0 else 1.0

    @property
    def seconds(self) -> float:
        """Time at work in seconds, without pauses and interruptions."""
        end = self.ended_at if self.ended_at is not None else self.updated_at
        if end is None or self.started_at is None:
            return 0.0
        return max(end - self.started_at - self.idle_seconds, 0.0)


def best_of(epochs: Iterable[EpochEnded]) -> EpochEnded | None:
    """Return the epoch with the lowest finite validation loss, of equal ones the first; None without any."""
    finite = (epoch for epoch in epochs if math.isfinite(epoch.val_loss))
    return min(finite, key=lambda epoch: (epoch.val_loss, epoch.epoch), default=None)


def history_of(epochs: Iterable[EpochEnded]) -> dict[str, list[float]]:
    """Return loss and accuracy by epoch, under Keras's names."""
    names = ("loss", "accuracy", "val_loss", "val_accuracy")
    epochs = tuple(epochs)
    return {name: [getattr(epoch, name) for epoch in epochs] for name in names}


def reduce(snapshot: RunSnapshot, event: TrainingEvent) -> RunSnapshot:
    """Return the snapshot after one more event. Pure: the same events always give the same snapshot.

    Args:
        snapshot: The fold of the events before.
        event: What happened next.
    """
    match event:
        case RunStarted():
            return RunSnapshot(
                started_at=event.time,
                updated_at=event.time,
                num_train_images=event.num_train_images,
                num_validation_images=event.num_validation_images,
                num_epochs=event.num_epochs,
                assumed_seconds=event.assumed_seconds,
            )
        case RunResumed():
            return _resumed(snapshot, event)
    snapshot = replace(snapshot, updated_at=event.time)
    match event:
        case RunPaused():
            return replace(snapshot, paused_at=event.time)
        case RunContinued():
            return _continued(snapshot, event.time)
        case PhotosLeftOut():
            photos = zip(event.names, event.class_names, strict=False)
            return replace(snapshot, left_out=tuple(dict.fromkeys((*snapshot.left_out, *photos))))
        case RunEnded():
            return replace(
                _continued(snapshot, event.time),
                ended_at=event.time,
                outcome=event.outcome,
                message=event.message,
                best_epoch=event.best_epoch,
            )
    return _reduce_phase(snapshot, event)


def _continued(snapshot: RunSnapshot, time: float) -> RunSnapshot:
    """End a pause, if there is one; a run whose process dies while it is paused ends without `RunContinued`."""
    if snapshot.paused_at is None:
        return snapshot
    idle = snapshot.idle_seconds + max(time - snapshot.paused_at, 0.0)
    return replace(snapshot, paused_at=None, idle_seconds=idle)


def _resumed(snapshot: RunSnapshot, event: RunResumed) -> RunSnapshot:
    """Drop what came after the checkpoint, and count the time since then as idle."""
    idle = max(event.time - (snapshot.updated_at or event.time), 0.0)
    return replace(
        snapshot,
        started_at=event.time if snapshot.started_at is None else snapshot.started_at,
        ended_at=None,
        updated_at=event.time,
        paused_at=None,
        idle_seconds=snapshot.idle_seconds + idle,
        assumed_seconds=event.assumed_seconds,
        seconds_before_resume=snapshot.seconds,
        phase=None,
        phase_number=0,
        num_steps=0,
        first_step=0,
        step=0,
        num_images=0,
        epoch=event.epoch,
        epochs=tuple(epoch for epoch in snapshot.epochs if epoch.epoch <= event.epoch),
        batch_losses=tuple(point for point in snapshot.batch_losses if point.position <= event.epoch),
        fold_accuracies=(),
        outcome=None,
        message="",
        best_epoch=0,
    )


def _reduce_phase(snapshot: RunSnapshot, event: TrainingEvent) -> RunSnapshot:
    """Fold an event that begins a phase or is a step inside one."""
    match event:
        case PhaseStarted():
            return _phase_started(snapshot, event)
        case FoldEnded():
            accuracies = (*snapshot.fold_accuracies, event.val_accuracy)
            return replace(snapshot, step=event.fold, fold_accuracies=accuracies)
        case ImagesSeen():
            return replace(snapshot, step=event.num_done, num_images=event.num_done - snapshot.first_step)
        case StepsDone():
            return replace(snapshot, step=event.num_done)
        case HeadChosen():
            return replace(snapshot, head=event)
        case BatchEnded():
            return replace(
                snapshot,
                epoch=event.epoch,
                step=event.step,
                num_images=event.num_images,
                batch_loss=event.loss,
                batch_accuracy=event.accuracy,
                batch_losses=_with_point(snapshot.batch_losses, event),
                learning_rate=event.learning_rate,
            )
        case EpochEnded():
            return replace(
                snapshot,
                epoch=event.epoch,
                epochs=(*snapshot.epochs, event),
                learning_rate=event.learning_rate,
                memory_bytes=event.memory_bytes,
            )
    return snapshot


def _phase_started(snapshot: RunSnapshot, event: PhaseStarted) -> RunSnapshot:
    return replace(
        snapshot,
        # Photos may be read before the training starts.
        started_at=event.time if snapshot.started_at is None else snapshot.started_at,
        phase=event.phase,
        phase_number=snapshot.phase_number + 1,
        phase_started_at=event.time,
        idle_seconds_before_phase=snapshot.idle_seconds,
        num_steps=event.num_steps,
        first_step=event.first_step,
        step=event.first_step,
        num_images=0,
    )


def _with_point(points: tuple[BatchLoss, ...], event: BatchEnded) -> tuple[BatchLoss, ...]:
    """Add a point to the curve; a long curve loses every other of its older points."""
    if event.batch_loss is None:
        return points
    if len(points) >= _MOST_POINTS:
        points = points[: _MOST_POINTS // 2 : 2] + points[_MOST_POINTS // 2 :]
    return (*points, BatchLoss(event.epoch - 1 + event.epoch_share, event.batch_loss))


def snapshot_of(events: Iterable[TrainingEvent], before: RunSnapshot | None = None) -> RunSnapshot:
    """Fold events into a snapshot, many times as fast as one by one where batches follow each other.

    Args:
        events: In the order in which they happened.
        before: The fold of the events before these, if there were any.
    """
    snapshot = before or RunSnapshot()
    for kind, group in groupby(events, key=type):
        if kind is BatchEnded:
            snapshot = _batches_ended(snapshot, cast("list[BatchEnded]", list(group)))
        elif kind is ImagesSeen:
            # Each replaces the one before it.
            *_earlier, last = group
            snapshot = reduce(snapshot, last)
        else:
            snapshot = fold(reduce, group, snapshot)
    return snapshot


def _batches_ended(snapshot: RunSnapshot, events: list[BatchEnded]) -> RunSnapshot:
    """Fold consecutive batches at once: only their points accumulate, the last batch replaces the rest."""
    *earlier, last = events
    points = snapshot.batch_losses
    for event in earlier:
        points = _with_point(points, event)
    return reduce(replace(snapshot, batch_losses=points), last)
