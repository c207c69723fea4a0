"""What happens during a training, as immutable events, and the fold of them that a chart draws."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from functools import reduce as fold
from typing import Any, Literal

Phase = Literal["features", "head", "fine_tune"]
Outcome = Literal["finished", "stopped", "failed"]


@dataclass(frozen=True)
class TrainingEvent:
    """Something that happened.

    Args:
        time: When, in seconds since 1970.
    """

    time: float


@dataclass(frozen=True)
class RunStarted(TrainingEvent):
    """The training left the queue."""

    num_train_images: int
    num_validation_images: int
    num_epochs: int


@dataclass(frozen=True)
class PhaseStarted(TrainingEvent):
    """A part of the training began.

    Args:
        phase: `"features"` looks at the images once, `"head"` trains the new layer, `"fine_tune"` the
            unfrozen blocks with it.
        num_steps: Images in phase `"features"`, batches otherwise.
    """

    phase: Phase
    num_steps: int


@dataclass(frozen=True)
class ImagesSeen(TrainingEvent):
    """Frozen layers have looked at some more images."""

    num_done: int


@dataclass(frozen=True)
class BatchEnded(TrainingEvent):
    """One step of gradient descent is done.

    Args:
        epoch: Counted from 1 over all phases.
        step: Counted from 1 in this phase.
        loss: Mean loss of the epoch so far.
        accuracy: Mean accuracy of the epoch so far, 0-1.
        num_images: Images seen in this phase so far.
    """

    epoch: int
    step: int
    loss: float
    accuracy: float
    num_images: int


@dataclass(frozen=True)
class EpochEnded(TrainingEvent):
    """Every training image was seen once more and the validation images were scored."""

    epoch: int
    phase: Phase
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float


@dataclass(frozen=True)
class RunEnded(TrainingEvent):
    """The training is over.

    Args:
        outcome: How it ended.
        message: What happened, for a person; empty when it simply finished.
        best_epoch: The epoch whose weights were kept; 0 when none were.
    """

    outcome: Outcome
    message: str = ""
    best_epoch: int = 0


_EVENT_TYPES: dict[str, type[TrainingEvent]] = {
    event_type.__name__: event_type
    for event_type in (RunStarted, PhaseStarted, ImagesSeen, BatchEnded, EpochEnded, RunEnded)
}


def event_to_dict(event: TrainingEvent) -> dict[str, Any]:
    """Return an event as plain values with its kind, ready for one line of JSON."""
    return {"event": type(event).__name__, **asdict(event)}


def event_from_dict(values: dict[str, Any]) -> TrainingEvent:
    """Rebuild what `event_to_dict` gave.

    Raises:
        ValueError: If the kind or the values are unknown.
    """
    try:
        facts = dict(values)
        return _EVENT_TYPES[facts.pop("event")](**facts)
    except (KeyError, TypeError) as error:
        raise ValueError(f"unknown event {values!r}") from error


@dataclass(frozen=True)
class RunSnapshot:
    """Everything a page shows of a run: the fold of its events. Raw facts are stored, the rest derived."""

    started_at: float | None = None
    ended_at: float | None = None
    updated_at: float | None = None
    num_train_images: int = 0
    num_validation_images: int = 0
    num_epochs: int = 0
    phase: Phase | None = None
    phase_started_at: float = 0.0
    num_steps: int = 0
    step: int = 0
    num_images: int = 0
    epoch: int = 0
    batch_loss: float | None = None
    batch_accuracy: float | None = None
    epochs: tuple[EpochEnded, ...] = field(default=())
    outcome: Outcome | None = None
    message: str = ""
    best_epoch: int = 0

    @property
    def best(self) -> EpochEnded | None:
        """The epoch whose weights are kept: the one with the lowest validation loss so far."""
        finite = (epoch for epoch in self.epochs if math.isfinite(epoch.val_loss))
        return min(finite, key=lambda epoch: (epoch.val_loss, epoch.epoch), default=None)

    @property
    def history(self) -> dict[str, list[float]]:
        """Loss and accuracy by epoch, under Keras's names."""
        names = ("loss", "accuracy", "val_loss", "val_accuracy")
        return {name: [getattr(epoch, name) for epoch in self.epochs] for name in names}

    @property
    def phase_seconds(self) -> float:
        """How long the present phase has taken, in seconds."""
        return max((self.updated_at or 0.0) - self.phase_started_at, 0.0)

    @property
    def phase_share(self) -> float:
        """How much of the present phase is done, 0-1."""
        return min(self.step / self.num_steps, 1.0) if self.num_steps else 0.0

    @property
    def images_per_second(self) -> float | None:
        """Rate of the present phase, or None before it can be told."""
        return self.num_images / self.phase_seconds if self.num_images and self.phase_seconds else None

    @property
    def seconds_left(self) -> float | None:
        """Time until the end of the present phase at its rate so far, or None before it can be told."""
        if not self.step or not self.phase_seconds:
            return None
        return self.phase_seconds / self.step * max(self.num_steps - self.step, 0)

    @property
    def seconds(self) -> float:
        """How long the training took, or has taken so far, in seconds."""
        end = self.ended_at if self.ended_at is not None else self.updated_at
        return max((end or 0.0) - (self.started_at or end or 0.0), 0.0)


def reduce(snapshot: RunSnapshot, event: TrainingEvent) -> RunSnapshot:
    """Return the snapshot after one more event. Pure: the same events always give the same snapshot.

    Args:
        snapshot: The fold of the events before.
        event: What happened next.
    """
    snapshot = replace(snapshot, updated_at=event.time)
    match event:
        case RunStarted():
            return replace(
                snapshot,
                started_at=event.time,
                num_train_images=event.num_train_images,
                num_validation_images=event.num_validation_images,
                num_epochs=event.num_epochs,
            )
        case EpochEnded():
            return replace(snapshot, epoch=event.epoch, epochs=(*snapshot.epochs, event))
        case RunEnded():
            return replace(
                snapshot,
                ended_at=event.time,
                outcome=event.outcome,
                message=event.message,
                best_epoch=event.best_epoch,
            )
    return _reduce_phase(snapshot, event)


def _reduce_phase(snapshot: RunSnapshot, event: TrainingEvent) -> RunSnapshot:
    """Do the same for what begins a phase and for the steps inside one."""
    match event:
        case PhaseStarted():
            return replace(
                snapshot,
                phase=event.phase,
                phase_started_at=event.time,
                num_steps=event.num_steps,
                step=0,
                num_images=0,
            )
        case ImagesSeen():
            return replace(snapshot, step=event.num_done, num_images=event.num_done)
        case BatchEnded():
            return replace(
                snapshot,
                epoch=event.epoch,
                step=event.step,
                num_images=event.num_images,
                batch_loss=event.loss,
                batch_accuracy=event.accuracy,
            )
    return snapshot


def snapshot_of(events: Iterable[TrainingEvent]) -> RunSnapshot:
    """Fold events into a snapshot."""
    return fold(reduce, events, RunSnapshot())
