"""The snapshot of a run: the fold of its events, from which pages draw."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cached_property
from functools import reduce as fold
from itertools import groupby
from typing import cast

from msgspec import Struct
from msgspec.structs import replace

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
    PlaceLost,
    PrecisionChosen,
    RunContinued,
    RunEnded,
    RunPaused,
    RunPlaced,
    RunResumed,
    RunStarted,
    StartScored,
    StepsDone,
    TrainingEvent,
)
from transfer_core.events.progress import RunProgress
from transfer_core.recipes import StoredText

_MOST_POINTS = 800


class BatchLoss(Struct, frozen=True):
    """One point of the loss curve.

    Args:
        position: In epochs, such as 2.5 for the middle of the third.
        loss: Of this batch alone.
    """

    position: float
    loss: float


class RunSnapshot(Struct, frozen=True, dict=True):
    """The state of a run: the fold of its events. Raw facts are stored, the rest is derived.

    `left_out` holds the original name and the class of each photo that is damaged and was left out.
    All durations leave out the time in which the training was paused or not running at all.

    Args:
        is_paused: Whether the training waits for the person.
        places: The nodes of a cluster on which it was, the first first; none where it ran on the computer of the app.
        place: The node on which it is or ended; None while it has none.
        losses: How it lost nodes, the first first.
        is_lost: Whether it has lost its node and waits for the next one.
        is_starting: Whether it has a node on which no phase has begun yet.
        num_earlier_places: Those that it had left when it last started from the beginning.
    """

    started_at: float | None = None
    ended_at: float | None = None
    updated_at: float | None = None
    is_paused: bool = False
    idle_seconds: float = 0.0
    num_train_images: int = 0
    num_validation_images: int = 0
    num_epochs: int = 0
    progress: RunProgress = RunProgress()
    phase: Phase | None = None
    phase_started_at: float = 0.0
    idle_seconds_before_phase: float = 0.0
    num_steps: int = 0
    first_step: int = 0
    step: int = 0
    phase_seconds_at_step: float = 0.0
    num_images: int = 0
    epoch: int = 0
    batch_loss: float | None = None
    batch_accuracy: float | None = None
    batch_losses: tuple[BatchLoss, ...] = ()
    learning_rate: float | None = None
    memory_bytes: int | None = None
    head: HeadChosen | None = None
    precision: PrecisionChosen | None = None
    left_out: tuple[tuple[str, str], ...] = ()
    scored_ids: tuple[str, ...] = ()
    start: StartScored | None = None
    epochs: tuple[EpochEnded, ...] = ()
    fold_accuracies: tuple[float, ...] = ()
    outcome: Outcome | None = None
    message: StoredText = ""
    best_epoch: int = 0
    reported_accuracy: float | None = None
    places: tuple[RunPlaced, ...] = ()
    place: RunPlaced | None = None
    losses: tuple[PlaceLost, ...] = ()
    is_lost: bool = False
    is_starting: bool = False
    num_earlier_places: int = 0

    @cached_property
    def best(self) -> EpochEnded | None:
        """The epoch whose weights are kept: the one with the lowest validation loss so far."""
        return best_of(self.epochs)

    @property
    def first_guess(self) -> float | None:
        """The cross-validated accuracy of the chosen head in closed form, 0-1: known before the first epoch.

        None where no heads were compared.
        """
        return self.head.accuracies.get(self.head.head) if self.head else None

    @property
    def outcomes(self) -> list[tuple[int, str]]:
        """Epoch and `val_correct` of the start and of each epoch; without epochs of earlier versions."""
        start = [(0, self.start.val_correct)] if self.start else []
        scored = [*start, *((epoch.epoch, epoch.val_correct) for epoch in self.epochs)]
        return [(epoch, correct) for epoch, correct in scored if correct]

    @property
    def accuracy(self) -> float | None:
        """The accuracy as reported, 0-1; before the end that of the validation images at the kept epoch."""
        if self.reported_accuracy is not None or self.best is None:
            return self.reported_accuracy
        return self.best.val_accuracy

    @property
    def history(self) -> dict[str, list[float]]:
        """Loss and accuracy by epoch, under Keras's names."""
        return history_of(self.epochs)

    @property
    def places_of_model(self) -> tuple[RunPlaced, ...]:
        """The places since it last started from the beginning: those on which its model was made."""
        return self.places[self.num_earlier_places :]

    @property
    def has_unequal_places(self) -> bool:
        """Whether nodes made the model whose numbers may differ in the last digits."""
        return len({(place.processor, place.num_threads, place.gpu) for place in self.places_of_model}) > 1

    @property
    def phase_seconds(self) -> float:
        """How long the present phase has been at work, in seconds."""
        idle = self.idle_seconds - self.idle_seconds_before_phase
        return max((self.updated_at or 0.0) - self.phase_started_at - idle, 0.0)

    @property
    def images_per_second(self) -> float | None:
        """Rate of the present phase, or None before it can be estimated."""
        seconds = self.phase_seconds_at_step
        return self.num_images / seconds if self.num_images and seconds else None

    @property
    def share(self) -> float:
        """How much of the whole run is done, 0-1. It never falls while the run goes on."""
        return self.progress.share

    @property
    def seconds_left(self) -> float | None:
        """Estimated time at work until the end of the run.

        None before it is known well enough, while the run has lost its node, and at the end. It never rises by more
        than a fifth of what was shown before.
        """
        return None if self.is_lost else self.progress.seconds_left

    def at(self, now: float) -> RunSnapshot:
        """Return the snapshot as time goes on without an event: the time left counts down.

        Args:
            now: Time in seconds since 1970.
        """
        is_idle = self.is_paused or self.is_lost or self.outcome is not None
        if self.updated_at is None or now <= self.updated_at or is_idle:
            return self
        return _moved(replace(self, updated_at=now))

    @property
    def share_of_work(self) -> float:
        """How much is done of what the present phase had to do, 0-1."""
        num_steps = self.num_steps - self.first_step
        return min(max(self.step - self.first_step, 0) / num_steps, 1.0) if num_steps > 0 else 0.0

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
            return _moved(_started(snapshot, event))
        case RunResumed():
            return _moved(_resumed(snapshot, event))
        case PlaceLost():
            # The node was silent for some time before it counted as lost. The bar had moved on meanwhile.
            return replace(
                _idle_until(snapshot, event.time),
                progress=snapshot.at(event.time).progress,
                is_paused=False,
                place=None,
                losses=(*snapshot.losses, event),
                is_lost=True,
            )
    if snapshot.is_paused or snapshot.is_lost:
        snapshot = _idle_until(snapshot, event.time)
    # A page may have shown how the time left counted down until now.
    snapshot = replace(snapshot.at(event.time), updated_at=event.time)
    match event:
        case RunPaused():
            return replace(snapshot, is_paused=True)
        case RunContinued():
            return replace(snapshot, is_paused=False)
        case RunPlaced():
            return replace(
                snapshot, places=(*snapshot.places, event), place=event, is_lost=False, is_starting=True
            )
        case PhotosLeftOut():
            photos = zip(event.names, event.class_names, strict=False)
            return replace(snapshot, left_out=tuple(dict.fromkeys((*snapshot.left_out, *photos))))
        case RunEnded():
            ended = _closed(snapshot)
            return replace(
                ended,
                # A run whose process dies while it is paused ends without `RunContinued`.
                is_paused=False,
                is_lost=False,
                progress=ended.progress.ended(is_finished=event.outcome == "finished"),
                ended_at=event.time,
                outcome=event.outcome,
                message=event.message,
                best_epoch=event.best_epoch,
                reported_accuracy=event.accuracy,
            )
    return _moved(_reduce_phase(snapshot, event))


