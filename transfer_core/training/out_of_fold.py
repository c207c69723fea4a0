"""Out-of-fold predictions: each image is predicted by a model that has not learned from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import ImageRecord
from transfer_core.types import Array

NUM_FOLDS = 5


@dataclass(frozen=True)
class OutOfFold:
    """Predictions for training and validation images by models that were trained without the fold of the image.

    Args:
        images: The images, in the order of all arrays.
        labels: Class index of each image, `[num_images]`.
        probabilities: Softmax outputs before calibration, `[num_images, num_classes]`.
        folds: Fold of each image, from 0, `[num_images]`. Images of one group share a fold.
        features: Pooled features that the head receives, `[num_images, num_features]`. None where the backbone was
            fine-tuned, since each fold then has features of its own, and where only the validation split is predicted.
    """

    images: tuple[ImageRecord, ...]
    labels: Array
    probabilities: Array
    folds: Array
    features: Array | None = None

    @classmethod
    def of_validation(cls, dataset: ImageDataset, probabilities: Array) -> OutOfFold:
        """Return the predictions of a model for the validation images that it has not learned from.

        Args:
            dataset: Labelled images with their split.
            probabilities: Of the model for the validation images.
        """
        images = tuple(dataset.images_in("validation"))
        labels = np.array([dataset.class_index(image) for image in images])
        return cls(images, labels, probabilities, np.zeros(len(images), int))

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


def folds_of(dataset: ImageDataset, seed: int) -> Array:
    """Return the fold of each training and validation image, from 0; -1 for an image that is in no fold.

    The first fold is the validation split, which a training on the training split has predicted already. A person's own
    folds are used; otherwise the training images are split in four, with groups and shares of classes kept. A fold
    without which a class would have no image left is in no fold.

    Args:
        dataset: Labelled images with their split.
        seed: For the draw.

    Returns:
        `[num_train + num_validation]`, in that order.
    """
    train, validation = dataset.images_in("train"), dataset.images_in("validation")
    folds = np.full(len(train) + len(validation), -1)
    folds[len(train) :] = 0
    if dataset.split_by == "folds":
        for number, fold in enumerate(dataset.folds()[1:], 1):
            ids = {image.id for image in fold.images_in("validation")}
            for place, image in enumerate(train):
                if image.id in ids:
                    folds[place] = number
    else:
        folds[: len(train)] = _folds_of_training(train, seed)
    names = np.array([image.class_name for image in (*train, *validation)])
    for number in range(1, folds.max() + 1):
        if len(set(names[folds != number])) < len(dataset.class_names):
            folds[folds == number] = -1
    return folds


def _folds_of_training(images: Sequence[ImageRecord], seed: int) -> Array:
    from sklearn.model_selection import StratifiedGroupKFold

    names = [image.class_name for image in images]
    groups = [image.group or image.id for image in images]
    fewest = min(
        len({group for group, own in zip(groups, names, strict=True) if own == name}) for name in set(names)
    )
    folds = np.full(len(images), -1)
    num_folds = min(NUM_FOLDS - 1, fewest)
    if num_folds < 2:
        return folds
    parts = StratifiedGroupKFold(num_folds, shuffle=True, random_state=seed)
    for number, (_rest, chosen) in enumerate(parts.split(names, names, groups), 1):
        folds[chosen] = number
    return folds
