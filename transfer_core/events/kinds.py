"""The events of a training: immutable structs that are one line of JSON each."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from transfer_core.config import MAX_FOLDS
from transfer_core.recipes import StoredText
from transfer_core.schema import Count, Positive, Share, Text, decoded

Phase = Literal[
    "teacher",
    "features",
    "head_choice",
    "head",
    "fine_tune",
    "out_of_fold",
    "all_photos",
    "saving",
    "evaluation",
    "cross_validation",
]
Outcome = Literal["finished", "stopped", "failed", "interrupted"]
# Why a run left its node: its worker process ended, the node did not answer any more, or the whole cluster did not.
LossReason = Literal["worker", "node", "cluster"]
Precision = Literal["mixed_float16", "float32"]
# Why a training that should compute in mixed precision computes in float32: there is no GPU, its compute capability is
# below 7.0, or a number was too large for float16.
PrecisionReason = Literal["", "no_gpu", "old_gpu", "overflow"]
# Infinity and NaN included: the loss of a training that goes out of bounds.
Loss = float
# Phases and kinds of head are few; a stranger's file may hold any number.
_FEW = Meta(max_length=1000)
# A phase to come, its estimated seconds, and whether they come from rates that were measured on this machine.
Stage = tuple[Phase, Positive, bool]
Stages = Annotated[tuple[Stage, ...], _FEW]
# Validation photos whose outcome after each epoch is kept: enough for a screen, and little for a log.
MOST_SCORED_PHOTOS = 200
_Ids = Annotated[tuple[Text, ...], Meta(max_length=MOST_SCORED_PHOTOS)]
_Correct = Annotated[str, Meta(pattern=r"^[01]*\Z", max_length=MOST_SCORED_PHOTOS)]
_AssumedSeconds = Annotated[tuple[Positive, ...], _FEW]


class TrainingEvent(Struct, frozen=True, forbid_unknown_fields=True, tag_field="event", tag=True):
    """Something that happened in a training.

    Args:
        time: Seconds since 1970.
    """

    # Up to the year 5138.
    time: Annotated[float, Meta(ge=0, lt=1e11)]


class RunStarted(TrainingEvent, frozen=True):
    """The training left the queue. A second one in a log means that it started from the beginning again.

    Args:
        num_epochs: Epochs of all phases together, if none ends early.
        assumed_seconds: Only in logs of earlier versions, which counted phases by position.
        stages: The phases to come with their estimates.
        scored_ids: The validation images, evenly picked, whose outcomes `val_correct` of the epochs holds; empty in
            logs of earlier versions.
    """

    num_train_images: Count
    num_validation_images: Count
    num_epochs: Count
    assumed_seconds: _AssumedSeconds = ()
    stages: Stages = ()
    scored_ids: _Ids = ()


class RunResumed(TrainingEvent, frozen=True):
    """An interrupted training went on from its checkpoint; events after that checkpoint are void.

    Args:
        epoch: The last valid epoch, over all phases; 0 for none.
        assumed_seconds: As in `RunStarted`.
        stages: As in `RunStarted`, for the phases that are left.
    """

    epoch: Count
    assumed_seconds: _AssumedSeconds = ()
    stages: Stages = ()


class RunPaused(TrainingEvent, frozen=True):
    """The training was paused; the time until `RunContinued` does not count as work."""


class RunContinued(TrainingEvent, frozen=True):
    """The pause ended."""


class RunPlaced(TrainingEvent, frozen=True):
    """The training was given a node of a cluster; without such an event it ran on the computer of the app.

    Args:
        node: Name of the computer.
        address: Its IP address.
        processor: Kind of its processor.
        num_threads: That the training uses.
        gpu: Kind of the GPU that it uses; empty without one.
    """

    node: Text
    address: Text
    processor: Text
    num_threads: Count
    gpu: Text = ""


class PlaceLost(TrainingEvent, frozen=True):
    """The node of a training was lost in the middle of it; the training goes on elsewhere from its last checkpoint.

    Args:
        reason: What ended.
    """

    reason: LossReason


class PhotosLeftOut(TrainingEvent, frozen=True):
    """Photos turned out to be damaged or missing, and the run went on without them.

    Args:
        names: Of their files when they were added.
        class_names: Their labels.
    """

    image_ids: tuple[Text, ...]
    names: tuple[Text, ...]
    class_names: tuple[Text, ...]


class PhaseStarted(TrainingEvent, frozen=True):
    """A part of the training began.

    Args:
        phase: `"teacher"` computes the outputs of the teacher, `"features"` the features of the images,
            `"head_choice"` compares heads, `"head"` trains the new layer, `"fine_tune"` the unfrozen blocks with it,
            `"out_of_fold"` predicts each image by a model that has not learned from it, `"all_photos"` trains the model
            that is kept on training and validation images, `"saving"` writes it, `"evaluation"` proves that the saved
            model gives the same outputs, `"cross_validation"` trains once more for each other fold.
        num_steps: Images in the phases `"teacher"`, `"features"` and `"evaluation"`, folds in `"head_choice"`,
            `"out_of_fold"` and `"cross_validation"`, none in `"saving"`, batches otherwise.
        first_step: Steps done before: images in the cache, or batches before the training was resumed within the phase.
        stages: The phases from this one on, where they are known before `RunStarted`.
    """

    phase: Phase
    num_steps: Count
    first_step: Count = 0
    stages: Stages = ()


class ImagesSeen(TrainingEvent, frozen=True):
    """Some more images have passed through the frozen layers.

    Args:
        num_done: In all, with cached ones.
    """

    num_done: Count


class StepsDone(TrainingEvent, frozen=True):
    """Some more steps of a phase that has no curves are done.

    Args:
        num_done: In all.
    """

    num_done: Count


class HeadChosen(TrainingEvent, frozen=True):
    """A cross-validation on the training images has chosen the head.

    Args:
        accuracies: Of each kind of head, 0-1; empty when there were too few images to compare.
        strength: Of softmax regression, as in `HeadRecipe`; None in logs of earlier versions.
        lda_scale: Of linear discriminant analysis, likewise.
    """

    head: Text
    accuracies: Annotated[dict[Text, Share], _FEW]
    strength: Positive | None = None
    lda_scale: Positive | None = None


class PrecisionChosen(TrainingEvent, frozen=True):
    """It was decided in which precision a training with mixed precision among its choices computes, here and now.

    Args:
        reason: Against mixed precision; empty where it is used.
    """

    precision: Precision
    reason: PrecisionReason = ""


class BatchEnded(TrainingEvent, frozen=True):
    """One step of gradient descent is done.

    Args:
        epoch: Counted from 1 over all phases.
        step: Counted from 1 in this phase.
        loss: Mean loss of the epoch so far.
        accuracy: Mean accuracy of the epoch so far, 0-1.
        num_images: Images seen since this phase was started or resumed.
        batch_loss: Loss of this batch alone; None in logs of earlier versions.
        learning_rate: Of this batch; None in logs of earlier versions.
        epoch_share: Share of the epoch that is done, 0-1.
    """

    epoch: Count
    step: Count
    loss: Loss
    accuracy: Share
    num_images: Count
    batch_loss: Loss | None = None
    learning_rate: Positive | None = None
    epoch_share: Share = 1.0


class StartScored(TrainingEvent, frozen=True):
    """The new layer was scored before its first step: the point of epoch 0 in a chart.

    Args:
        loss: Mean cross-entropy of the training images.
        accuracy: Their accuracy, 0-1.
        val_loss: Mean cross-entropy of the validation images.
        val_accuracy: Their accuracy, 0-1.
        val_correct: `"1"` for each of `RunStarted.scored_ids` that was right, `"0"` for each that was wrong; empty in
            logs of earlier versions.
    """

    loss: Loss
    accuracy: Share
    val_loss: Loss
    val_accuracy: Share
    val_correct: _Correct = ""


class EpochEnded(TrainingEvent, frozen=True):
    """Every training image was seen once more and the validation images were scored.

    Args:
        epoch: Counted from 1 over all phases.
        loss: Mean loss of the training images during the epoch.
        accuracy: Their accuracy, 0-1.
        val_loss: Mean cross-entropy of the validation images.
        val_accuracy: Their accuracy, 0-1.
        learning_rate: Step size of the last batch; None in logs of earlier versions.
        memory_bytes: Memory of the whole process; None where it is not known.
        val_correct: As in `StartScored`.
    """

    epoch: Count
    phase: Phase
    loss: Loss
    accuracy: Share
    val_loss: Loss
    val_accuracy: Share
    learning_rate: Positive | None = None
    memory_bytes: Count | None = None
    val_correct: _Correct = ""


class FoldEnded(TrainingEvent, frozen=True):
    """One fold has been scored by a training on all the others.

    Args:
        fold: From 1.
        num_folds: Up to 10.
        val_accuracy: Of its images, 0-1.
    """

    fold: Annotated[int, Meta(ge=1)]
    num_folds: Annotated[int, Meta(le=MAX_FOLDS)]
    val_accuracy: Share

    def __post_init__(self) -> None:
        if self.fold > self.num_folds:
            raise ValueError("a fold beyond the last")


class RunEnded(TrainingEvent, frozen=True):
    """The training is over.

    Args:
        message: The reason, for a person; empty for a training that finished.
        best_epoch: The epoch whose weights were kept; 0 for none.
        accuracy: As reported, 0-1: cross-validated where folds were trained, else of the validation images. None
            without a model, and in logs of earlier versions.
    """

    outcome: Outcome
    message: StoredText = ""
    best_epoch: Count = 0
    accuracy: Share | None = None


EVENT_TYPES = {event_type.__name__: event_type for event_type in TrainingEvent.__subclasses__()}


def event_to_dict(event: TrainingEvent) -> dict[str, Any]:
    """Return an event as plain values with its kind, ready for one line of JSON."""
    values: dict[str, Any] = msgspec.to_builtins(event)
    return values


def event_from_dict(values: object) -> TrainingEvent:
    """Return the event that `event_to_dict` gave.

    Raises:
        ValueError: If its kind is unknown or a value is not what this app writes.
    """
    name = values.get("event") if isinstance(values, dict) else None
    kind = EVENT_TYPES.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ValueError("no event of a known kind")
    return decoded(values, kind)