def _started(snapshot: RunSnapshot, event: RunStarted) -> RunSnapshot:
    """Begin from the beginning. Photos may have been read before, as a part of the same run."""
    is_begun = (
        snapshot.started_at is not None
        and event.time <= snapshot.started_at
        and not snapshot.num_train_images
    )
    progress = _closed(snapshot).progress if is_begun else RunProgress()
    return RunSnapshot(
        started_at=event.time,
        updated_at=event.time,
        num_train_images=event.num_train_images,
        num_validation_images=event.num_validation_images,
        num_epochs=event.num_epochs,
        progress=progress.with_stages(event.stages),
        scored_ids=event.scored_ids,
        places=snapshot.places,
        place=snapshot.place,
        losses=snapshot.losses,
        num_earlier_places=max(len(snapshot.places) - 1, 0),
    )


def _moved(snapshot: RunSnapshot) -> RunSnapshot:
    """Bring the progress up to date."""
    at_step = snapshot.phase_seconds_at_step
    since_step = max(snapshot.phase_seconds - at_step, 0.0)
    progress = snapshot.progress.moved(snapshot.seconds, at_step, since_step, snapshot.share_of_work)
    return replace(snapshot, progress=progress)


def _closed(snapshot: RunSnapshot) -> RunSnapshot:
    """End the present phase. A phase without reported steps counts as done."""
    share = snapshot.share_of_work if snapshot.step > snapshot.first_step else 1.0
    return replace(snapshot, progress=snapshot.progress.phase_ended(snapshot.phase_seconds, share))


def _idle_until(snapshot: RunSnapshot, time: float) -> RunSnapshot:
    """Count the time since the last event as idle."""
    idle = max(time - (snapshot.updated_at or time), 0.0)
    return replace(snapshot, updated_at=time, idle_seconds=snapshot.idle_seconds + idle)


def _resumed(snapshot: RunSnapshot, event: RunResumed) -> RunSnapshot:
    """Drop what came after the checkpoint, and count the time since then as idle."""
    snapshot = _idle_until(snapshot, event.time)
    return replace(
        snapshot,
        started_at=event.time if snapshot.started_at is None else snapshot.started_at,
        ended_at=None,
        is_paused=False,
        is_lost=False,
        progress=replace(snapshot.progress, measured=(), seconds_left=None, lowest_left=math.inf).with_stages(
            event.stages
        ),
        phase=None,
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
        reported_accuracy=None,
    )


def _reduce_phase(snapshot: RunSnapshot, event: TrainingEvent) -> RunSnapshot:
    """Fold an event that begins a phase or is a step inside one."""
    if isinstance(event, FoldEnded | ImagesSeen | StepsDone | BatchEnded):
        snapshot = replace(snapshot, phase_seconds_at_step=snapshot.phase_seconds)
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
        case PrecisionChosen():
            return replace(snapshot, precision=event)
        case StartScored():
            return replace(snapshot, start=event)
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
    progress = _closed(snapshot).progress
    if event.stages:
        progress = progress.with_stages(event.stages)
    share_to_do = 1 - min(event.first_step / event.num_steps, 1.0) if event.num_steps else 1.0
    return replace(
        snapshot,
        # Photos may be read before the training starts.
        started_at=event.time if snapshot.started_at is None else snapshot.started_at,
        phase=event.phase,
        is_starting=False,
        progress=progress.phase_started(event.phase, share_to_do),
        phase_started_at=event.time,
        idle_seconds_before_phase=snapshot.idle_seconds,
        num_steps=event.num_steps,
        first_step=event.first_step,
        step=event.first_step,
        phase_seconds_at_step=0.0,
        num_images=0,
        fold_accuracies=() if event.phase == "cross_validation" else snapshot.fold_accuracies,
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
