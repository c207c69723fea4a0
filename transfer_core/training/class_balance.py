"""Small classes beside large ones: weights in the loss, or their images shown more often.

Exported scripts carry this file, so it needs numpy alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from transfer_core.config import TrainingConfig
    from transfer_core.data.dataset import ImageDataset
    from transfer_core.types import Array

# Below this the classes are as good as equal.
UNEVEN_RATIO = 1.5


def imbalance(dataset: ImageDataset) -> float:
    """Return how many times the training images of the smallest class the largest has."""
    counts = dataset.counts("train").values()
    return max(counts) / max(min(counts), 1)


def class_weights(dataset: ImageDataset, config: TrainingConfig) -> dict[str, float] | None:
    """Return how much an image of each class weighs in the loss, or None when all weigh the same.

    A class weighs the inverse of its share, so that all classes weigh the same together and the mean weight of
    an image is 1.

    Args:
        dataset: Its training images count.
        config: Says whether; with oversampling the classes are even already.
    """
    is_wanted = config.class_weights == "on" or (
        config.class_weights == "auto" and imbalance(dataset) > UNEVEN_RATIO
    )
    if config.oversampling or not is_wanted:
        return None
    counts = dataset.counts("train")
    num_images = sum(counts.values())
    return {name: num_images / (len(counts) * max(count, 1)) for name, count in counts.items()}


def oversampled(labels: Array, draws: np.random.Generator) -> Array:
    """Return positions in which every class comes as often as the largest, in random order.

    Args:
        labels: Class index of each image.
        draws: Decides which images of a small class come once more than the others.
    """
    by_class = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    largest = max(map(len, by_class))
    rounds = [
        [draws.permutation(members) for _ in range(-(-largest // len(members)))] for members in by_class
    ]
    return draws.permutation(np.concatenate([np.concatenate(some)[:largest] for some in rounds]))
