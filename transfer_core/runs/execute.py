"""Carry out one run: train, evaluate, and leave everything in its folder."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import TransferStudioError
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
        TransferStudioError: If something is wrong that a person can mend.
    """
    ended: list[RunEnded] = []

    def pass_on(event: TrainingEvent) -> None:
        if isinstance(event, RunEnded):
            ended.append(event)
        else:
            emit(event)

    dataset = ImageDataset.load(workspace, run.dataset_id)
    result = train(
        dataset, run.config, run.folder, workspace.cache_dir, emit=pass_on, should_stop=should_stop
    )
    if result.model_path:
        evaluation = evaluate_on_dataset(Predictor.load(run.folder), dataset)
        write_json(run.folder / EVALUATION_FILE, evaluation.to_dict())
    for event in ended:
        emit(event)


def execute_run_safely(
    workspace: Workspace, run: TrainingRun, emit: Emit, should_stop: Callable[[], bool]
) -> None:
    """Do the same, and turn whatever goes wrong into a `RunEnded` event: the thread must live on."""
    try:
        execute_run(workspace, run, emit, should_stop)
    except TransferStudioError as error:
        _logger.warning("Run %s failed: %s", run.id, error)
        emit(RunEnded(time.time(), "failed", str(error)))
    except MemoryError:
        _logger.exception("Run %s ran out of memory", run.id)
        message = _(
            "The memory of this computer was not enough. A smaller batch size or fewer unfrozen blocks help."
        )
        emit(RunEnded(time.time(), "failed", message))
    except Exception as error:
        _logger.exception("Run %s failed", run.id)
        message = _("Something went wrong that the app did not expect ({kind}). The log has the details.")
        emit(RunEnded(time.time(), "failed", message.format(kind=type(error).__name__)))


def evaluate_on_dataset(predictor: Predictor, dataset: ImageDataset) -> Evaluation:
    """Score the validation images of a dataset.

    Raises:
        UnreadableImageError: If an image is damaged.
    """
    images = dataset.images_in("validation")
    return evaluate(
        predictor,
        [LabelledImage(dataset.image_path(image), image.name, image.class_name) for image in images],
    )
