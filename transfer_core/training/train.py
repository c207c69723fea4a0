"""Train a classifier: one plain function that any script can call."""

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
    PhotosLeftOut,
    RunEnded,
    RunResumed,
    RunSnapshot,
    RunStarted,
    TrainingEvent,
)
from transfer_core.files import replacing, write_json
from transfer_core.language import _
from transfer_core.training.checkpoint import delete_checkpoints, resumed_dataset, save_left_out
from transfer_core.training.freezing import FreezePlan
from transfer_core.training.signature import SIGNATURE_FILE, signature_of
from transfer_core.training.soft_targets import TeacherOutputs
from transfer_core.types import ShouldStop

if TYPE_CHECKING:
    import keras

    from transfer_core.training.trainer import Trainer

MODEL_FILE = "model.keras"


@dataclass(frozen=True)
class TrainingResult:
    """What a training left behind.

    Args:
        snapshot: The fold of its events.
        model_path: The saved model, or None if it was stopped before there was one to keep.
    """

    snapshot: RunSnapshot
    model_path: Path | None


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
) -> TrainingResult:
    """Train new layers on a pretrained backbone, and with them whatever the config unfreezes.

    When `output_dir` holds a checkpoint of the same config, images and split, the training goes on from there and
    ends with the weights that it would have had without the interruption, bit for bit (on the same machine with
    the same number of threads). Checkpoints are deleted once `emit` has returned from `RunEnded`: what must not
    be lost before that can be done in it. Stopped before it has reached again what was reported before an
    interruption, the training ends as interrupted: no model is saved, and the checkpoint stays.

    A photo that turns out to be damaged or missing is left out, and the training begins without it; after
    `RunStarted` or `RunResumed` a `PhotosLeftOut` says so. A training that is resumed leaves the same photos out.

    Args:
        dataset: Labelled images with their split.
        config: Every choice of the run.
        output_dir: Where checkpoints, `model.keras` and `signature.json` go.
        cache_dir: Where features are kept for later runs.
        backbone: The one that the config names; the published one of that name if not given.
        emit: Takes each event as it happens.
        should_stop: Asked after each batch; the best weights so far are kept. It may block for a pause.
        clock: Gives the time in seconds since 1970.
        teacher_outputs: Returns the teacher's probabilities for each training image by its id, in the order of the
            dataset's classes. Called with a function that takes the number of images done. Needed with a teacher.
        reported: The epochs that were reported before an interruption.

    Returns:
        The course of the training and where the model is.

    Raises:
        IngestError: If the dataset cannot be learned from.
        NotFoundError: If `backbone` is not given and there is no such published backbone.
        InvalidConfigError: If the backbone has no such blocks or layers, or a teacher cannot be asked.
        TrainingError: If the numbers went out of bounds before anything was learned, or memory or disk
            are too small.
        WeightsError: If the pretrained weights are missing or damaged.
        WorkspaceError: If writing fails.
    """
    chosen = backbone or get_backbone(config.backbone)
    resumed = {image.id for image in resumed_dataset(dataset, output_dir).images}
    left_out = [image for image in dataset.images if image.id not in resumed]

    def tell(event: TrainingEvent) -> None:
        emit(event)
        if left_out and isinstance(event, RunStarted | RunResumed):
            emit(photos_left_out(clock(), left_out))

    def leave_out(damaged: list[ImageRecord]) -> None:
        nonlocal reported
        # With fewer photos the training never reaches again what was reported with all of them.
        reported = ()
        left_out.extend(damaged)
        save_left_out(output_dir, [image.id for image in left_out])

    def train_on(readable: ImageDataset) -> TrainingResult:
        return _train(
            readable,
            config,
            chosen,
            output_dir,
            cache_dir,
            tell,
            should_stop,
            clock,
            teacher_outputs,
            reported,
        )

    return use_readable(dataset, train_on, leave_out, {image.id for image in left_out})


def photos_left_out(now: float, images: Sequence[ImageRecord]) -> PhotosLeftOut:
    """Return the event for photos that are damaged.

    Args:
        now: The time in seconds since 1970.
        images: The photos.
    """
    return PhotosLeftOut(
        now,
        tuple(image.id for image in images),
        tuple(image.name for image in images),
        tuple(image.class_name for image in images),
    )


def _train(
    dataset: ImageDataset,
    config: TrainingConfig,
    backbone: Backbone,
    output_dir: Path,
    cache_dir: Path,
    emit: Callable[[TrainingEvent], None],
    should_stop: ShouldStop,
    clock: Callable[[], float],
    teacher_outputs: TeacherOutputs | None,
    reported: Sequence[EpochEnded],
) -> TrainingResult:
    dataset.check_trainable()
    FreezePlan.of(config, backbone)  # raises before TensorFlow is loaded
    if config.teacher and teacher_outputs is None:
        raise InvalidConfigError(_("The teacher {id} cannot be asked here.").format(id=config.teacher))
    trainer = _trainer_class()(
        dataset, config, backbone, output_dir, cache_dir, emit, should_stop, clock, teacher_outputs, reported
    )
    outcome, message = trainer.run()
    # The weights of one that was interrupted may be worse than what was reported.
    best = None if outcome == "interrupted" else trainer.snapshot.best
    model_path = _save(trainer.model, dataset, backbone, output_dir) if best else None
    trainer.tell(RunEnded(clock(), outcome, message, best.epoch if best else 0))
    if outcome != "interrupted":
        delete_checkpoints(output_dir)
    return TrainingResult(trainer.snapshot, model_path)


def _trainer_class() -> type[Trainer]:
    # Its module imports Keras, which a wrong choice should not have to wait for.
    load_keras()
    from transfer_core.training.trainer import Trainer

    return Trainer


def _save(model: keras.Model, dataset: ImageDataset, backbone: Backbone, output_dir: Path) -> Path:
    """Save a model whole or not at all, and before it what a `Predictor` has to know."""
    write_json(output_dir / SIGNATURE_FILE, signature_of(model, dataset, backbone))
    path = output_dir / MODEL_FILE
    with replacing(path) as beside:
        model.save(beside)
    return path
