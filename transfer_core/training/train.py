"""Train a classifier with one function call that needs no app, no workspace and no thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.registry import get_backbone
from transfer_core.backbones.runtime import load_keras
from transfer_core.config import TrainingConfig
from transfer_core.data.damage import use_readable
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import ImageRecord
from transfer_core.errors import InvalidConfigError
from transfer_core.events import (
    EpochEnded,
    HeadChosen,
    Outcome,
    PhaseStarted,
    PhotosLeftOut,
    RunResumed,
    RunStarted,
    TrainingEvent,
    best_of,
    history_of,
)
from transfer_core.files import remove, replacing
from transfer_core.language import _
from transfer_core.training.checkpoint import delete_checkpoints, resumed_dataset, save_left_out
from transfer_core.training.freezing import FreezePlan
from transfer_core.training.head_choice import reason_against_head
from transfer_core.training.out_of_fold import OutOfFold
from transfer_core.training.signature import ModelSignature
from transfer_core.training.soft_targets import TeacherOutputs
from transfer_core.types import Array, ShouldStop

if TYPE_CHECKING:
    import keras

    from transfer_core.training.trainer import Trainer

MODEL_FILE = "model.keras"


@dataclass(frozen=True)
class TrainingResult:
    """How a training ended and what it left behind.

    Args:
        outcome: `"finished"`, `"stopped"` or `"interrupted"`.
        message: What happened, for a person; empty when it simply finished.
        epochs: Every epoch that counts, also those from before a resume.
        head: What a comparison of heads chose; None where the config names the head.
        dataset: The images it was trained on, without those that are damaged.
        model_path: The saved model, or None if there was none to keep.
        out_of_fold: Predictions by models that had not learned from the image, for the validation images at least; None
            without a model.
        is_trained_on_all: Whether the saved model has learned from the validation images as well.
        validation_outputs: Softmax outputs of the trained model for the validation images, from their features and in
            the precision of the training; None without a model.
    """

    outcome: Outcome
    message: str
    epochs: tuple[EpochEnded, ...]
    head: HeadChosen | None
    dataset: ImageDataset
    model_path: Path | None
    out_of_fold: OutOfFold | None = None
    is_trained_on_all: bool = False
    validation_outputs: Array | None = None

    @property
    def best(self) -> EpochEnded | None:
        """The epoch with the lowest validation loss."""
        return best_of(self.epochs)

    @property
    def best_epoch(self) -> int:
        """The epoch that was kept; 0 without a saved model."""
        return self.best.epoch if self.best and self.model_path else 0

    @property
    def history(self) -> dict[str, list[float]]:
        """Loss and accuracy by epoch, under Keras's names."""
        return history_of(self.epochs)


