"""Which new layers suit the images: decided by cross-validation on features of the frozen network."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from transfer_core.config import Head, TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import ImageRecord
from transfer_core.types import Array

# Enough to tell heads apart, few enough to take seconds.
MOST_IMAGES = 300
_MOST_FOLDS = 3
# Where the difference may be chance, the hidden layer is taken: it did best on the photo sets measured.
_LINEAR_MARGIN = 0.02
_MAP_MARGIN = 0.03
_RIDGE = 0.1
# The flattened map has fifty times the inputs, so the same step changes its outputs far more.
_MAP_RATE_SHARE = 0.1


def comparison_images(dataset: ImageDataset, seed: int) -> list[ImageRecord]:
    """Return the training images that heads are compared on, at most 300, drawn by the seed."""
    images = dataset.images_in("train")
    drawn = np.random.default_rng([seed, 0, 3]).permutation(len(images))[:MOST_IMAGES]
    return [images[position] for position in sorted(drawn)]


def with_head(config: TrainingConfig, head: Head) -> TrainingConfig:
    """Return the config with a head in the place of `"auto"`, and the learning rate that suits it."""
    share = _MAP_RATE_SHARE if head == "flattened_map" else 1.0
    return config.with_changes(head=head, learning_rate=config.learning_rate * share)


def compare_heads(pooled: Array, maps: Array, labels: Array, seed: int) -> dict[Head, float] | None:
    """Return the accuracy of each head in a cross-validation, or None where there are too few images for one.

    A linear layer on pooled features, and one with a hidden layer, are trained as they are. Whether the place in
    the picture matters is asked of ridge regression, with and without pooling; what it gains is added to the
    accuracy of the linear layer.

    Args:
        pooled: Features, `[num_images, num_features]`.
        maps: The same before pooling, `[num_images, height, width, num_features]`.
        labels: Class index of each image.
        seed: Fixes the folds and the start of the hidden layer.

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
        return float(np.mean([score(learn, check) for learn, check in folds]))

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
    by_place = [
        accuracy(_ridge_score(kernel, labels)) for kernel in (_kernel_of_maps(maps), pooled @ pooled.T)
    ]
    return {"linear": linear, "hidden": hidden, "flattened_map": linear + by_place[0] - by_place[1]}


def best_head(accuracies: dict[Head, float] | None) -> Head:
    """Return the head to take.

    Args:
        accuracies: What `compare_heads` returned.
    """
    if accuracies is None:
        return "hidden"
    best_on_pooled = max(accuracies["linear"], accuracies["hidden"])
    if accuracies["flattened_map"] > best_on_pooled + _MAP_MARGIN:
        return "flattened_map"
    return "linear" if accuracies["linear"] > accuracies["hidden"] + _LINEAR_MARGIN else "hidden"


def _model_score(make: Callable[[], Any], pooled: Array, labels: Array) -> Callable[[Array, Array], float]:
    def score(learn: Array, check: Array) -> float:
        with warnings.catch_warnings():
            # They need not settle to be compared.
            warnings.simplefilter("ignore")
            model = make().fit(pooled[learn], labels[learn])
        return float(model.score(pooled[check], labels[check]))

    return score


def _kernel_of_maps(maps: Array) -> Array:
    """Return the inner products of all flattened maps, one place at a time: flattened they would fill memory."""
    places = maps.reshape(len(maps), -1, maps.shape[-1])
    total = np.zeros((len(maps), len(maps)))
    for place in range(places.shape[1]):
        here = places[:, place].astype(np.float32)
        total += here @ here.T
    return total / places.shape[1]


def _ridge_score(kernel: Array, labels: Array) -> Callable[[Array, Array], float]:
    targets = np.eye(labels.max() + 1)[labels]
    # Centred and scaled, so that one strength of the penalty suits every network.
    centred = kernel - kernel.mean(axis=0) - kernel.mean(axis=1)[:, np.newaxis] + kernel.mean()
    centred = centred / max(float(np.trace(centred)) / len(kernel), 1e-12)

    def score(learn: Array, check: Array) -> float:
        inside = centred[np.ix_(learn, learn)] + _RIDGE * np.eye(len(learn))
        outputs = centred[np.ix_(check, learn)] @ np.linalg.solve(inside, targets[learn])
        return float(np.mean(outputs.argmax(axis=1) == labels[check]))

    return score
