"""What happens during a training, as immutable facts that go to JSON and back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from transfer_core.schema import NOT_FINITE, fits

Phase = Literal["teacher", "features", "head", "fine_tune", "evaluation", "cross_validation"]
Outcome = Literal["finished", "stopped", "failed", "interrupted"]
# Of a training that goes out of bounds it is no finite number.
Loss = Annotated[float, NOT_FINITE]
# In seconds since 1970, the year 5138.
_LATEST = 1e11


@dataclass(frozen=True)
class TrainingEvent:
    """Something that happened.

    Args:
        time: When, in seconds since 1970.
    """

    time: float


@dataclass(frozen=True)
class RunStarted(TrainingEvent):
    """The training left the queue. Told once more, it began from nothing again.

    Args:
        num_train_images: Images that the network learns from.
        num_validation_images: Images that it is checked with.
        num_epochs: Epochs of all phases together, if none ends early.
        assumed_seconds: A guess for each phase that is to come, made before anything could be measured.
    """

    num_train_images: int
    num_validation_images: int
    num_epochs: int
    assumed_seconds: tuple[float, ...] = ()


@dataclass(frozen=True)
class RunResumed(TrainingEvent):
    """An interrupted training goes on from its checkpoint; what came after that is void.

    Args:
        epoch: The last epoch that counts, over all phases; 0 when none does.
        assumed_seconds: As in `RunStarted`, for the phases that are left.
    """

    epoch: int
    assumed_seconds: tuple[float, ...] = ()


@dataclass(frozen=True)
class RunPaused(TrainingEvent):
    """The training waits until it is told to go on; this time does not count as work."""


@dataclass(frozen=True)
class RunContinued(TrainingEvent):
    """The person ended the pause."""


@dataclass(frozen=True)
class PhotosLeftOut(TrainingEvent):
    """Photos turned out to be damaged or missing, and the run goes on without them.

    Args:
        image_ids: Their ids.
        names: What their files were called when they were added.
        class_names: Their labels.
    """

    image_ids: tuple[str, ...]
    names: tuple[str, ...]
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class PhaseStarted(TrainingEvent):
    """A part of the training began.

    Args:
        phase: `"teacher"` asks another model about the images, `"features"` looks at the images once, `"head"`
            trains the new layer, `"fine_tune"` the unfrozen blocks with it, `"evaluation"` scores the model that was
            kept, `"cross_validation"` trains once more for each other part of the images.
        num_steps: Images in the phases `"teacher"`, `"features"` and `"evaluation"`, parts in
            `"cross_validation"`, batches otherwise.
        first_step: Steps that were done before: images in the cache, or batches before the training was
            resumed in the middle of the phase.
    """

    phase: Phase
    num_steps: int
    first_step: int = 0


@dataclass(frozen=True)
class ImagesSeen(TrainingEvent):
    """Frozen layers have looked at some more images.

    Args:
        num_done: In all, with those that were kept from an earlier run.
    """

    num_done: int


@dataclass(frozen=True)
class HeadChosen(TrainingEvent):
    """A cross-validation on the training images has decided which new layers suit them.

    Args:
        head: The kind of head.
        accuracies: What each kind reached, 0-1; empty when there were too few images to compare.
    """

    head: str
    accuracies: dict[str, float]


@dataclass(frozen=True)
class BatchEnded(TrainingEvent):
    """One step of gradient descent is done.

    Args:
        epoch: Counted from 1 over all phases.
        step: Counted from 1 in this phase.
        loss: Mean loss of the epoch so far.
        accuracy: Mean accuracy of the epoch so far, 0-1.
        num_images: Images seen since this phase was started or resumed.
        batch_loss: Loss of this batch alone; None in logs of earlier versions, as what follows.
        learning_rate: Step size of this batch.
        epoch_share: How much of the epoch is done, 0-1.
    """

    epoch: int
    step: int
    loss: Loss
    accuracy: float
    num_images: int
    batch_loss: Loss | None = None
    learning_rate: float | None = None
    epoch_share: float = 1.0


@dataclass(frozen=True)
class EpochEnded(TrainingEvent):
    """Every training image was seen once more and the validation images were scored.

    Args:
        epoch: Counted from 1 over all phases.
        phase: The part of the training it belongs to.
        loss: Mean loss of the training images, as the network learned from them.
        accuracy: Their accuracy, 0-1.
        val_loss: Mean cross-entropy of the validation images.
        val_accuracy: Their accuracy, 0-1.
        learning_rate: Step size of the last batch; None in logs of earlier versions.
        memory_bytes: Memory of the whole process; None where it is not known.
    """

    epoch: int
    phase: Phase
    loss: Loss
    accuracy: float
    val_loss: Loss
    val_accuracy: float
    learning_rate: float | None = None
    memory_bytes: int | None = None


@dataclass(frozen=True)
class FoldEnded(TrainingEvent):
    """One part of the images has been checked by a training on all the others.

    Args:
        fold: Which part, from 1.
        num_folds: How many there are.
        val_accuracy: Share of its images that were right, 0-1.
    """

    fold: int
    num_folds: int
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


EVENT_TYPES: dict[str, type[TrainingEvent]] = {
    event_type.__name__: event_type
    for event_type in (
        RunStarted,
        RunResumed,
        RunPaused,
        RunContinued,
        PhotosLeftOut,
        PhaseStarted,
        ImagesSeen,
        HeadChosen,
        BatchEnded,
        EpochEnded,
        FoldEnded,
        RunEnded,
    )
}


def event_to_dict(event: TrainingEvent) -> dict[str, Any]:
    """Return an event as plain values with its kind, ready for one line of JSON."""
    return {"event": type(event).__name__, **asdict(event)}


def event_from_dict(values: object) -> TrainingEvent:
    """Rebuild what `event_to_dict` gave.

    Raises:
        ValueError: If the kind or a value is not what this app writes.
    """
    if not isinstance(values, dict):
        raise ValueError("an event is an object")
    try:
        # JSON has no tuples.
        facts: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        event = EVENT_TYPES[facts.pop("event")](**facts)
    except (KeyError, TypeError) as error:
        raise ValueError("unknown event") from error
    if not fits(event, type(event)) or not 0 <= event.time < _LATEST:
        raise ValueError("a value of the event is of another kind")
    return event
