"""Find likely wrong labels from out-of-fold predictions.

Confident learning (Northcutt, Jiang, Chuang, 2021, "Confident Learning: Estimating Uncertainty in Dataset
Labels"). How well it finds wrong labels is measured in docs/photo-check.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np

from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.registry import DEFAULT_BACKBONE, get_backbone
from transfer_core.data.checks.problems import Suspicion
from transfer_core.data.damage import use_readable
from transfer_core.data.dataset import ImageDataset
from transfer_core.training.features.feature_cache import pooled_features
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
    backbone: Backbone | None = None,
    on_progress: Callable[[int], None] = lambda num_done: None,
    should_stop: ShouldStop = lambda: False,
) -> list[Suspicion]:
    """Return the labels that are likely wrong, the likeliest first.

    Labels that a person has confirmed are left out, as are damaged or missing photos. Classes with fewer than five
    groups of images are too small for cross-validation: they are neither examined nor suggested.

    Args:
        dataset: The images with their labels.
        cache_dir: Where features are kept; those of an earlier training of the same images are used.
        backbone: Feature extractor; the default backbone if not given.
        on_progress: Called with the number of images whose features are ready.
        should_stop: Called at each batch of images.

    Raises:
        FeaturesStoppedError: If `should_stop` said so.
        WeightsError: If the weights of the backbone are missing or damaged.
        WorkspaceError: If writing fails.
    """
    chosen = backbone or get_backbone(DEFAULT_BACKBONE)
    return use_readable(
        dataset, lambda readable: _suspicions(readable, cache_dir, chosen, on_progress, should_stop)
    )


def _suspicions(
    dataset: ImageDataset,
    cache_dir: Path,
    backbone: Backbone,
    on_progress: Callable[[int], None],
    should_stop: ShouldStop,
) -> list[Suspicion]:
    rows = _examined_rows(dataset)
    images = [dataset.images[row] for row in rows]
    class_names = sorted({image.class_name for image in images})
    if len(class_names) < 2:
        return []
    features = pooled_features(
        dataset, backbone, cache_dir, on_progress=on_progress, should_stop=should_stop
    )[rows]
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
    """Return the class probabilities of each image from a logistic regression that has seen nothing of its group.

    Args:
        features: `[images, features]`.
        given: The class of each image, from 0.
        groups: Images of one group are never split.

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

    Their number comes from confident learning: an image counts when its most probable class is another one, with at
    least the mean probability of that class on its own images. They are ranked by the margin by which the given label
    falls behind, because that ranking is right more often.

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


def _examined_rows(dataset: ImageDataset) -> list[int]:
    """The places of images of classes with enough groups for each fold to have one."""
    groups: dict[str, set[str]] = defaultdict(set)
    for image in dataset.images:
        groups[image.class_name].add(image.group or image.id)
    return [row for row, image in enumerate(dataset.images) if len(groups[image.class_name]) >= NUM_FOLDS]
