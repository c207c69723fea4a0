"""What a finished model makes of the images of a dataset, by way of the features that its training has cached."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from transfer_core.backbones.runtime import load_keras
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import ImageRecord
from transfer_core.errors import WorkspaceError
from transfer_core.files import file_version
from transfer_core.inference.predictor import ModelOutputs, load_model, with_features
from transfer_core.language import _
from transfer_core.training.classifier import split_at_boundary
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
    """Return what a saved model makes of images: frozen layers from the cache, the rest computed.

    Features that are not in the cache are computed and kept there. They have the precision of the cache, so
    probabilities differ a little from those of the whole model; docs/results.md says by how much.

    Args:
        folder: Where `model.keras` lies.
        config: The choices of its training.
        dataset: Where the images are.
        images: Which of them.
        cache_dir: Where features are kept.
        on_progress: Called with the number of images whose features are there.
        should_stop: Asked at each batch.

    Raises:
        FeaturesStoppedError: If `should_stop` said so.
        NotFoundError: If there is no model in the folder.
        TrainingError: If the disk has no room for features.
        DamagedPhotosError: If photos are damaged or missing whose features are not in the cache.
        WorkspaceError: If the model is damaged, or the disk refuses.
    """
    versions = (file_version(folder / MODEL_FILE), file_version(folder / SIGNATURE_FILE))
    plan, prefix, both = _parts(folder, config, versions)
    rows = load_features(
        dataset,
        plan,
        prefix,
        cache_dir,
        on_progress=on_progress,
        should_stop=should_stop,
        views=[View(image) for image in images],
        dtype=config.cache_dtype,
    )
    parts = []
    for start in range(0, len(images), _BATCH_SIZE):
        if should_stop():
            raise FeaturesStoppedError
        chosen = np.arange(start, min(start + _BATCH_SIZE, len(images)))
        features, probabilities = both.predict_on_batch(rows[chosen].astype(np.float32))
        parts.append(ModelOutputs(features, probabilities))
    return ModelOutputs.joined(parts)


@lru_cache(maxsize=2)
def _parts(
    folder: Path, config: TrainingConfig, versions: tuple[tuple[int, int], ...]
) -> tuple[FreezePlan, keras.Model | None, keras.Model]:
    """Load a model and cut it where its frozen part ends; kept, since that takes longer than a thousand images."""
    load_keras()
    model = load_model(folder)
    backbone = finished_backbone(folder, config.backbone)
    plan = planned_phases(config.with_changes(head=head_of(model)), backbone)[-1].plan
    try:
        return plan, *split_at_boundary(with_features(model), plan.boundary_layer)
    except ValueError as error:
        raise WorkspaceError(
            _("{file} describes another network than the model beside it. Train it again.").format(
                file=SIGNATURE_FILE
            )
        ) from error
