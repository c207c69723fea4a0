"""Carry out one run: train, evaluate, and leave everything in its folder."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import IngestError, TransferStudioError
from transfer_core.evaluation.evaluation import Evaluation, LabelledImage, evaluate
from transfer_core.events import RunEnded, TrainingEvent
from transfer_core.files import write_json
from transfer_core.language import _
from transfer_core.predictor import Predictor
from transfer_core.runs.training_run import EVALUATION_FILE, TrainingRun
from transfer_core.training.train import train
from transfer_core.workspace import Workspace

_logger = logging.getLogger(__name__)

Emit = Callable[[TrainingEvent], None]


def execute_run(workspace: Workspace, run: TrainingRun, emit: Emit, should_stop: Callable[[], bool]) -> None:
    """Train a run and evaluate it. The `RunEnded` event comes last, when all files are in their place.

    Args:
        workspace: Where its dataset and the cache are.
        run: What to train.
        emit: Takes each event.
        should_stop: Asked after each batch.

    Raises:
        NotFoundError: If its images or its backbone are gone.
        IngestError: If its images cannot be learned from.
        TrainingError: If the numbers went out of bounds.
        WeightsError: If the pretrained weights are missing or damaged.
        WorkspaceError: If the disk refuses.
    """
    ended: list[RunEnded] = []

    def pass_on(event: TrainingEvent) -> None:
        if isinstance(event, RunEnded):
            ended.append(event)
        else:
            emit(event)

    dataset = ImageDataset.load(workspace, run.dataset_id)
    run = run.begin(dataset)
    result = train(
        dataset, run.config, run.folder, workspace.cache_dir, emit=pass_on, should_stop=should_stop
    )
    if result.model_path:
        evaluation = evaluate_on_dataset(Predictor.load(run.folder), run, dataset)
        write_json(run.folder / EVALUATION_FILE, evaluation.to_dict())
    for event in ended:
        emit(event)


def execute_run_safely(
    workspace: Workspace, run: TrainingRun, emit: Emit, should_stop: Callable[[], bool]
) -> None:
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
        emit(RunEnded(time.time(), "failed", str(error)))
    except Exception as error:
        _logger.exception("Run %s failed", run.id)
        message = _("{message} The log has the details.").format(message=failure_message(error))
        emit(RunEnded(time.time(), "failed", message))


def failure_message(error: BaseException) -> str:
    """Say for a person why a run ended.

    Args:
        error: What escaped from `execute_run`.

    Returns:
        One or two sentences.
    """
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


def evaluate_on_dataset(predictor: Predictor, run: TrainingRun, dataset: ImageDataset) -> Evaluation:
    """Score the images that a run was checked with, whatever the split of the dataset is by now.

    Args:
        predictor: The model of the run.
        run: It knows which images it has not learned from.
        dataset: Where these images are, with their present classes.

    Returns:
        The numbers on those of them that are still there and have a class that the model knows.

    Raises:
        IngestError: If none is left.
        UnreadableImageError: If an image is damaged.
        WorkspaceError: If it is not known which images the run was checked with.
    """
    validation_ids = run.validation_ids()
    images = [
        LabelledImage(dataset.image_path(image), image.name, image.class_name)
        for image in dataset.images
        if image.id in validation_ids and image.class_name in predictor.class_names
    ]
    if not images:
        raise IngestError(
            _(
                "None of the photos that this run was checked with is left, so it cannot be scored on them. Score "
                "it on a folder of new photos, or train again."
            )
        )
    return evaluate(predictor, images)
