"""k-fold cross-validation: the same training with each other part of the images kept to check with."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import InsufficientResourcesError, TrainingError, WorkspaceError
from transfer_core.events import FoldEnded, PhaseStarted, TrainingEvent
from transfer_core.files import read_json, write_json
from transfer_core.schema import fits
from transfer_core.training.checkpoint import training_key
from transfer_core.training.train import train
from transfer_core.types import ShouldStop

_logger = logging.getLogger(__name__)

FOLDS_DIR = "folds"
_FILE = "fold.json"


def check_other_folds(
    dataset: ImageDataset,
    config: TrainingConfig,
    output_dir: Path,
    cache_dir: Path,
    first_accuracy: float,
    emit: Callable[[TrainingEvent], None],
    should_stop: ShouldStop,
) -> None:
    """Train once more for each other part, and tell how many of its images were right.

    The frozen layers have looked at all images already, so this costs little. Models are not kept, only what they
    reached; a part that was done before an interruption is not done again.

    Args:
        dataset: The images, of which the first part was kept to check with. Split otherwise, nothing is done.
        config: Every choice of the run.
        output_dir: The folder of the run.
        cache_dir: Where features are kept.
        first_accuracy: What the run itself reached on the first part, 0-1.
        emit: Takes the events.
        should_stop: Asked after each batch; the parts that are left are then not checked.

    Raises:
        TransferStudioError: Whatever `train` raises.
    """
    folds = dataset.folds()
    if len(folds) < 2 or should_stop():
        return
    emit(PhaseStarted(time.time(), "cross_validation", len(folds)))
    emit(FoldEnded(time.time(), 1, len(folds), first_accuracy))
    for number, fold in enumerate(folds[1:], 2):
        accuracy = _accuracy_of(fold, config, output_dir / FOLDS_DIR / str(number), cache_dir, should_stop)
        if accuracy is None:
            return
        emit(FoldEnded(time.time(), number, len(folds), accuracy))


def _accuracy_of(
    fold: ImageDataset,
    config: TrainingConfig,
    folder: Path,
    cache_dir: Path,
    should_stop: ShouldStop,
) -> float | None:
    """Return what the training of one part reaches, or None when it was stopped or went out of bounds."""
    key = training_key(fold, config)
    known = _known(folder, key)
    if known is not None:
        return known
    try:
        result = train(fold, config, folder, cache_dir, should_stop=should_stop)
    except InsufficientResourcesError:
        raise
    except TrainingError as error:
        # The run itself is trained and scored: that must not be lost with a part.
        _logger.warning("A part of %s was not checked: %s", folder.parent.parent.name, error)
        return None
    shutil.rmtree(folder, ignore_errors=True)
    if result.best is None or (result.outcome != "finished" and should_stop()):
        return None
    write_json(folder / _FILE, {"key": key, "val_accuracy": result.best.val_accuracy})
    return result.best.val_accuracy


def _known(folder: Path, key: str) -> float | None:
    try:
        facts = read_json(folder / _FILE)
    except WorkspaceError:
        return None
    accuracy: Any = facts.get("val_accuracy")
    is_sound = facts.get("key") == key and fits(accuracy, float) and 0 <= accuracy <= 1
    return float(accuracy) if is_sound else None
