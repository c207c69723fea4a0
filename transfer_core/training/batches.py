"""Batches of cached features in an order that depends on seed and epoch alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import ImageRecord
from transfer_core.events import MOST_SCORED_PHOTOS, RunSnapshot
from transfer_core.training.class_balance import oversampled
from transfer_core.training.features.feature_table import FeatureTable
from transfer_core.training.soft_targets import soft_targets
from transfer_core.types import Array

Batch = tuple[Array, Array]


class TrainingBatches(Protocol):
    """Training data of a phase. The same seed and epoch give the same batches."""

    def num_batches(self, batch_size: int) -> int:
        """Return the number of batches in one epoch."""

    def shuffled_batches(self, batch_size: int, seed: int, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Yield the features (float32) and targets of one epoch, from the batch `first` on."""


@dataclass(frozen=True)
class LabelledFeatures:
    """Features and labels of one split.

    Args:
        features: One row for each view of each image.
        rows: Rows of the split, `[num_images]` or `[num_images, num_views]`.
        labels: Class index of each image.
        has_oversampling: Whether images of small classes are repeated to match the largest class.
        teacher_outputs: Probabilities of the teacher, `[num_images, num_classes]`; None without a teacher.
    """

    features: Array | FeatureTable
    rows: Array
    labels: Array
    has_oversampling: bool = False
    teacher_outputs: Array | None = None

    def subset(self, positions: Array) -> LabelledFeatures:
        """Return some of the images, in the given order; for features without a teacher."""
        return replace(self, rows=self.rows[positions], labels=self.labels[positions])

    def num_batches(self, batch_size: int) -> int:
        """Return the number of batches in one epoch."""
        num_images = len(self.labels)
        if self.has_oversampling:
            counts = np.unique(self.labels, return_counts=True)[1]
            num_images = len(counts) * int(counts.max())
        return -(-num_images // batch_size)

    def batches(
        self,
        batch_size: int,
        order: Array | None = None,
        rows: Array | None = None,
    ) -> Iterator[Batch]:
        """Yield features (float32) and targets: labels, or `soft_targets` with a teacher.

        The last batch may be smaller.

        Args:
            batch_size: Rows in one batch.
            order: Positions of the images; all in order if not given.
            rows: Row of `features` for each image; that of its first view if not given.
        """
        if rows is None:
            rows = self.rows.reshape(len(self.labels), -1)[:, 0]
        positions = np.arange(len(rows)) if order is None else order
        for start in range(0, len(positions), batch_size):
            chosen = positions[start : start + batch_size]
            yield (
                self.features[rows[chosen]].astype(np.float32),
                targets_of(self.labels, self.teacher_outputs, chosen),
            )

    def shuffled_batches(self, batch_size: int, seed: int, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Yield shuffled batches with one drawn view of each image.

        Args:
            batch_size: Rows in one batch.
            seed: Of the training.
            epoch: Counted from 1 over all phases.
            first: Number of batches to skip when an epoch is resumed.
        """
        order = epoch_order(self.labels, self.has_oversampling, seed, epoch)
        views = self.rows.reshape(len(self.labels), -1)
        draws = np.random.default_rng([seed, epoch, 1]).integers(views.shape[1], size=len(views))
        rows = views[np.arange(len(views)), draws]
        return self.batches(batch_size, order[first * batch_size :], rows)


def targets_of(labels: Array, teacher_outputs: Array | None, chosen: Array) -> Array:
    """Return the targets of some images: labels, or `soft_targets` with a teacher.

    Args:
        labels: Class index of each image.
        teacher_outputs: Probabilities of the teacher for each image, or None.
        chosen: Positions of the images.
    """
    if teacher_outputs is None:
        return labels[chosen]
    return soft_targets(labels[chosen], teacher_outputs[chosen])


def epoch_order(labels: Array, has_oversampling: bool, seed: int, epoch: int) -> Array:
    """Return the shuffled positions of the images in an epoch; depends on the arguments alone.

    Args:
        labels: Class index of each image.
        has_oversampling: Whether images of small classes are repeated to match the largest class.
        seed: Of the training.
        epoch: Counted from 1 over all phases.
    """
    draws = np.random.default_rng([seed, epoch])
    return oversampled(labels, draws) if has_oversampling else draws.permutation(len(labels))


def scored_positions(num_images: int) -> Array:
    """Return which validation images the log holds outcomes of: all, or `MOST_SCORED_PHOTOS`, evenly spread."""
    return np.linspace(0, num_images - 1, min(num_images, MOST_SCORED_PHOTOS)).round().astype(int)


def scored_images(dataset: ImageDataset) -> list[ImageRecord]:
    """Return the validation images at `scored_positions`."""
    validation = dataset.images_in("validation")
    return [validation[place] for place in scored_positions(len(validation))]


def photos_at(
    dataset: ImageDataset, config: TrainingConfig, snapshot: RunSnapshot, num_photos: int
) -> list[ImageRecord]:
    """Return the photos that a training reads at its present step.

    In a stage that reads none, these are the last ones that were read; before the first stage, an even choice.

    Args:
        dataset: The images.
        config: Decides the order within an epoch.
        snapshot: The fold of the events so far.
        num_photos: Return at most so many, the latest last.
    """
    train = dataset.images_in("train")
    read = [*train, *dataset.images_in("validation")]
    if not train:
        # They may be deleted while the training goes on.
        return read[:num_photos]
    if snapshot.phase in ("head", "fine_tune") and snapshot.epoch:
        labels = np.array([dataset.class_index(image) for image in train])
        order = epoch_order(labels, config.oversampling, config.seed, snapshot.epoch)
        num_batches = -(-len(order) // config.batch_size)
        batch = max(snapshot.step - 1, 0) % num_batches
        read = [train[place] for place in order[: (batch + 1) * config.batch_size]]
    elif snapshot.phase in ("features", "teacher"):
        # Views of a photo and photos of a second extraction come after all others.
        read = read[: max(snapshot.step % len(read) or len(read), num_photos)]
    elif snapshot.phase is None:
        read = read[:: max(len(read) // num_photos, 1)][:num_photos]
    return read[-num_photos:]
