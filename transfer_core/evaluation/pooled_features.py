"""Pooled features of a whole frozen backbone: computed once an image, shared with every training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from transfer_core.backbones.backbone import Backbone
from transfer_core.data.dataset import ImageDataset
from transfer_core.types import ShouldStop


def pooled_features(
    dataset: ImageDataset,
    backbone: Backbone,
    cache_dir: Path,
    *,
    on_progress: Callable[[int], None] = lambda num_done: None,
    should_stop: ShouldStop = lambda: False,
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the features of every image, from the cache of the trainings or computed now.

    Args:
        dataset: The images.
        backbone: All of it frozen.
        cache_dir: Where features are kept.
        on_progress: Called with the number of images whose features are ready.
        should_stop: Called at each batch of images.

    Returns:
        `[images, features]`, in the order of the dataset.

    Raises:
        FeaturesStoppedError: If `should_stop` said so.
        DamagedPhotosError: If photos are damaged or missing.
        WeightsError: If the weights of the backbone are missing or damaged.
        WorkspaceError: If writing fails.
    """
    from transfer_core.backbones.runtime import load_keras
    from transfer_core.config import TrainingConfig
    from transfer_core.training.classifier import build_classifier, split_at_boundary
    from transfer_core.training.features.feature_cache import load_features
    from transfer_core.training.freezing import FreezePlan

    load_keras()
    plan = FreezePlan(backbone)
    model = build_classifier(plan, len(dataset.class_names), TrainingConfig(backbone=backbone.name))
    prefix, _tail = split_at_boundary(model, plan.boundary_layer)
    features = load_features(
        dataset, plan, prefix, cache_dir, on_progress=on_progress, should_stop=should_stop
    )
    return np.asarray(features, dtype=np.float32)
