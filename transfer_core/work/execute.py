"""Execute one run: look for series of photos, train, evaluate, cross-validate, end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial

from msgspec import structs

from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.registry import get_backbone
from transfer_core.backbones.runtime import is_keras_loaded, load_keras
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import ImageRecord
from transfer_core.errors import (
    InsufficientResourcesError,
    TrainingError,
    TransferStudioError,
    WorkspaceError,
)
from transfer_core.evaluation.evaluation import Evaluation
from transfer_core.evaluation.photo_series import keep_series_together
from transfer_core.events import (
    EpochEnded,
    ImagesSeen,
    PhaseStarted,
    RunEnded,
    RunStarted,
    Stage,
    TrainingEvent,
)
from transfer_core.files import move
from transfer_core.inference.predictor import Predictor
from transfer_core.language import _, said, stored
from transfer_core.runs.cross_validation import ElsewhereFolds, cross_validate
from transfer_core.runs.distillation import measure_both, teacher_answers
from transfer_core.runs.run_evaluation import (
    REFUSED_MODEL_FILE,
    check_saved_model,
    evaluation_of_training,
    fit_certainty,
    fit_familiarity,
    proof_images,
)
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.all_photos import trains_on_all
from transfer_core.training.checkpoint import Progress, delete_checkpoints, outcome_of_stop
from transfer_core.training.features.feature_cache import FeaturesStoppedError
from transfer_core.training.schedule import planned_phases
from transfer_core.training.soft_targets import TeacherOutputs
from transfer_core.training.stages import (
    estimated_seconds,
    planned_stages,
    remember_rates,
    remember_run,
)
from transfer_core.training.train import MODEL_FILE, TrainingResult, photos_left_out, train
from transfer_core.types import ShouldStop
from transfer_core.workspace import Workspace

_logger = logging.getLogger(__name__)

Emit = Callable[[TrainingEvent], None]

_SECONDS_BETWEEN_STOP_CHECKS = 0.1
# Another try may succeed.
_TRANSIENT = (WorkspaceError, InsufficientResourcesError, OSError, MemoryError, KeyboardInterrupt)


def execute_run(
    workspace: Workspace,
    run: TrainingRun,
    emit: Emit,
    should_stop: ShouldStop,
    folds_elsewhere: ElsewhereFolds | None = None,
) -> None:
    """Train, evaluate and cross-validate a run, then emit `RunEnded`, when all files are in their place.

    First, series among photos that were not examined yet are looked for, and the dataset is saved with them. A run
    with a checkpoint keeps its split instead, and so does one whose network is for tests and has no pretrained weights.

    The last checkpoint is kept until then: a run that is cut off in any step goes on from it.

    Args:
        workspace: Where its dataset and the cache are.
        run: What to train.
        emit: Takes each event.
        should_stop: Called after each batch.
        folds_elsewhere: Where other computers may train some of the folds.

    Raises:
        NotFoundError: If its images or its backbone were deleted.
        IngestError: If its images cannot be learned from.
        TrainingError: If the numbers went out of bounds.
        WeightsError: If the pretrained weights are missing or damaged.
        WorkspaceError: If writing fails.
    """
    dataset = ImageDataset.load(workspace, run.dataset_id)
    backbone = get_backbone(run.config.backbone, workspace)
    run, reported = _begin(run, dataset)
    try:
        if not _load_keras_unless(should_stop):
            raise FeaturesStoppedError
        if not run.has_checkpoint and not get_backbone(backbone.network).hidden:
            emit = reading = _Reading(emit, len(dataset.images), _stages(workspace, run, dataset, backbone))
            dataset = keep_series_together(
                workspace, dataset, on_progress=reading.images_seen, should_stop=should_stop
            )
            run, reported = _begin(run, dataset)
    except FeaturesStoppedError:
        outcome, message = outcome_of_stop(Progress(), reported, has_checkpoint=run.has_checkpoint)
        emit(RunEnded(time.time(), outcome, stored(message)))
        return
    result = train(
        dataset,
        run.config,
        run.folder,
        workspace.cache_dir,
        backbone=backbone,
        emit=emit,
        should_stop=should_stop,
        teacher_outputs=_teacher_outputs(workspace, run, should_stop),
        reported=reported,
        keep_checkpoint=True,
    )
    run.write_split(result.dataset)
    accuracy = None
    if result.model_path:
        evaluation, readable = _evaluate(workspace, run, result, emit)
        accuracy = evaluation.accuracy
        # A teacher has learned from the other folds. A training on all photos has trained the folds already.
        is_measured = bool(run.config.teacher) or evaluation.num_folds > 1
        if result.outcome == "finished" and not is_measured:
            cross_validate(
                readable,
                run.config.with_changes(train_on_all=False),
                backbone,
                run.folder,
                workspace.cache_dir,
                evaluation.accuracy,
                emit,
                should_stop,
                folds_elsewhere,
            )
    emit(RunEnded(time.time(), result.outcome, stored(result.message), result.best_epoch, accuracy))
    remember_times(workspace, run, result.dataset, backbone)
    if result.outcome != "interrupted":
        delete_checkpoints(run.folder)


def remember_times(workspace: Workspace, run: TrainingRun, dataset: ImageDataset, backbone: Backbone) -> None:
    """Keep how long a run and its stages took, for the estimates of later ones."""
    snapshot = run.snapshot()
    remember_rates(workspace.cache_dir, run.config.backbone, snapshot.progress.measured)
    if snapshot.outcome == "finished":
        planned = estimated_seconds(run.config, dataset, backbone, workspace.cache_dir)
        remember_run(workspace.cache_dir, run.config.backbone, planned, snapshot.seconds)


def _stages(
    workspace: Workspace, run: TrainingRun, dataset: ImageDataset, backbone: Backbone
) -> tuple[Stage, ...]:
    """Plan a run that begins by reading all photos. Their features are then in the cache."""
    return planned_stages(
        planned_phases(run.config, backbone),
        run.config,
        dataset,
        (),
        len(dataset.images),
        workspace.cache_dir,
        is_trained_on_all=trains_on_all(run.config),
    )


class _Reading:
    """Emits as a phase that photos are read before the training starts, and counts that time to the training."""

    def __init__(self, emit: Emit, num_images: int, stages: tuple[Stage, ...]) -> None:
        self._emit = emit
        self._num_images = num_images
        self._stages = stages
        self._began_at = time.time()
        self._has_begun = False

    def images_seen(self, num_done: int) -> None:
        if not self._has_begun:
            self._has_begun = True
            self._emit(PhaseStarted(time.time(), "features", self._num_images, num_done, self._stages))
        elif num_done:
            self._emit(ImagesSeen(time.time(), num_done))

    def __call__(self, event: TrainingEvent) -> None:
        if self._has_begun and isinstance(event, RunStarted):
            event = structs.replace(event, time=self._began_at)
        self._emit(event)


def _teacher_outputs(
    workspace: Workspace, run: TrainingRun, should_stop: ShouldStop
) -> TeacherOutputs | None:
    if not run.config.teacher:
        return None
    return partial(teacher_answers, workspace, run.config, should_stop=should_stop)


def _evaluate(
    workspace: Workspace, run: TrainingRun, result: TrainingResult, emit: Emit
) -> tuple[Evaluation, ImageDataset]:
    """Prove the saved model on a few photos, set its thresholds, and store how right its training was.

    Returns:
        The stored evaluation, and the images without those that turned out to be damaged.
    """
    dataset = result.dataset

    def leave_out(damaged: list[ImageRecord]) -> None:
        nonlocal dataset
        # Nothing is split again here: the model has learned from the others.
        dataset = structs.replace(
            dataset, images=tuple(image for image in dataset.images if image not in damaged)
        )
        run.write_split(dataset)
        emit(photos_left_out(time.time(), damaged))

    assert result.out_of_fold is not None and result.validation_outputs is not None
    validation = dataset.images_in("validation")
    expected = {image.id: row for image, row in zip(validation, result.validation_outputs, strict=True)}
    emit(PhaseStarted(time.time(), "evaluation", len(proof_images(validation))))
    try:
        check_saved_model(
            dataset,
            Predictor.load(run.folder),
            expected,
            lambda num_done: emit(ImagesSeen(time.time(), num_done)),
            leave_out,
        )
    except TrainingError:
        move(run.folder / MODEL_FILE, run.folder / REFUSED_MODEL_FILE)
        raise
    familiarities = fit_certainty(run, dataset, workspace.cache_dir, result.out_of_fold)
    evaluation = evaluation_of_training(run, dataset, result.out_of_fold, familiarities)
    fit_familiarity(run, evaluation)
    run.files.write_evaluation(evaluation)
    if run.config.teacher:
        _measure_teacher_too(workspace, run, dataset, evaluation)
    return evaluation, dataset


def _begin(run: TrainingRun, dataset: ImageDataset) -> tuple[TrainingRun, list[EpochEnded]]:
    """Store the dataset version that a run begins with; return the run and the epochs that it will reach again."""
    reported = _reported_epochs(run, dataset)
    return run.begin(dataset), reported


def _reported_epochs(run: TrainingRun, dataset: ImageDataset) -> list[EpochEnded]:
    """Return the epochs that the run reported before it was interrupted, and that it will reach again."""
    # Without a checkpoint a run takes the photos as they are now, even if they have changed.
    if not run.has_checkpoint and dataset.version != run.dataset_version:
        return []
    return [event for event in run.events() if isinstance(event, EpochEnded)]


def _measure_teacher_too(
    workspace: Workspace, run: TrainingRun, dataset: ImageDataset, evaluation: Evaluation
) -> None:
    try:
        measure_both(workspace, run, dataset, evaluation)
    except (TransferStudioError, OSError) as error:
        # A teacher or a photo that was deleted meanwhile is no reason to lose the student.
        _logger.warning("Run %s was not measured beside its teacher: %s", run.id, error)


def _load_keras_unless(should_stop: ShouldStop) -> bool:
    """Load TensorFlow, which takes seconds; return False if a stop was requested meanwhile."""
    loading = threading.Thread(target=load_keras, daemon=True)
    loading.start()
    while loading.is_alive() and not should_stop():
        loading.join(_SECONDS_BETWEEN_STOP_CHECKS)
    return not loading.is_alive()


def execute_run_safely(
    workspace: Workspace,
    run: TrainingRun,
    emit: Emit,
    should_stop: ShouldStop,
    folds_elsewhere: ElsewhereFolds | None = None,
) -> None:
    """Run `execute_run`, converting any exception to a `RunEnded` event so that the worker thread survives.

    Args:
        workspace: Where its dataset and the cache are.
        run: What to train.
        emit: Takes each event.
        should_stop: Called after each batch.
        folds_elsewhere: Where other computers may train some of the folds.

    Raises:
        WorkspaceError: If `emit` could not even write that the run failed.
    """
    try:
        execute_run(workspace, run, emit, should_stop, folds_elsewhere)
    except TransferStudioError as error:
        _logger.warning("Run %s failed: %s", run.id, error)
        emit(ended_by(error, has_checkpoint=run.has_checkpoint))
    except Exception as error:
        _logger.exception("Run %s failed", run.id)
        ended = ended_by(error, has_checkpoint=run.has_checkpoint)
        message = _("{message} The log has the details.").format(message=said(ended.message))
        emit(structs.replace(ended, message=stored(message)))


def ended_by(error: BaseException, *, has_checkpoint: bool = False) -> RunEnded:
    """Return the event that an error ends a run with.

    Args:
        error: What escaped from `execute_run`.
        has_checkpoint: Whether the run can go on from one.

    Returns:
        `"interrupted"` when disk, memory or the person cut it off, or when it has a checkpoint to resume from;
        otherwise `"failed"`, because it would fail again.
    """
    may_go_on = isinstance(error, _TRANSIENT) or _is_shortage_of_memory(error) or has_checkpoint
    return RunEnded(time.time(), "interrupted" if may_go_on else "failed", stored(_failure_message(error)))


def _is_shortage_of_memory(error: BaseException) -> bool:
    """Return whether TensorFlow could not allocate memory, most often that of a GPU."""
    if not is_keras_loaded():
        return False
    import tensorflow as tf

    return isinstance(error, tf.errors.ResourceExhaustedError)


def _failure_message(error: BaseException) -> str:
    match error:
        case TransferStudioError():
            return str(error)
        case KeyboardInterrupt():
            return _("Interrupted from the keyboard.")
        case MemoryError():
            return _("This computer ran out of memory. A smaller batch size or fewer unfrozen blocks help.")
    if _is_shortage_of_memory(error):
        return _(
            "The GPU or this computer ran out of memory. A smaller batch size or fewer unfrozen blocks help."
        )
    return _("Something unexpected went wrong ({kind}).").format(kind=type(error).__name__)
