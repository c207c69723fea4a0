"""Measure a finished training by folds, then train on training and validation images together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.events import FoldEnded, PhaseStarted, StepsDone, TrainingEvent
from transfer_core.language import _
from transfer_core.training.batches import LabelledFeatures, TrainingBatches
from transfer_core.training.checkpoint import (
    CHECKPOINTS_DIR,
    Arrays,
    Progress,
    load_checkpoint,
    save_checkpoint,
)
from transfer_core.training.class_balance import weights_by_count
from transfer_core.training.classifier import CENTRE_LAYER, set_linear_head
from transfer_core.training.freezing import FreezePlan
from transfer_core.training.head_choice import HeadChoice
from transfer_core.training.out_of_fold import OutOfFold, folds_of
from transfer_core.training.phase_data import FeatureExtractor
from transfer_core.training.phase_trainer import PhaseTrainer
from transfer_core.training.retraining import Retrainer, kept_epochs
from transfer_core.types import Array, ShouldStop

if TYPE_CHECKING:
    import keras

# About five seconds of steps of a new layer on cached features.
_FREE_STEPS = 2000
_ALL_PHOTOS_DIR = "all_photos"


def reason_against_all_photos(config: TrainingConfig) -> str:
    """Return why a training cannot learn from its validation photos at the end; empty if it can.

    Args:
        config: Every choice of the training.
    """
    if config.weights == "random":
        return _("A model that starts from random weights does not learn from its validation photos.")
    if config.teacher:
        return _("A model that learns from a teacher does not learn from its validation photos.")
    return ""


def trains_on_all(config: TrainingConfig) -> bool:
    """Return whether a training ends with all photos."""
    return config.train_on_all and not reason_against_all_photos(config)


@dataclass
class AllPhotos:
    """The end of a training: what it chose is measured by folds, and trained again on all photos.

    Args:
        dataset: Labelled images with their split.
        config: Every choice of the training, with the head that was chosen.
        progress: Of the training that has finished its phases.
        model: The classifier, with the kept weights.
        phase_trainer: Returns the trainer of a phase by its index, made once.
        extractor: Loads features.
        output_dir: Folder of the run.
        key: The `training_key`.
        emit: Called with each event as it happens.
        should_stop: Called after each batch.
        clock: Returns the time in seconds since 1970.
        start: Values of `weights_of_training` before the training.
        deepest: The plan of the last phase, which has the most trainable layers.
        choice: The head that a cross-validation chose, if the first phase trains it.
        pooled: Pooled features of training and validation images, if there is a choice.
    """

    dataset: ImageDataset
    config: TrainingConfig
    progress: Progress
    model: keras.Model
    phase_trainer: Callable[[int], PhaseTrainer]
    extractor: FeatureExtractor
    output_dir: Path
    key: str
    emit: Callable[[TrainingEvent], None]
    should_stop: ShouldStop
    clock: Callable[[], float]
    start: Arrays
    deepest: FreezePlan
    choice: HeadChoice | None = None
    pooled: Array | None = None
    _batches: dict[int, TrainingBatches] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._kept = kept_epochs(self.progress)
        self._last_phase = self._kept[-1].phase if self._kept else 0
        self._retrainer = Retrainer(
            self._kept,
            self.phase_trainer,
            self.config,
            self._restart,
            self._class_weights,
            self.should_stop,
        )
        images = (*self.dataset.images_in("train"), *self.dataset.images_in("validation"))
        self._images = images
        self._labels = np.array([self.dataset.class_index(image) for image in images])

    def out_of_fold(self) -> OutOfFold:
        """Return predictions for the images of as many folds as fit in the time of the training.

        The validation images are the first fold: the training itself has predicted them. The folds of a person's own
        split are all trained.

        Raises:
            FeaturesStoppedError: If `should_stop` returned true.
        """
        if self.choice and self.choice.folds is not None and self._last_phase == 0:
            return self._from_choice(self.choice.folds, self.choice.out_of_fold)
        folds = folds_of(self.dataset, self.config.seed)
        numbers = range(1, 1 + self._num_folds_to_train(int(folds.max())))
        self.emit(PhaseStarted(self.clock(), "out_of_fold", 1 + len(numbers)))
        tail = self.phase_trainer(self._last_phase)
        probabilities = np.zeros((len(folds), len(self.dataset.class_names)), np.float32)
        is_first = folds == 0
        num_train = len(self.dataset.images_in("train"))
        probabilities[is_first] = tail.predict(tail.data.validation)[is_first[num_train:]]
        self._fold_done(0, folds, probabilities)
        for number in numbers:
            self._train_without(folds == number)
            held_out = self._features(self._last_phase).subset(np.flatnonzero(folds == number))
            probabilities[folds == number] = tail.predict(held_out)
            self._fold_done(number, folds, probabilities)
        chosen = np.flatnonzero((folds >= 0) & (folds <= len(numbers)))
        return OutOfFold(
            tuple(self._images[place] for place in chosen),
            self._labels[chosen],
            probabilities[chosen],
            folds[chosen],
            self._pooled(chosen),
        )

    def train(self) -> bool:
        """Train on all images; return whether the loss remained a finite number.

        Raises:
            FeaturesStoppedError: If `should_stop` returned true.
            InsufficientResourcesError: If memory or disk space is too small.
        """
        folder = self.output_dir / CHECKPOINTS_DIR / _ALL_PHOTOS_DIR
        num_steps = sum(
            kept.num_epochs * self._batches_of(kept.phase).num_batches(self.config.batch_size)
            for kept in self._kept
        )
        self.emit(PhaseStarted(self.clock(), "all_photos", num_steps))
        is_in_bounds = self._retrainer.train(
            self._batches_of,
            self._labels,
            lambda num_done: self.emit(StepsDone(self.clock(), num_done)),
            load_checkpoint(folder, self.key),
            lambda checkpoint: save_checkpoint(folder, self.key, checkpoint),
            self._fit_head(np.arange(len(self._labels))),
        )
        self.deepest.apply(self.model)
        return is_in_bounds and all(np.isfinite(values).all() for values in weights_of_training(self.model))

    def _train_without(self, is_held_out: Array) -> None:
        rest = np.flatnonzero(~is_held_out)
        self._retrainer.train(
            lambda phase: self._features(phase).subset(rest),
            self._labels[rest],
            fit_head=self._fit_head(rest),
        )

    def _from_choice(self, folds: Array, probabilities: Array | None) -> OutOfFold:
        """Return the predictions that came with the choice of the head."""
        assert probabilities is not None
        num_folds = int(folds.max()) + 1
        self.emit(PhaseStarted(self.clock(), "out_of_fold", num_folds))
        for number in range(num_folds):
            self._fold_done(number, folds, probabilities)
        chosen = np.flatnonzero(folds >= 0)
        images = tuple(self._images[place] for place in chosen)
        return OutOfFold(
            images,
            self._labels[chosen],
            probabilities[chosen],
            folds[chosen],
            self._pooled(chosen),
        )

    def _fit_head(self, places: Array) -> Callable[[], None] | None:
        """Return a function that sets the head of some images; None for a head without a closed form."""
        if self.choice is None or self.pooled is None:
            return None
        recipe, pooled, labels = self.choice.recipe, self.pooled[places], self._labels[places]
        return lambda: set_linear_head(self.model, recipe.fit(pooled, labels, self._class_weights(labels)))

    def _restart(self) -> None:
        self.deepest.apply(self.model)
        set_weights(self.model, self.start)

    def _num_folds_to_train(self, most: int) -> int:
        if not self._kept or self.extractor.is_live:
            return 0
        last = self._kept[-1]
        if self.dataset.split_by == "folds":
            return most
        num_batches = self._batches_of(last.phase).num_batches(self.config.batch_size)
        if last.phase == 0 and most * last.num_epochs * num_batches <= _FREE_STEPS:
            return most
        ends = (0, *self.progress.phase_ends)
        num_trained = ends[last.phase + 1] - ends[last.phase]
        return min(most, math.floor(num_trained / last.num_epochs))

    def _fold_done(self, number: int, folds: Array, probabilities: Array) -> None:
        # Folds that are not trained here are trained by the cross-validation that follows.
        if self.dataset.split_by != "folds" or self.extractor.is_live:
            self.emit(StepsDone(self.clock(), number + 1))
            return
        own = folds == number
        accuracy = float(np.mean(probabilities[own].argmax(axis=1) == self._labels[own]))
        self.emit(FoldEnded(self.clock(), number + 1, int(folds.max()) + 1, accuracy))

    def _batches_of(self, phase: int) -> TrainingBatches:
        if phase not in self._batches:
            trainer = self.phase_trainer(phase)
            self._batches[phase] = self.extractor.with_validation(trainer.data, trainer.plan)
        return self._batches[phase]

    def _features(self, phase: int) -> LabelledFeatures:
        batches = self._batches_of(phase)
        assert isinstance(batches, LabelledFeatures)
        return batches

    def _pooled(self, chosen: Array) -> Array | None:
        if self._last_phase or self.extractor.is_live or not self.phase_trainer(0).plan.is_all_frozen:
            return None
        if self.config.mixed_precision:
            # The saved model compares photos by its features in float32.
            return None
        table = self._features(0).subset(chosen)
        features = np.concatenate([rows for rows, _labels in table.batches(self.config.batch_size)])
        return features.mean(axis=(1, 2)) if features.ndim == 4 else features

    def _class_weights(self, labels: Array) -> Sequence[float] | None:
        counts = np.bincount(labels, minlength=len(self.dataset.class_names))
        return weights_by_count(counts.tolist(), self.config)


def weights_of_training(model: keras.Model) -> Arrays:
    """Return the weights of all layers that a training may change, once it is planned which are frozen."""
    return [weight.numpy() for weight in _weights(model)]


def set_weights(model: keras.Model, values: Arrays) -> None:
    """Set the weights that `weights_of_training` returned."""
    for weight, value in zip(_weights(model), values, strict=True):
        weight.assign(value)


def _weights(model: keras.Model) -> list[Any]:
    return [
        weight
        for layer in model.layers
        if layer.trainable or layer.name == CENTRE_LAYER
        for weight in layer.weights
    ]
