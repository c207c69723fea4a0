"""Outputs of a saved model for dataset images, computed from the feature cache to skip its frozen layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import ImageRecord
from transfer_core.errors import WorkspaceError
from transfer_core.files import file_version
from transfer_core.inference.predictor import ModelOutputs, loaded_model
from transfer_core.language import _
from transfer_core.training.classifier import tail_behind
from transfer_core.training.features.feature_cache import FeaturesStoppedError, View, load_features
from transfer_core.training.freezing import FreezePlan
from transfer_core.training.schedule import planned_phases
from transfer_core.training.signature import SIGNATURE_FILE, finished_backbone, head_of
from transfer_core.training.train import MODEL_FILE
from transfer_core.types import ShouldStop

if TYPE_CHECKING:
    import keras

_BATCH_SIZE = 64


def cached_outputs(
    folder: Path,
    config: TrainingConfig,
    dataset: ImageDataset,
    images: Sequence[ImageRecord],
    cache_dir: Path,
    on_progress: Callable[[int], None] = lambda num_done: None,
    should_stop: ShouldStop = lambda: False,
) -> ModelOutputs:
    """Return the outputs of a saved model, reading the features of its frozen layers from the cache.

    Missing features are computed and added to the cache. Cached features may have half precision, so that
    probabilities differ slightly from those of the whole model; docs/results.md has the measured difference.

    Args:
        folder: Run folder with `model.keras` and `signature.json`.
        config: Configuration that the model was trained with.
        dataset: Dataset of the images.
        images: Images to compute, in the order of the result.
        cache_dir: Root of the feature cache.
        on_progress: Called with the number of images whose features are available.
        should_stop: Called before each batch; True stops.

    Raises:
        FeaturesStoppedError: If `should_stop` returned True.
        NotFoundError: If the folder has no model.
        TrainingError: If there is too little disk space for features.
        DamagedPhotosError: If uncached photos are damaged or missing.
        WorkspaceError: If the model is damaged or writing fails.
    """
    versions = (file_version(folder / MODEL_FILE), file_version(folder / SIGNATURE_FILE))
    plan, model, tail = _split_model(folder, config, versions)
    rows = load_features(
        dataset,
        plan,
        cache_dir,
        on_progress=on_progress,
        should_stop=should_stop,
        views=[View(image) for image in images],
        dtype=config.cache_dtype,
        network=model,
    )
    parts = []
    for start in range(0, len(images), _BATCH_SIZE):
        if should_stop():
            raise FeaturesStoppedError
        chosen = np.arange(start, min(start + _BATCH_SIZE, len(images)))
        features, probabilities = tail.predict_on_batch(rows[chosen].astype(np.float32))
        parts.append(ModelOutputs(features, probabilities))
    return ModelOutputs.concatenate(parts)


@lru_cache(maxsize=2)
def _split_model(
    folder: Path, config: TrainingConfig, versions: tuple[tuple[int, int], ...]
) -> tuple[FreezePlan, keras.Model, keras.Model]:
    """Split off the trainable part of a model. Cached: tracing it takes longer than scoring 1,000 images."""
    model = loaded_model(folder).model
    backbone = finished_backbone(folder, config.backbone)
    plan = planned_phases(config.with_changes(head=head_of(model)), backbone)[-1].plan
    try:
        return plan, model, tail_behind(model, plan.boundary_layer)
    except ValueError as error:
        raise WorkspaceError(
            _("{file} does not match the model beside it. Train again.").format(file=SIGNATURE_FILE)
        ) from error
