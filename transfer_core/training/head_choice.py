"""Choose the head by cross-validation on features of the frozen backbone."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from transfer_core.config import Head, TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import ImageRecord
from transfer_core.types import Array

# Enough images to rank the heads, few enough to take seconds.
MOST_IMAGES = 300
_MOST_FOLDS = 3
# Within these margins the hidden layer is chosen: it did best on the photo sets measured.
_LINEAR_MARGIN = 0.02
_MAP_MARGIN = 0.03
_RIDGE = 0.1
# The flattened map has fifty times the inputs, so the same learning rate changes its outputs far more.
_MAP_RATE_SHARE = 0.1


def comparison_images(dataset: ImageDataset, seed: int) -> list[ImageRecord]:
    """Draw at most 300 training images for the comparison."""
    images = dataset.images_in("train")
    drawn = np.random.default_rng([seed, 0, 3]).permutation(len(images))[:MOST_IMAGES]
    return [images[position] for position in sorted(drawn)]


def with_head(config: TrainingConfig, head: Head) -> TrainingConfig:
    """Return the config with a head in place of `"auto"`, and a learning rate for that head."""
    share = _MAP_RATE_SHARE if head == "flattened_map" else 1.0
    return config.with_changes(head=head, learning_rate=config.learning_rate * share)


def compare_heads(pooled: Array, maps: Array, labels: Array, seed: int) -> dict[Head, float] | None:
    """Return the cross-validated accuracy of each head, or None if a class has only one image.

    The heads on pooled features are trained directly. For the head on the flattened map, the gain of ridge
    regression without pooling over ridge regression with pooling is added to the accuracy of the linear head.

    Args:
        pooled: Features, `[num_images, num_features]`.
        maps: The same before pooling, `[num_images, height, width, num_features]`.
        labels: Class index of each image.
        seed: For the folds and the initial hidden layer.

    Returns:
        Mean accuracies, 0-1.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold
    from sklearn.neural_network import MLPClassifier

    num_folds = min(_MOST_FOLDS, int(np.unique(labels, return_counts=True)[1].min()))
    if num_folds < 2:
        return None
    folds = list(StratifiedKFold(num_folds, shuffle=True, random_state=seed).split(pooled, labels))

    def accuracy(score: Callable[[Array, Array], float]) -> float:
        return float(np.mean([score(train, validation) for train, validation in folds]))

    linear = accuracy(_model_score(lambda: LogisticRegression(max_iter=100), pooled, labels))
    hidden = accuracy(
        _model_score(
            lambda: MLPClassifier(
                (128,), learning_rate_init=0.003, batch_size=32, max_iter=50, random_state=seed
            ),
            pooled,
            labels,
        )
    )
    by_ridge = [
        accuracy(_ridge_score(kernel, labels)) for kernel in (_kernel_of_maps(maps), pooled @ pooled.T)
    ]
    return {"linear": linear, "hidden": hidden, "flattened_map": linear + by_ridge[0] - by_ridge[1]}


def best_head(accuracies: dict[Head, float] | None) -> Head:
    """Return the head to use, given the result of `compare_heads`."""
    if accuracies is None:
        return "hidden"
    best_on_pooled = max(accuracies["linear"], accuracies["hidden"])
    if accuracies["flattened_map"] > best_on_pooled + _MAP_MARGIN:
        return "flattened_map"
    return "linear" if accuracies["linear"] > accuracies["hidden"] + _LINEAR_MARGIN else "hidden"


def _model_score(make: Callable[[], Any], pooled: Array, labels: Array) -> Callable[[Array, Array], float]:
    def score(train: Array, validation: Array) -> float:
        with warnings.catch_warnings():
            # Heads need not converge to be ranked.
            warnings.simplefilter("ignore")
            model = make().fit(pooled[train], labels[train])
        return float(model.score(pooled[validation], labels[validation]))

    return score


def _kernel_of_maps(maps: Array) -> Array:
    """Return the inner products of all flattened maps, position by position to save memory."""
    positions = maps.reshape(len(maps), -1, maps.shape[-1])
    total = np.zeros((len(maps), len(maps)))
    for position in range(positions.shape[1]):
        features = positions[:, position].astype(np.float32)
        total += features @ features.T
    return total / positions.shape[1]


def _ridge_score(kernel: Array, labels: Array) -> Callable[[Array, Array], float]:
    targets = np.eye(labels.max() + 1)[labels]
    # Centre and scale, so that one penalty suits every backbone.
    centred = kernel - kernel.mean(axis=0) - kernel.mean(axis=1)[:, np.newaxis] + kernel.mean()
    centred = centred / max(float(np.trace(centred)) / len(kernel), 1e-12)

    def score(train: Array, validation: Array) -> float:
        inside = centred[np.ix_(train, train)] + _RIDGE * np.eye(len(train))
        outputs = centred[np.ix_(validation, train)] @ np.linalg.solve(inside, targets[train])
        return float(np.mean(outputs.argmax(axis=1) == labels[validation]))

    return score
