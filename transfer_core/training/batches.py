"""Batches of cached features, in an order that a seed fixes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from transfer_core.training.class_balance import oversampled
from transfer_core.training.features.feature_table import FeatureTable
from transfer_core.training.soft_targets import with_answers
from transfer_core.types import Array

Batch = tuple[Array, Array]


class TrainingBatches(Protocol):
    """What a training learns from: the same batches for the same seed and epoch, whatever other threads do."""

    def num_batches(self, batch_size: int) -> int:
        """How many batches are one epoch."""

    def shuffled_batches(self, batch_size: int, seed: int, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Yield the features (float32) and targets of one epoch, from the batch `first` on."""


@dataclass(frozen=True)
class LabelledFeatures:
    """The features of one split with their labels; rows are read from disk as they are needed.

    Args:
        features: One row for each view of each image.
        rows: Which rows belong to the split; `[num_images, num_views]` where there are several views.
        labels: Class index of each image.
        has_oversampling: Whether small classes come as often as the largest.
        answers: What a larger model says of each image, `[num_images, num_classes]`; it is learned from as well.
    """

    features: Array | FeatureTable
    rows: Array
    labels: Array
    has_oversampling: bool = False
    answers: Array | None = None

    def num_batches(self, batch_size: int) -> int:
        """How many batches are one epoch."""
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
        """Yield features (float32) and targets, which are labels where there is no larger model's answer.

        The last batch may be smaller.

        Args:
            batch_size: Rows in one batch.
            order: Positions among the images; as they are if not given.
            rows: The row to take for each image; its first view if not given.
        """
        if rows is None:
            rows = self.rows.reshape(len(self.labels), -1)[:, 0]
        positions = np.arange(len(rows)) if order is None else order
        for start in range(0, len(positions), batch_size):
            chosen = positions[start : start + batch_size]
            yield (
                self.features[rows[chosen]].astype(np.float32),
                targets_of(self.labels, self.answers, chosen),
            )

    def shuffled_batches(self, batch_size: int, seed: int, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Yield batches in the order that belongs to this seed and epoch, whatever other threads do.

        Of several views of an image one is drawn.

        Args:
            batch_size: Rows in one batch.
            seed: Of the training.
            epoch: Counted from 1 over all phases.
            first: Batches to leave out, because they were learned from before.
        """
        order = epoch_order(self.labels, self.has_oversampling, seed, epoch)
        views = self.rows.reshape(len(self.labels), -1)
        draws = np.random.default_rng([seed, epoch, 1]).integers(views.shape[1], size=len(views))
        rows = views[np.arange(len(views)), draws]
        return self.batches(batch_size, order[first * batch_size :], rows)


def targets_of(labels: Array, answers: Array | None, chosen: Array) -> Array:
    """Return what some images are to be learned as: their labels, with a larger model's answers where there are any.

    Args:
        labels: Class index of each image.
        answers: Probabilities for each image, or None.
        chosen: Positions among the images.
    """
    return labels[chosen] if answers is None else with_answers(labels[chosen], answers[chosen])


def epoch_order(labels: Array, has_oversampling: bool, seed: int, epoch: int) -> Array:
    """Return in which order the images of an epoch come; depends on the arguments alone.

    Args:
        labels: Class index of each image.
        has_oversampling: Whether small classes come as often as the largest.
        seed: Of the training.
        epoch: Counted from 1 over all phases.
    """
    draws = np.random.default_rng([seed, epoch])
    return oversampled(labels, draws) if has_oversampling else draws.permutation(len(labels))
