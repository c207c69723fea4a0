"""Measure the learning curve of a run from cached features, and keep it in its folder."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np

from transfer_core.backbones.backbone import Backbone
from transfer_core.data.damage import leave_out_damaged
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import WorkspaceError
from transfer_core.evaluation.learning_curve import LearningCurve, learning_curve
from transfer_core.facts_file import FactsFile
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.features.feature_cache import FeaturesStoppedError, pooled_features
from transfer_core.training.head_choice import recipe_of
from transfer_core.training.heads import HeadRecipe
from transfer_core.types import ShouldStop


class MeasuredCurve(msgspec.Struct, frozen=True):
    """The learning curve of a run.

    Args:
        model_version: Of the run when it was measured.
        dataset_version: Of the photos when it was measured.
        curve: None if there were too few photos.
        is_of_the_model: Whether the model has the same head on the same features. A fine-tuned model, or one with
            another head, is represented by the usual head on the frozen backbone.
    """

    model_version: tuple[int, ...]
    dataset_version: int
    curve: LearningCurve | None
    is_of_the_model: bool


_CURVE = FactsFile("learning_curve.json", MeasuredCurve)


def can_be_measured(run: TrainingRun) -> bool:
    """Return whether a run builds on pretrained features, which the curve is measured with."""
    return run.config.weights != "random"


def stored_curve(run: TrainingRun, dataset: ImageDataset) -> MeasuredCurve | None:
    """Return the curve of this version of the model and its photos; None if it was not measured yet.

    Args:
        run: A run with a model.
        dataset: Its photos.
    """
    with suppress(WorkspaceError):
        measured = _CURVE.read(run.folder)
        if (measured.model_version, measured.dataset_version) == (run.files.model_version, dataset.version):
            return measured
    return None


def measure_curve(
    run: TrainingRun,
    dataset: ImageDataset,
    backbone: Backbone,
    cache_dir: Path,
    *,
    on_progress: Callable[[int], None] = lambda num_done: None,
    should_stop: ShouldStop = lambda: False,
) -> MeasuredCurve:
    """Measure the curve on the training and validation photos of a run, and store it with the run.

    Args:
        run: A run with a model.
        dataset: Its photos, with their present classes.
        backbone: The backbone of the run.
        cache_dir: Where features are kept.
        on_progress: Called with the number of photos whose features are available.
        should_stop: Called for each photo that is read, and before each fold.

    Raises:
        FeaturesStoppedError: If `should_stop` returned true.
        WorkspaceError: If it is not known which photos these were, or writing fails.
        TransferStudioError: Whatever `pooled_features` raises.
    """
    model_version, class_names = run.files.model_version, run.class_names
    ids = run.train_ids() | run.validation_ids()
    images = [image for image in dataset.images if image.id in ids and image.class_name in class_names]
    images, features = leave_out_damaged(
        images,
        lambda left: (
            left,
            pooled_features(
                dataset, backbone, cache_dir, images=left, on_progress=on_progress, should_stop=should_stop
            ),
        ),
    )
    names, labels = np.unique([image.class_name for image in images], return_inverse=True)
    chosen = run.snapshot().head
    recipe = recipe_of(chosen) if chosen else None
    curve = learning_curve(
        features,
        labels,
        [image.group or image.id for image in images],
        [str(name) for name in names],
        recipe or HeadRecipe(),
        seed=run.config.seed,
        should_stop=should_stop,
    )
    if should_stop():
        raise FeaturesStoppedError
    is_of_the_model = recipe is not None and not run.config.unfreezes
    measured = MeasuredCurve(model_version, dataset.version, curve, is_of_the_model)
    _CURVE.write(run.folder, measured)
    return measured
