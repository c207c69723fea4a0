"""k-fold cross-validation: the same training again, validated on each other fold of the images."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Protocol

import msgspec

from transfer_core.backbones.backbone import Backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import InsufficientResourcesError, TrainingError, WorkspaceError
from transfer_core.events import FoldEnded, PhaseStarted, TrainingEvent
from transfer_core.facts_file import FactsFile
from transfer_core.training.checkpoint import left_out_ids, training_key
from transfer_core.training.schedule import planned_phases
from transfer_core.training.stages import planned_stages
from transfer_core.training.train import train
from transfer_core.types import ShouldStop

_logger = logging.getLogger(__name__)

FOLDS_DIR = "folds"


class FoldResult(msgspec.Struct, frozen=True):
    """The accuracy that a finished fold reached, kept for when the cross-validation is cut off.

    Args:
        key: What `training_key` gives for the fold.
        val_accuracy: 0-1.
    """

    key: str
    val_accuracy: Annotated[float, msgspec.Meta(ge=0, le=1)]


FOLD = FactsFile("fold.json", FoldResult)


class ElsewhereFolds(Protocol):
    """Folds that other computers may train."""

    def offer(
        self,
        keys: Sequence[str],
        left_out: Collection[str],
        seconds_of_fold: float,
        seconds_of_features: float,
    ) -> None:
        """Offer the folds after the first, by their keys and with the ids of the photos that they leave out."""

    def accuracy_of(self, number: int, should_stop: ShouldStop) -> float | None:
        """Return the accuracy of a fold that another computer has trained or is training; None where none has."""


def cross_validate(
    dataset: ImageDataset,
    config: TrainingConfig,
    backbone: Backbone,
    output_dir: Path,
    cache_dir: Path,
    first_accuracy: float,
    emit: Callable[[TrainingEvent], None],
    should_stop: ShouldStop,
    elsewhere: ElsewhereFolds | None = None,
) -> None:
    """Train once more for each other fold, and emit the accuracy on its images.

    The features of all images are cached already, so this costs little. Models are not kept, only their accuracies; a
    fold that was finished before an interruption is not trained again.

    Args:
        dataset: The images, validated on the first fold so far. Split otherwise, nothing is done.
        config: Every choice of the run.
        backbone: The backbone that the config names.
        output_dir: The folder of the run.
        cache_dir: Where features are kept.
        first_accuracy: The accuracy of the run itself on the first fold, 0-1.
        emit: Takes the events.
        should_stop: Called after each batch; the folds that are left are then not trained.
        elsewhere: Where other computers may train some of the folds.

    Raises:
        TransferStudioError: Whatever `train` raises.
    """
    folds = dataset.folds()
    if len(folds) < 2 or should_stop():
        return
    if elsewhere:
        _offer(elsewhere, folds[1:], config, backbone, output_dir, cache_dir)
    emit(PhaseStarted(time.time(), "cross_validation", len(folds)))
    emit(FoldEnded(time.time(), 1, len(folds), first_accuracy))
    for number, fold in enumerate(folds[1:], 2):
        folder = output_dir / FOLDS_DIR / str(number)
        accuracy = elsewhere.accuracy_of(number, should_stop) if elsewhere else None
        if accuracy is None:
            accuracy = accuracy_of_fold(fold, config, backbone, folder, cache_dir, should_stop)
        else:
            FOLD.write(folder, FoldResult(training_key(fold, config), accuracy))
        if accuracy is None:
            return
        emit(FoldEnded(time.time(), number, len(folds), accuracy))


def _offer(
    elsewhere: ElsewhereFolds,
    folds: Sequence[ImageDataset],
    config: TrainingConfig,
    backbone: Backbone,
    output_dir: Path,
    cache_dir: Path,
) -> None:
    """Offer folds, with the estimated seconds of one and of the features that another computer has to extract."""
    phases = planned_phases(config, backbone)
    num_images = len(folds[0].images)
    stages = planned_stages(
        phases, config, folds[0], [num_images] * len(phases), 0, cache_dir, is_trained_on_all=False
    )
    features = sum(seconds for phase, seconds, _is_measured in stages if phase == "features")
    learning = sum(seconds for phase, seconds, _is_measured in stages if phase in ("head", "fine_tune"))
    elsewhere.offer(
        [training_key(fold, config) for fold in folds], left_out_ids(output_dir), learning, features
    )


def accuracy_of_fold(
    fold: ImageDataset,
    config: TrainingConfig,
    backbone: Backbone,
    folder: Path,
    cache_dir: Path,
    should_stop: ShouldStop,
) -> float | None:
    """Return the accuracy of one fold, or None when its training was stopped or went out of bounds.

    Args:
        fold: The images, validated on this fold.
        config: Every choice of the run.
        backbone: The backbone that the config names.
        folder: Of the fold, in that of the run. Its `fold.json` is read if there is one, and written.
        cache_dir: Where features are kept.
        should_stop: Called after each batch.

    Raises:
        TransferStudioError: Whatever `train` raises, but for errors of the training itself.
    """
    key = training_key(fold, config)
    known = finished_fold(folder, key)
    if known is not None:
        return known
    try:
        result = train(fold, config, folder, cache_dir, backbone=backbone, should_stop=should_stop)
    except InsufficientResourcesError:
        raise
    except TrainingError as error:
        # The run itself is trained and evaluated: that must not be lost with a fold.
        _logger.warning("A fold of %s was not trained: %s", folder.parent.parent.name, error)
        return None
    shutil.rmtree(folder, ignore_errors=True)
    if result.best is None or (result.outcome != "finished" and should_stop()):
        return None
    FOLD.write(folder, FoldResult(key, result.best.val_accuracy))
    return result.best.val_accuracy


def finished_fold(folder: Path, key: str) -> float | None:
    """Return the accuracy that a fold reached before an interruption; None if it was not finished.

    Args:
        folder: Of the fold.
        key: What `training_key` gives for it: the result of another training does not count.
    """
    with suppress(WorkspaceError):
        result = FOLD.read(folder)
        return result.val_accuracy if result.key == key else None
    return None
