"""Which learning rate suits: a hundred steps at growing rates, after Smith (2017)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.runtime import load_keras
from transfer_core.config import TrainingConfig
from transfer_core.data.damage import use_readable
from transfer_core.data.dataset import ImageDataset
from transfer_core.training.batches import Batch, TrainingBatches
from transfer_core.training.classifier import build_classifier
from transfer_core.training.features.feature_cache import FeaturesStoppedError
from transfer_core.training.optimizers import make_optimizer
from transfer_core.training.phase_data import FeatureSource
from transfer_core.training.schedule import planned_phases
from transfer_core.types import OnProgress, ShouldStop

if TYPE_CHECKING:
    import keras


_LOWEST_RATE = 1e-6
_HIGHEST_RATE = 1.0
_NUM_STEPS = 100
# A batch is a noisy measure: each point is a mean over about this many steps.
_SMOOTHING_STEPS = 10
_EXPLODED = 4.0


@dataclass(frozen=True)
class RateCurve:
    """Loss by learning rate.

    Args:
        rates: Learning rates, growing.
        losses: Smoothed loss at each.
        suggestion: A tenth of the rate at which the loss was lowest: there it still falls fast.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggestion: float


def find_learning_rate(
    dataset: ImageDataset,
    config: TrainingConfig,
    backbone: Backbone,
    cache_dir: Path,
    *,
    on_features: OnProgress = lambda num_done, num_all: None,
    on_step: OnProgress = lambda num_done, num_all: None,
    should_stop: ShouldStop = lambda: False,
) -> RateCurve:
    """Train the first phase for a hundred steps at a rate that grows from a millionth to 1.

    Method: Smith, "Cyclical Learning Rates for Training Neural Networks" (2017). The curve ends early when
    the loss explodes. Nothing of it is kept. Photos that are damaged or missing are left out.

    Args:
        dataset: Labelled images with their split.
        config: The choices of the run that is to come; its learning rate is of no matter.
        backbone: The one that the config names.
        cache_dir: Where features are kept, for this and for the training.
        on_features: Called with the number of images whose features are there, and their number in all.
        on_step: Called with the number of steps done, and their number in all.
        should_stop: Called after each batch of images and after each step.

    Raises:
        FeaturesStoppedError: If `should_stop` said so.
        IngestError: If the dataset cannot be learned from.
        TrainingError: If the disk has no room for the features.
    """
    return use_readable(
        dataset,
        lambda readable: _find(readable, config, backbone, cache_dir, on_features, on_step, should_stop),
    )


def _find(
    dataset: ImageDataset,
    config: TrainingConfig,
    backbone: Backbone,
    cache_dir: Path,
    on_features: OnProgress,
    on_step: OnProgress,
    should_stop: ShouldStop,
) -> RateCurve:
    dataset.check_trainable()
    load_keras()
    phase = planned_phases(config, backbone)[0]
    model = build_classifier(phase.plan, len(dataset.class_names), config)
    source = FeatureSource(dataset, config, cache_dir, on_features, should_stop)
    data = source.prepare(model, phase.plan)
    data.tail.compile(
        make_optimizer(_LOWEST_RATE, phase, config, model),
        loss="sparse_categorical_crossentropy",
        jit_compile=False,
    )
    rates = np.geomspace(_LOWEST_RATE, _HIGHEST_RATE, _NUM_STEPS).tolist()
    losses: list[float] = []
    for loss in _losses(data.tail, rates, _endless(data.train, config)):
        if should_stop():
            raise FeaturesStoppedError
        losses.append(loss)
        on_step(len(losses), _NUM_STEPS)
    return rate_curve(rates, losses)


def _endless(train: TrainingBatches, config: TrainingConfig) -> itertools.chain[Batch]:
    epochs = itertools.count(1)
    return itertools.chain.from_iterable(
        train.shuffled_batches(config.batch_size, config.seed, epoch) for epoch in epochs
    )


def _losses(tail: keras.Model, rates: list[float], batches: itertools.chain[Batch]) -> Iterator[float]:
    """Train a step at each rate, and yield the loss of each until it explodes."""
    first = math.inf
    for rate, (features, labels) in zip(rates, batches, strict=False):
        tail.optimizer.learning_rate = rate
        loss = float(tail.train_on_batch(features, labels, return_dict=True)["loss"])
        if not math.isfinite(loss) or loss > _EXPLODED * first:
            return
        if math.isinf(first):
            first = loss
        yield loss


def rate_curve(rates: list[float], losses: list[float]) -> RateCurve:
    """Smooth a curve and read a rate from it.

    Args:
        rates: Learning rates, growing; those beyond the losses are left out.
        losses: Of each batch. Without any, nothing can be suggested but the lowest rate.
    """
    smoothed = _smoothed(losses)
    lowest = rates[int(np.argmin(smoothed))] if smoothed else rates[0]
    return RateCurve(tuple(rates[: len(losses)]), tuple(smoothed), max(lowest / 10, rates[0]))


def _smoothed(losses: list[float]) -> list[float]:
    """Return exponential means, corrected for their start."""
    share = 1 / _SMOOTHING_STEPS
    mean, smoothed = 0.0, []
    for count, loss in enumerate(losses, 1):
        mean += share * (loss - mean)
        smoothed.append(mean / (1 - (1 - share) ** count))
    return smoothed
