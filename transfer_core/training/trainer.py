"""The course of one training: phases on cached features, events as they happen, the best weights kept.

Importing this module imports Keras.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from transfer_core.backbones.registry import get_backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import Split
from transfer_core.errors import TrainingError
from transfer_core.events import (
    BatchEnded,
    EpochEnded,
    ImagesSeen,
    Outcome,
    Phase,
    PhaseStarted,
    RunSnapshot,
    RunStarted,
    TrainingEvent,
    reduce,
)
from transfer_core.language import _
from transfer_core.training.batches import LabelledFeatures
from transfer_core.training.classifier import build_classifier, split_at_boundary
from transfer_core.training.feature_cache import FeaturesStoppedError, load_features
from transfer_core.training.freezing import FreezePlan

_WARM_UP_SHARE = 0.1
_SECONDS_BETWEEN_BATCH_EVENTS = 0.1
_EVALUATION_BATCH_SIZE = 64


@dataclass(frozen=True)
class _Seen:
    """Means over the images seen so far. Keras starts its own anew with each `train_on_batch`."""

    loss: float = 0.0
    accuracy: float = 0.0
    num_images: int = 0

    def plus(self, logs: dict[str, Any], num_more: int) -> _Seen:
        num_images = self.num_images + num_more
        share = num_more / num_images
        return _Seen(
            self.loss + share * (float(logs["loss"]) - self.loss),
            self.accuracy + share * (float(logs["accuracy"]) - self.accuracy),
            num_images,
        )


class Trainer:
    """One training, from the first look at the images to the best weights.

    Keras's `fit` sets up its input anew for each epoch; on cached features that takes longer than the epoch
    itself (measured in docs/training-loop.md). So this class walks through the batches with Keras's
    `train_on_batch`, in an order that depends on seed and epoch alone.

    Args:
        dataset: Labelled images with their split.
        config: Every choice of the run.
        cache_dir: Where features are kept for later runs.
        emit: Takes each event as it happens.
        should_stop: Asked after each batch.
        clock: Gives the time in seconds since 1970.
    """

    def __init__(
        self,
        dataset: ImageDataset,
        config: TrainingConfig,
        cache_dir: Path,
        emit: Callable[[TrainingEvent], None],
        should_stop: Callable[[], bool],
        clock: Callable[[], float],
    ) -> None:
        self.snapshot = RunSnapshot()
        self._dataset = dataset
        self._config = config
        self._cache_dir = cache_dir
        self._emit = emit
        self._should_stop = should_stop
        self._clock = clock
        self._backbone = get_backbone(config.backbone)
        self._best_loss = math.inf
        self._told_of_batch_at = -math.inf
        self.model = build_classifier(FreezePlan(self._backbone), len(dataset.class_names), config)

    def tell(self, event: TrainingEvent) -> None:
        """Fold an event into the snapshot and pass it on."""
        self.snapshot = reduce(self.snapshot, event)
        self._emit(event)

    def run(self, plan: FreezePlan) -> tuple[Outcome, str]:
        """Train every phase and leave the best weights in the model.

        Returns:
            How it ended, and a sentence for a person where there is something to say.

        Raises:
            TrainingError: If the loss was never a number.
        """
        config = self._config
        num_train, num_validation = (len(self._dataset.images_in(split)) for split in ("train", "validation"))
        self.tell(RunStarted(self._clock(), num_train, num_validation, config.num_epochs_in_all))
        try:
            self._train_phase("head", FreezePlan(self._backbone), config.epochs)
            if plan.num_unfrozen_blocks and not self._should_stop():
                self._train_phase("fine_tune", plan, config.fine_tune_epochs)
        except FeaturesStoppedError:
            pass
        if not self._should_stop():
            return "finished", ""
        if self.snapshot.best is None:
            return "stopped", _(
                "Stopped before the new layer had learned anything: there is no model to keep."
            )
        return "stopped", _("Stopped on request. The best model so far was kept.")

    def _train_phase(self, phase: Phase, plan: FreezePlan, num_epochs: int) -> None:
        """Train one phase on cached features and put the best weights so far into the model."""
        plan.apply(self.model)
        prefix, tail = split_at_boundary(self.model, plan.boundary_layer)
        features = self._features(plan, prefix)
        train, validation = self._labelled(features, "train"), self._labelled(features, "validation")
        num_steps = num_epochs * train.num_batches(self._config.batch_size)
        self.tell(PhaseStarted(self._clock(), phase, num_steps))
        tail.compile(
            optimizer=self._optimizer(phase, num_steps),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
            jit_compile=False,
        )
        best_weights = tail.get_weights()
        for _epoch in range(num_epochs):
            ended = self._train_epoch(phase, tail, train, validation)
            if math.isfinite(ended.val_loss) and ended.val_loss < self._best_loss:
                self._best_loss = ended.val_loss
                best_weights = tail.get_weights()
            if self._should_stop() or not math.isfinite(ended.loss):
                break
        tail.set_weights(best_weights)
        if not math.isfinite(self._best_loss):
            raise TrainingError(
                _(
                    "The training went out of bounds: its loss is no longer a number. A smaller learning rate "
                    "mends this; try a tenth of {rate:g}."
                ).format(rate=self._config.learning_rate)
            )

    def _train_epoch(
        self, phase: Phase, tail: keras.Model, train: LabelledFeatures, validation: LabelledFeatures
    ) -> EpochEnded:
        """Show every training image once, then score the validation images."""
        config = self._config
        epoch = len(self.snapshot.epochs) + 1
        first_step = self.snapshot.step
        first_image = self.snapshot.num_images
        seen = _Seen()
        for step, (features, labels) in enumerate(
            train.shuffled_batches(config.batch_size, config.seed, epoch), 1
        ):
            seen = seen.plus(tail.train_on_batch(features, labels, return_dict=True), len(labels))
            self._tell_of_batch(
                BatchEnded(
                    self._clock(),
                    epoch,
                    first_step + step,
                    seen.loss,
                    seen.accuracy,
                    first_image + seen.num_images,
                )
            )
            if self._should_stop():
                break
        checked = _Seen()
        for features, labels in validation.batches(_EVALUATION_BATCH_SIZE):
            checked = checked.plus(tail.test_on_batch(features, labels, return_dict=True), len(labels))
        ended = EpochEnded(
            self._clock(), epoch, phase, seen.loss, seen.accuracy, checked.loss, checked.accuracy
        )
        self.tell(ended)
        return ended

    def _tell_of_batch(self, event: BatchEnded) -> None:
        self.snapshot = reduce(self.snapshot, event)
        # A thousand steps a second would only fill the log: a person sees ten.
        if event.time - self._told_of_batch_at >= _SECONDS_BETWEEN_BATCH_EVENTS:
            self._told_of_batch_at = event.time
            self._emit(event)

    def _features(self, plan: FreezePlan, prefix: keras.Model | None) -> np.ndarray[Any, Any]:
        self.tell(PhaseStarted(self._clock(), "features", len(self._dataset.images)))
        return load_features(
            self._dataset,
            plan,
            prefix,
            self._cache_dir,
            on_progress=lambda num_done: self.tell(ImagesSeen(self._clock(), num_done)),
            should_stop=self._should_stop,
        )

    def _labelled(self, features: np.ndarray[Any, Any], split: Split) -> LabelledFeatures:
        images = self._dataset.images
        rows = np.array([row for row, image in enumerate(images) if image.split == split])
        labels = np.array([self._dataset.class_index(images[row]) for row in rows])
        return LabelledFeatures(features, rows, labels)

    def _optimizer(self, phase: Phase, num_steps: int) -> keras.optimizers.Optimizer:
        """Adam whose step size rises for the first tenth of the steps, then fades out as a cosine.

        Large first steps would undo what is learned already, large last ones keep the loss from settling.
        """
        config = self._config
        learning_rate = config.learning_rate if phase == "head" else config.fine_tune_learning_rate
        num_warm_up_steps = max(round(num_steps * _WARM_UP_SHARE), 1)
        schedule = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0,
            decay_steps=max(num_steps - num_warm_up_steps, 1),
            warmup_target=learning_rate,
            warmup_steps=num_warm_up_steps,
        )
        return keras.optimizers.Adam(schedule)
