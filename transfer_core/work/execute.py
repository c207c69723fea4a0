"""Carry out one run: train, evaluate, and leave everything in its folder."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from transfer_core.backbones.registry import look_for_own_models_in
from transfer_core.backbones.runtime import load_keras
from transfer_core.data.damage import leave_out_damaged
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import ImageRecord
from transfer_core.errors import (
    IngestError,
    InsufficientResourcesError,
    TransferStudioError,
    WorkspaceError,
)
from transfer_core.evaluation.evaluation import Evaluation, evaluate
from transfer_core.events import EpochEnded, PhaseStarted, RunEnded, TrainingEvent
from transfer_core.files import write_json
from transfer_core.inference.predictor import Predictor
from transfer_core.language import _
from transfer_core.runs.assess import fit_certainty, fit_familiarity, images_of, labelled, none_left
from transfer_core.runs.cross_validation import check_other_folds
from transfer_core.runs.distillation import measure_both, teacher_answers
from transfer_core.runs.training_run import EVALUATION_FILE, TrainingRun
from transfer_core.training.checkpoint import Progress, delete_checkpoints, outcome_of_stop
from transfer_core.training.soft_targets import TeacherOutputs
from transfer_core.training.train import photos_left_out, train
from transfer_core.types import ShouldStop
from transfer_core.workspace import Workspace

_logger = logging.getLogger(__name__)

Emit = Callable[[TrainingEvent], None]

_SECONDS_BETWEEN_QUESTIONS = 0.1
# These may not come again.
_PASSING = (WorkspaceError, InsufficientResourcesError, OSError, MemoryError, KeyboardInterrupt)


def execute_run(workspace: Workspace, run: TrainingRun, emit: Emit, should_stop: ShouldStop) -> None:
    """Train, evaluate and cross-validate a run, then emit `RunEnded`, when all files are in their place.

    The last checkpoint is kept until then: a run that is cut off in any step goes on from it.

    Args:
        workspace: Where its dataset and the cache are.
        run: What to train.
        emit: Takes each event.
        should_stop: Called after each batch.

    Raises:
        NotFoundError: If its images or its backbone were deleted.
        IngestError: If its images cannot be learned from.
        TrainingError: If the numbers went out of bounds.
        WeightsError: If the pretrained weights are missing or damaged.
        WorkspaceError: If writing fails.
    """
    look_for_own_models_in(workspace)
    dataset = ImageDataset.load(workspace, run.dataset_id)
    reported = _reported_epochs(run, dataset)
    run = run.begin(dataset)
    if not _load_keras_unless(should_stop):
        outcome, message = outcome_of_stop(Progress(), reported, has_checkpoint=run.has_checkpoint)
        emit(RunEnded(time.time(), outcome, message))
        return
    result = train(
        dataset,
        run.config,
        run.folder,
        workspace.cache_dir,
        emit=emit,
        should_stop=should_stop,
        teacher_outputs=_teacher_outputs(workspace, run, should_stop),
        reported=reported,
        keep_checkpoint=True,
    )
    run.write_split(result.dataset)
    if result.model_path:
        evaluation, readable = _evaluate(workspace, run, result.dataset, emit)
        # A teacher has learned from the other folds: only the first is kept from both models.
        if result.outcome == "finished" and not run.config.teacher:
            check_other_folds(
                readable, run.config, run.folder, workspace.cache_dir, evaluation.accuracy, emit, should_stop
            )
    emit(RunEnded(time.time(), result.outcome, result.message, result.best_epoch))
    if result.outcome != "interrupted":
        delete_checkpoints(run.folder)


def _teacher_outputs(
    workspace: Workspace, run: TrainingRun, should_stop: ShouldStop
) -> TeacherOutputs | None:
    if not run.config.teacher:
        return None
    return partial(teacher_answers, workspace, run.config, should_stop=should_stop)


def _evaluate(
    workspace: Workspace, run: TrainingRun, dataset: ImageDataset, emit: Emit
) -> tuple[Evaluation, ImageDataset]:
    """Score the saved model on its validation images, set its thresholds, and measure it beside its teacher.

    Returns:
        The stored evaluation, and the images without those that turned out to be damaged.
    """

    def leave_out(damaged: list[ImageRecord]) -> None:
        nonlocal dataset
        # Nothing is split again here: the model has learned from the others.
        dataset = replace(dataset, images=tuple(image for image in dataset.images if image not in damaged))
        run.write_split(dataset)
        emit(photos_left_out(time.time(), damaged))

    emit(PhaseStarted(time.time(), "evaluation", len(run.validation_ids())))
    fit_certainty(run, dataset, workspace.cache_dir)
    evaluation = evaluate_on_dataset(Predictor.load(run.folder), run, dataset, leave_out)
    fit_familiarity(run, evaluation)
    write_json(run.folder / EVALUATION_FILE, evaluation.to_dict())
    if run.config.teacher:
        _measure_both(workspace, run, dataset, evaluation)
    return evaluation, dataset


def _reported_epochs(run: TrainingRun, dataset: ImageDataset) -> list[EpochEnded]:
    """Return the epochs that the run reported before it was interrupted, and that it will reach again."""
    # Without a checkpoint a run takes the photos as they are now, even if they have changed.
    if not run.has_checkpoint and dataset.version != run.dataset_version:
        return []
    return [event for event in run.events() if isinstance(event, EpochEnded)]


def _measure_both(
    workspace: Workspace, run: TrainingRun, dataset: ImageDataset, evaluation: Evaluation
) -> None:
    try:
        measure_both(workspace, run, dataset, evaluation)
    except TransferStudioError as error:
        # The teacher was deleted meanwhile: what it has taught is there all the same.
        _logger.warning("Run %s was not measured beside its teacher: %s", run.id, error)


def _load_keras_unless(should_stop: ShouldStop) -> bool:
    """Load TensorFlow, which takes seconds in which nobody could ask. False when a stop was asked for."""
    loading = threading.Thread(target=load_keras, daemon=True)
    loading.start()
    while loading.is_alive() and not should_stop():
        loading.join(_SECONDS_BETWEEN_QUESTIONS)
    return not loading.is_alive()


def execute_run_safely(workspace: Workspace, run: TrainingRun, emit: Emit, should_stop: ShouldStop) -> None:
    """Do the same, and turn whatever goes wrong into a `RunEnded` event: the thread must live on.

    Args:
        workspace: Where its dataset and the cache are.
        run: What to train.
        emit: Takes each event.
        should_stop: Asked after each batch.

    Raises:
        WorkspaceError: If `emit` could not even write down that the run failed.
    """
    try:
        execute_run(workspace, run, emit, should_stop)
    except TransferStudioError as error:
        _logger.warning("Run %s failed: %s", run.id, error)
        emit(ended_by(error, has_checkpoint=run.has_checkpoint))
    except Exception as error:
        _logger.exception("Run %s failed", run.id)
        ended = ended_by(error, has_checkpoint=run.has_checkpoint)
        message = _("{message} The log has the details.").format(message=ended.message)
        emit(replace(ended, message=message))


def ended_by(error: BaseException, *, has_checkpoint: bool = False) -> RunEnded:
    """Return the event that an error ends a run with.

    Args:
        error: What escaped from `execute_run`.
        has_checkpoint: Whether the run can go on from one.

    Returns:
        That it was interrupted and may go on later, when disk, memory or the person cut it off, or when a failure
        would lose what it has learned; otherwise that it failed, because it would fail again.
    """
    may_go_on = isinstance(error, _PASSING) or has_checkpoint
    return RunEnded(time.time(), "interrupted" if may_go_on else "failed", _failure_message(error))


def _failure_message(error: BaseException) -> str:
    match error:
        case TransferStudioError():
            return str(error)
        case KeyboardInterrupt():
            return _("Interrupted from the keyboard.")
        case MemoryError():
            return _(
                "The memory of this computer was not enough. A smaller batch size or fewer unfrozen blocks help."
            )
    return _("Something went wrong that the app did not expect ({kind}).").format(kind=type(error).__name__)


def evaluate_on_dataset(
    predictor: Predictor,
    run: TrainingRun,
    dataset: ImageDataset,
    on_left_out: Callable[[list[ImageRecord]], None] = lambda images: None,
) -> Evaluation:
    """Score the images that a run was checked with, whatever the split of the dataset is by now.

    Args:
        predictor: The model of the run.
        run: It knows which images it has not learned from.
        dataset: Where these images are, with their present classes.
        on_left_out: Called with photos that are damaged; they are left out.

    Returns:
        The numbers on those of them that are still there and have a class that the model knows.

    Raises:
        IngestError: If none is left, or none can be read.
        WorkspaceError: If it is not known which images the run was checked with.
    """
    images = images_of(run, dataset, "validation", predictor.class_names)
    if not images:
        raise IngestError(none_left("validation"))
    evaluation = leave_out_damaged(
        images,
        lambda left: evaluate(predictor, [labelled(dataset, image) for image in left]),
        on_left_out,
    )
    # `fit_certainty` fitted the temperature on the same images.
    return replace(evaluation, is_fitted_here=True)
