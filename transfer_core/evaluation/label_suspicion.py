"""Which labels are likely wrong: what a classifier that never saw an image with its label says about it.

Confident learning (Northcutt, Jiang, Chuang, 2021, "Confident Learning: Estimating Uncertainty in Dataset
Labels"). How well it finds wrong labels is measured in docs/data-doctor.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np

from transfer_core.backbones.registry import DEFAULT_BACKBONE, get_backbone
from transfer_core.data.checks.problems import Suspicion
from transfer_core.data.damage import use_readable
from transfer_core.data.dataset import ImageDataset
from transfer_core.evaluation.pooled_features import pooled_features
from transfer_core.types import Array, ShouldStop

NUM_FOLDS = 5
# Strong: with a tenth of the labels wrong, a classifier that follows its examples less finds more of them.
_INVERSE_REGULARIZATION = 0.001
_MAX_ITERATIONS = 500
_SEED = 0


def suspicious_labels(
    dataset: ImageDataset,
    cache_dir: Path,
    *,
    backbone_name: str = DEFAULT_BACKBONE,
    on_progress: Callable[[int], None] = lambda num_done: None,
    should_stop: ShouldStop = lambda: False,
) -> list[Suspicion]:
    """Return the labels that are likely wrong, the likeliest first.

    A label that a person has found right is not named. A class that is too small to be learned without a part of
    it, with fewer than five images that do not belong together, is neither checked nor suggested. Photos that are
    damaged or missing are left out.

    Args:
        dataset: The images with their labels.
        cache_dir: Where features are kept; those of an earlier training of the same images are used.
        backbone_name: Of the feature extractor.
        on_progress: Called with the number of images looked at.
        should_stop: Called at each batch of images.

    Raises:
        FeaturesStoppedError: If `should_stop` said so.
        NotFoundError: If there is no such backbone.
        WeightsError: If the weights of the backbone are missing or damaged.
        WorkspaceError: If writing fails.
    """
    return use_readable(
        dataset, lambda readable: _suspicions(readable, cache_dir, backbone_name, on_progress, should_stop)
    )


def _suspicions(
    dataset: ImageDataset,
    cache_dir: Path,
    backbone_name: str,
    on_progress: Callable[[int], None],
    should_stop: ShouldStop,
) -> list[Suspicion]:
    checked = _checked_rows(dataset)
    images = [dataset.images[row] for row in checked]
    class_names = sorted({image.class_name for image in images})
    if len(class_names) < 2:
        return []
    features = pooled_features(
        dataset, get_backbone(backbone_name), cache_dir, on_progress=on_progress, should_stop=should_stop
    )[checked]
    given = np.array([class_names.index(image.class_name) for image in images])
    probabilities = out_of_fold_probabilities(features, given, [image.group or image.id for image in images])
    suspicions = []
    for place in likely_wrong(probabilities, given):
        if images[place].is_confirmed:
            continue
        image, guess = images[place], int(probabilities[place].argmax())
        confidence = float(probabilities[place, guess])
        suspicions.append(Suspicion(image.id, image.class_name, class_names[guess], confidence))
    return suspicions


def out_of_fold_probabilities(features: Array, given: Array, groups: list[str]) -> Array:
    """Return what a logistic regression that has not seen an image, nor one that belongs to it, says about it.

    Args:
        features: `[images, features]`.
        given: The class of each image, from 0.
        groups: Images with the same word are never parted.

    Returns:
        Probabilities, `[images, classes]`.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probabilities = np.zeros((len(given), int(given.max()) + 1))
    folds = StratifiedGroupKFold(NUM_FOLDS, shuffle=True, random_state=_SEED)
    for seen, unseen in folds.split(features, given, groups):
        classifier = make_pipeline(
            StandardScaler(), LogisticRegression(C=_INVERSE_REGULARIZATION, max_iter=_MAX_ITERATIONS)
        )
        classifier.fit(features[seen], given[seen])
        columns = classifier[-1].classes_
        probabilities[np.ix_(unseen, columns)] = classifier.predict_proba(features[unseen])
    return probabilities


def likely_wrong(probabilities: Array, given: Array) -> list[int]:
    """Return the places of likely wrong labels, the likeliest first.

    How many there are is counted by confident learning: an image counts when its likeliest class is another one,
    and is at least as likely as that class is on average for the images that carry it. Which they are is decided
    by the margin by which the given label falls behind, because that is right more often.

    Args:
        probabilities: Out of fold, `[images, classes]`.
        given: The class of each image, from 0; each class occurs.
    """
    rows, classes = np.arange(len(given)), range(probabilities.shape[1])
    thresholds = np.array([probabilities[given == label, label].mean() for label in classes])
    best = probabilities.argmax(axis=1)
    count = int(((best != given) & (probabilities[rows, best] >= thresholds[best])).sum())
    others = probabilities.copy()
    others[rows, given] = -1
    margins = probabilities[rows, given] - others.max(axis=1)
    order = np.argsort(margins, kind="stable")[:count]
    return [int(place) for place in order if margins[place] < 0]


def _checked_rows(dataset: ImageDataset) -> list[int]:
    """The places of images of classes with enough groups for each fold to have one."""
    groups: dict[str, set[str]] = defaultdict(set)
    for image in dataset.images:
        groups[image.class_name].add(image.group or image.id)
    return [row for row, image in enumerate(dataset.images) if len(groups[image.class_name]) >= NUM_FOLDS]