def train(
    dataset: ImageDataset,
    config: TrainingConfig,
    output_dir: Path,
    cache_dir: Path,
    *,
    backbone: Backbone | None = None,
    emit: Callable[[TrainingEvent], None] = lambda event: None,
    should_stop: ShouldStop = lambda: False,
    clock: Callable[[], float] = time.time,
    teacher_outputs: TeacherOutputs | None = None,
    reported: Sequence[EpochEnded] = (),
    keep_checkpoint: bool = False,
) -> TrainingResult:
    """Train a new head on a pretrained backbone, and the layers that the config unfreezes.

    If `output_dir` holds a checkpoint of the same config, images and split, the training resumes there and ends
    with the weights of an uninterrupted training, bit for bit (on the same machine with the same number of
    threads). If it is stopped before it has reached again what was reported before an interruption, the training
    ends as interrupted: no model is saved, and the checkpoint is kept.

    Damaged or missing photos are left out and reported as `PhotosLeftOut` after `RunStarted` or `RunResumed`. A
    resumed training leaves the same photos out. The caller emits `RunEnded`, after its own work on the model.

    Args:
        dataset: Labelled images with their split.
        config: Every choice of the run.
        output_dir: Destination of checkpoints, `model.keras` and `signature.json`.
        cache_dir: Where features are kept for later runs.
        backbone: The backbone that the config names; the published one of that name if not given.
        emit: Called with each event as it happens.
        should_stop: Called after each batch; on true the weights of the lowest loss are kept. It may block for a pause.
        clock: Returns the time in seconds since 1970.
        teacher_outputs: Returns the teacher's probabilities for the training images. Needed with a teacher.
        reported: The epochs that were reported before an interruption.
        keep_checkpoint: Keep the last checkpoint, so that a caller that is interrupted after the training can
            resume from it. The caller then calls `delete_checkpoints`.

    Raises:
        IngestError: If the dataset cannot be trained on.
        NotFoundError: If `backbone` is not given and there is no such published backbone.
        InvalidConfigError: If the backbone has no such blocks or layers, the head cannot use another choice, or
            `teacher_outputs` is missing.
        TrainingError: If the loss became NaN before the first epoch ended, or memory or disk space is too
            small.
        WeightsError: If the pretrained weights are missing or damaged.
        WorkspaceError: If writing fails.
    """
    chosen = backbone or get_backbone(config.backbone)
    resumed = {image.id for image in resumed_dataset(dataset, output_dir).images}
    left_out = [image for image in dataset.images if image.id not in resumed]

    def emit_with_left_out(event: TrainingEvent) -> None:
        emit(event)
        if left_out and isinstance(event, RunStarted | RunResumed):
            emit(photos_left_out(clock(), left_out))

    def leave_out(damaged: list[ImageRecord]) -> None:
        nonlocal reported
        # With fewer photos the training cannot reach again what was reported with all of them.
        reported = ()
        left_out.extend(damaged)
        save_left_out(output_dir, [image.id for image in left_out])

    def train_on(readable: ImageDataset) -> TrainingResult:
        readable.check_trainable()
        FreezePlan.of(config, chosen)  # raises before TensorFlow is loaded
        if reason := reason_against_head(config):
            raise InvalidConfigError(reason)
        if config.teacher and teacher_outputs is None:
            raise InvalidConfigError(_("The teacher {id} is not available here.").format(id=config.teacher))
        trainer = _trainer_class()(
            readable,
            config,
            chosen,
            output_dir,
            cache_dir,
            emit_with_left_out,
            should_stop,
            clock,
            teacher_outputs,
            reported,
        )
        outcome, message = trainer.run()
        # The weights of an interrupted training may be worse than what was reported.
        is_kept = outcome != "interrupted" and best_of(trainer.epochs) is not None
        if not is_kept:
            return TrainingResult(outcome, message, trainer.epochs, trainer.head, readable, None)
        emit(PhaseStarted(clock(), "saving", 0))
        is_trained_on_all = trainer.out_of_fold is not None
        outputs = trainer.validation_outputs()
        outputs_in_float32 = trainer.outputs_in_float32(outputs)
        model_path = _save(trainer.model, readable, chosen, output_dir, is_trained_on_all)
        return TrainingResult(
            outcome,
            message,
            trainer.epochs,
            trainer.head,
            readable,
            model_path,
            trainer.out_of_fold or OutOfFold.of_validation(readable, outputs_in_float32),
            is_trained_on_all,
            outputs,
        )

    result = use_readable(dataset, train_on, leave_out, {image.id for image in left_out})
    if result.outcome != "interrupted" and not keep_checkpoint:
        delete_checkpoints(output_dir)
    return result


def photos_left_out(now: float, images: Sequence[ImageRecord]) -> PhotosLeftOut:
    """Return the event for damaged photos.

    Args:
        now: Time in seconds since 1970.
        images: The photos.
    """
    return PhotosLeftOut(
        now,
        tuple(image.id for image in images),
        tuple(image.name for image in images),
        tuple(image.class_name for image in images),
    )


def _trainer_class() -> type[Trainer]:
    # Its module imports Keras; an invalid config should fail before that.
    load_keras()
    from transfer_core.training.trainer import Trainer

    return Trainer


def _save(
    model: keras.Model, dataset: ImageDataset, backbone: Backbone, output_dir: Path, is_trained_on_all: bool
) -> Path:
    """Write model and signature atomically; the signature is there first, so that every model on disk has its own."""
    path = output_dir / MODEL_FILE
    with replacing(path) as beside:
        model.save(beside)
        # A model from before a resume may have learned from other images than the new signature says.
        remove(path)
        ModelSignature.of(model, dataset, backbone, is_trained_on_all=is_trained_on_all).save(output_dir)
    return path
