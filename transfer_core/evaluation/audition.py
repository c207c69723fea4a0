"""Which backbone fits these images? A quick linear probe of each one, with its time and size.

A linear probe on frozen features estimates how well a network suits other images (Alain and Bengio, 2016; Kornblith,
Shlens, Le, "Do Better ImageNet Models Transfer Better?", 2019). Measured against trainings in docs/audition.md.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from transfer_core.backbones.backbone import Backbone
from transfer_core.data.damage import use_readable
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.parallel import map_ahead
from transfer_core.data.pixels import read_pixels
from transfer_core.errors import IngestError, UnreadableImageError
from transfer_core.evaluation.intervals import wilson_standard_error
from transfer_core.language import _
from transfer_core.training.features.feature_cache import pooled_features
from transfer_core.training.features.frozen_network import engine_of, frozen_graph
from transfer_core.training.freezing import POOLING_LAYER
from transfer_core.types import Array, ShouldStop

MOST_FOLDS = 5
# The standardised features of few images are many more than the images: measured in docs/audition.md.
_INVERSE_REGULARIZATION = 0.01
_MAX_ITERATIONS = 300
_SEED = 0
_NUM_TIMED_IMAGES = 16
_NUM_TIMINGS = 2


@dataclass(frozen=True)
class AuditionScore:
    """The linear probe of one backbone.

    Args:
        backbone_name: Its name.
        accuracies: Of each fold, on images that the probe had not seen, 0-1.
        seconds_per_100_images: For one forward pass on this machine, decoding included.
        megabytes: Size of its weights.
        num_images: In all folds.
        processor: Of the computer of a cluster that it was tried on; empty for this machine.
    """

    backbone_name: str
    accuracies: tuple[float, ...]
    seconds_per_100_images: float
    megabytes: float
    num_images: int
    processor: str = ""

    @property
    def accuracy(self) -> float:
        """Mean over the folds, 0-1."""
        return float(np.mean(self.accuracies))

    @property
    def spread(self) -> float:
        """Standard deviation over the folds."""
        return float(np.std(self.accuracies, ddof=1))

    @property
    def standard_error(self) -> float:
        """Standard error of the mean; where all folds agree, the one that so few images leave."""
        between_folds = self.spread / math.sqrt(len(self.accuracies))
        return max(between_folds, wilson_standard_error(self.accuracy, self.num_images))


def audition(
    dataset: ImageDataset,
    backbones: Sequence[Backbone],
    cache_dir: Path,
    *,
    on_progress: Callable[[Backbone, int], None] = lambda backbone, num_images: None,
    should_stop: ShouldStop = lambda: False,
) -> list[AuditionScore]:
    """Try backbones on the images of a dataset; those kept for testing, and damaged ones, are left out.

    Args:
        dataset: Labelled images.
        backbones: Whose weights are available.
        cache_dir: Where features are kept; a training finds them there.
        on_progress: Called with the backbone and the number of images whose features are ready.
        should_stop: Called at each batch of images.

    Returns:
        A score for each, in the order given.

    Raises:
        FeaturesStoppedError: If `should_stop` said so.
        IngestError: If there are too few images to train on some and validate on others.
        WeightsError: If the weights of a backbone are missing or damaged.
        WorkspaceError: If writing fails.
    """
    return use_readable(
        dataset, lambda readable: _audition(readable, backbones, cache_dir, on_progress, should_stop)
    )


def _audition(
    dataset: ImageDataset,
    backbones: Sequence[Backbone],
    cache_dir: Path,
    on_progress: Callable[[Backbone, int], None],
    should_stop: ShouldStop,
) -> list[AuditionScore]:
    rows = _probed_rows(dataset)
    images = [dataset.images[row] for row in rows]
    labels = np.array([dataset.class_index(image) for image in images])
    groups = [image.group or image.id for image in images]
    scores = []
    for backbone in backbones:
        passes: list[tuple[int, float]] = []

        def record(num_images: int, backbone: Backbone = backbone, passes: list[Any] = passes) -> None:
            passes.append((num_images, time.perf_counter()))
            on_progress(backbone, num_images)

        features = pooled_features(dataset, backbone, cache_dir, on_progress=record, should_stop=should_stop)
        accuracies = probe_accuracies(features[rows], labels, groups)
        paths = [dataset.image_path(image) for image in images]
        seconds = _seconds_of(passes) or _seconds_per_image(paths, backbone, cache_dir)
        scores.append(AuditionScore(backbone.name, accuracies, 100 * seconds, backbone.megabytes, len(rows)))
    return scores


def best_trade_off(scores: Sequence[AuditionScore]) -> AuditionScore:
    """Return the quickest whose accuracy is within one standard error of the best.

    Breiman, Friedman, Olshen and Stone, "Classification and Regression Trees" (1984): a difference below it may be
    chance.

    Args:
        scores: At least one.
    """
    best = max(scores, key=lambda score: score.accuracy)
    good = [score for score in scores if score.accuracy >= best.accuracy - best.standard_error]
    return min(good, key=lambda score: score.seconds_per_100_images)


def probe_accuracies(features: Array, labels: Array, groups: Sequence[str]) -> tuple[float, ...]:
    """Return the accuracy of a logistic regression on the held-out images of each fold.

    Args:
        features: `[images, features]`.
        labels: The class of each image, from 0.
        groups: Images of one group are never split.
    """
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    folds = StratifiedGroupKFold(_num_folds(labels, groups), shuffle=True, random_state=_SEED)
    accuracies = []
    for seen, unseen in folds.split(features, labels, groups):
        probe = make_pipeline(
            StandardScaler(),
            # Rotates the features into no more dimensions than images: the same answer, several times sooner.
            PCA(svd_solver="full"),
            LogisticRegression(C=_INVERSE_REGULARIZATION, max_iter=_MAX_ITERATIONS),
        )
        probe.fit(features[seen], labels[seen])
        accuracies.append(float(probe.score(features[unseen], labels[unseen])))
    return tuple(accuracies)


def _num_folds(labels: Array, groups: Sequence[str]) -> int:
    """As many as the class with the fewest groups allows."""
    by_class: dict[int, set[str]] = defaultdict(set)
    for label, group in zip(labels, groups, strict=True):
        by_class[int(label)].add(group)
    return min(MOST_FOLDS, *map(len, by_class.values()))


def _probed_rows(dataset: ImageDataset) -> list[int]:
    """The places of images not kept for testing, of classes with two groups at least."""
    groups: dict[str, set[str]] = defaultdict(set)
    for image in dataset.images:
        if image.split != "test":
            groups[image.class_name].add(image.group or image.id)
    classes = {name for name, of_class in groups.items() if len(of_class) >= 2}
    if len(classes) < 2:
        raise IngestError(
            _(
                "Comparing models needs at least two classes with two different photos each. "
                "Add photos on the Images page."
            )
        )
    return [
        row
        for row, image in enumerate(dataset.images)
        if image.split != "test" and image.class_name in classes
    ]


def _seconds_of(passes: Sequence[tuple[int, float]]) -> float | None:
    """Return the seconds per image of the forward passes; None where the cache had most features."""
    # Cached images come first; the first batch builds the graph.
    _cached, *batches = passes
    if len(batches) < 2:
        return None
    (first_count, first_time), (last_count, last_time) = batches[0], batches[-1]
    return (last_time - first_time) / (last_count - first_count)


def _seconds_per_image(paths: Sequence[Path], backbone: Backbone, cache_dir: Path) -> float:
    """Time forward passes of some images, with decoding; the best of a few, since other programs only slow them."""
    graph = frozen_graph(backbone, [POOLING_LAYER], cache_dir, engine_of(backbone, cache_dir))

    def read_and_pass(path: Path) -> None:
        # The features of a photo that was damaged or deleted since are still cached.
        with suppress(UnreadableImageError):
            graph.outputs(read_pixels(path, backbone.image_size))

    timed = list(paths[:_NUM_TIMED_IMAGES])
    seconds = []
    for _timing in range(1 + _NUM_TIMINGS):
        started_at = time.perf_counter()
        list(map_ahead(read_and_pass, timed))
        seconds.append(time.perf_counter() - started_at)
    # The first one may optimise the graph.
    return min(seconds[1:]) / len(timed)
