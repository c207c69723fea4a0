"""Learning-rate range test after Smith (2017): a hundred steps at increasing learning rates."""

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
from transfer_core.training.phase_data import FeatureExtractor
from transfer_core.training.schedule import planned_phases
from transfer_core.types import OnProgress, ShouldStop

if TYPE_CHECKING:
    import keras


_LOWEST_RATE = 1e-6
_HIGHEST_RATE = 1.0
_NUM_STEPS = 100
# The loss of one batch is noisy; each point averages about this many steps.
_SMOOTHING_STEPS = 10
_EXPLODED = 4.0


@dataclass(frozen=True)
class RateCurve:
    """Loss by learning rate.

    Args:
        rates: Increasing learning rates.
        losses: Smoothed loss at each rate.
        suggestion: A tenth of the rate with the lowest loss, where the loss still falls steeply.
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
    """Train the first phase for a hundred steps at rates from a millionth to 1, and suggest a learning rate.

    Method: Smith, "Cyclical Learning Rates for Training Neural Networks" (2017). The curve ends early if the loss
    explodes. The model is discarded. Damaged or missing photos are left out.

    Args:
        dataset: Labelled images with their split.
        config: Config of the planned run; its learning rate does not matter.
        backbone: The backbone that the config names.
        cache_dir: Where features are kept, for this and for the training.
        on_features: Called with the number of images with features, and the total.
        on_step: Called with the number of steps done, and the total.
        should_stop: Called after each batch of images and after each step.

    Raises:
        FeaturesStoppedError: If `should_stop` returned true.
        IngestError: If the dataset cannot be trained on.
        TrainingError: If the disk space is too small for the features.
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
    extractor = FeatureExtractor(
        dataset, config.with_changes(mixed_precision=False), cache_dir, on_features, should_stop
    )
    data = extractor.prepare(model, phase.plan)
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
    """Train a step at each rate and yield its loss, until the loss explodes."""
    first = math.inf
    for rate, (features, labels) in zip(rates, batches, strict=False):
        tail.optimizer.learning_rate = rate
        # Keras before 3.15 adds up its loss over the batches.
        tail.reset_metrics()
        loss = float(tail.train_on_batch(features, labels, return_dict=True)["loss"])
        if not math.isfinite(loss) or loss > _EXPLODED * first:
            return
        if math.isinf(first):
            first = loss
        yield loss


def rate_curve(rates: list[float], losses: list[float]) -> RateCurve:
    """Smooth the losses and suggest a learning rate.

    Args:
        rates: Increasing learning rates; rates beyond the losses are ignored.
        losses: Loss of each batch. Without losses the lowest rate is suggested.
    """
    smoothed = _smoothed(losses)
    lowest = rates[int(np.argmin(smoothed))] if smoothed else rates[0]
    return RateCurve(tuple(rates[: len(losses)]), tuple(smoothed), max(lowest / 10, rates[0]))


def _smoothed(losses: list[float]) -> list[float]:
    """Return bias-corrected exponential moving averages."""
    share = 1 / _SMOOTHING_STEPS
    mean, smoothed = 0.0, []
    for count, loss in enumerate(losses, 1):
        mean += share * (loss - mean)
        smoothed.append(mean / (1 - (1 - share) ** count))
    return smoothed
