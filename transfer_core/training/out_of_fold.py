"""Out-of-fold predictions: each image is predicted by a model that has not learned from it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from transfer_core.data.records import ImageRecord
from transfer_core.types import Array


@dataclass(frozen=True)
class OutOfFold:
    """Predictions for training and validation images by models that were trained without the fold of the image.

    Args:
        images: The images, in the order of all arrays.
        labels: Class index of each image, `[num_images]`.
        probabilities: Softmax outputs before calibration, `[num_images, num_classes]`.
        folds: Fold of each image, from 0, `[num_images]`. Images of one group share a fold.
        features: Pooled features that the head receives, `[num_images, num_features]`. None where the backbone was
            fine-tuned: each fold then has features of its own, which cannot be compared.
    """

    images: tuple[ImageRecord, ...]
    labels: Array
    probabilities: Array
    folds: Array
    features: Array | None = None

    @property
    def num_folds(self) -> int:
        """Number of folds that were predicted."""
        return len(np.unique(self.folds))

    @property
    def groups(self) -> list[str]:
        """Group of each image; an image without near-duplicates is a group of its own."""
        return [image.group or image.id for image in self.images]

    @cached_property
    def accuracy(self) -> float:
        """Share of images whose most probable class is right, 0-1."""
        return float(np.mean(self.probabilities.argmax(axis=1) == self.labels))
