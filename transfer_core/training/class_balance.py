"""Handle imbalanced classes: class weights in the loss, or oversampling of small classes.

Exported scripts include this file, so it needs numpy alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from transfer_core.config import TrainingConfig
    from transfer_core.data.dataset import ImageDataset
    from transfer_core.types import Array

# Below this ratio the classes count as balanced.
UNEVEN_RATIO = 1.5


def imbalance(dataset: ImageDataset) -> float:
    """Return the ratio of the training images of the largest and the smallest class, at least 1."""
    counts = dataset.counts("train").values()
    return max(counts) / max(min(counts), 1)


def class_weights(dataset: ImageDataset, config: TrainingConfig) -> dict[str, float] | None:
    """Return the weight of an image of each class in the loss, or None if all are equal.

    Weights are inversely proportional to the size of the class, with a mean of 1 over all training images.

    Args:
        dataset: Its training images are counted.
        config: Whether to weigh classes; with oversampling they are balanced already.
    """
    counts = dataset.counts("train")
    weights = weights_by_count(list(counts.values()), config)
    return None if weights is None else dict(zip(counts, weights, strict=True))


def weights_by_count(counts: Sequence[int], config: TrainingConfig) -> list[float] | None:
    """Return the weight of an image of each class in the loss, or None if all are equal.

    Args:
        counts: Training images of each class.
        config: Whether to weigh classes.
    """
    is_uneven = max(counts) / max(min(counts), 1) > UNEVEN_RATIO
    is_wanted = config.class_weights == "on" or (config.class_weights == "auto" and is_uneven)
    if config.oversampling or not is_wanted:
        return None
    num_images = sum(counts)
    return [num_images / (len(counts) * max(count, 1)) for count in counts]


def oversampled(labels: Array, draws: np.random.Generator) -> Array:
    """Return shuffled positions of images in which every class occurs as often as the largest.

    Args:
        labels: Class index of each image.
        draws: Random generator for the order and for the images that are repeated once more than others.
    """
    by_class = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    largest = max(map(len, by_class))
    rounds = [
        [draws.permutation(members) for _ in range(-(-largest // len(members)))] for members in by_class
    ]
    return draws.permutation(np.concatenate([np.concatenate(some)[:largest] for some in rounds]))
