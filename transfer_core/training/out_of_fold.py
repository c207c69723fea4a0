"""Out-of-fold predictions: each image is predicted by a model that has not learned from it."""

from __future__ import annotations

import warnings
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
    folds are used; otherwise the training images are split in four, with groups and shares of classes kept. Where a
    person's own folders hold images of one group on both sides, the whole group is among the training images, unless
    no validation image would be left. A fold without which a class would have no image left is in no fold.

    Args:
        dataset: Labelled images with their split.
        seed: For the draw.

    Returns:
        `[num_train + num_validation]`, in that order.
    """
    train, validation = dataset.images_in("train"), dataset.images_in("validation")
    folds = np.full(len(train) + len(validation), -1)
    folds[len(train) :] = 0
    images = (*train, *validation)
    if dataset.split_by == "folds":
        for number, fold in enumerate(dataset.folds()[1:], 1):
            ids = {image.id for image in fold.images_in("validation")}
            for place, image in enumerate(train):
                if image.id in ids:
                    folds[place] = number
    else:
        groups = np.array([image.group or image.id for image in images])
        is_learned = np.isin(groups, groups[: len(train)])
        if is_learned.all():
            is_learned[len(train) :] = False
        places = np.flatnonzero(is_learned)
        folds[places] = _folds_of_training([images[place] for place in places], seed)
    names = np.array([image.class_name for image in images])
    for number in range(1, folds.max() + 1):
        if len(set(names[folds != number])) < len(dataset.class_names):
            folds[folds == number] = -1
    return folds


def _folds_of_training(images: Sequence[ImageRecord], seed: int) -> Array:
    labels = np.unique([image.class_name for image in images], return_inverse=True)[1]
    groups = [image.group or image.id for image in images]
    folds = stratified_folds(labels, groups, seed, NUM_FOLDS - 1)
    return np.full(len(images), -1) if folds is None else np.where(folds < 0, -1, folds + 1)


def stratified_folds(labels: Array, groups: Sequence[str] | Array, seed: int, num_folds: int) -> Array | None:
    """Split images into stratified folds of groups.

    Every class occurs outside each fold. Images of a class with one group are in no fold, so that they are always
    trained on.

    Args:
        labels: Class index of each image.
        groups: Group of each image, such as near-duplicates; its images share a fold.
        seed: For the draw.
        num_folds: At least 2; fewer if there are fewer groups.

    Returns:
        Fold of each image from 0 on, -1 for none, as in scikit-learn's `PredefinedSplit`. None if fewer than half of
        the images, fewer than two classes, or a single fold could be predicted.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    labels = np.asarray(labels)
    _names, groups = np.unique(np.asarray(groups), return_inverse=True)
    num_groups = _groups_by_class(labels, groups)
    can_be_left_out = (num_groups >= 2)[labels]
    # A group may hold images of several classes.
    can_be_left_out &= ~np.isin(groups, groups[~can_be_left_out])
    found = np.unique(labels[can_be_left_out])
    if len(found) < 2 or can_be_left_out.mean() < 0.5:
        return None
    labels_inside, groups_inside = labels[can_be_left_out], groups[can_be_left_out]
    most = min(num_folds, len(np.unique(groups_inside)), int(num_groups.max()))
    folds = np.full(len(labels), -1)
    inside = np.empty(len(labels_inside), int)
    with warnings.catch_warnings():
        # A class may have fewer images than there are folds.
        warnings.simplefilter("ignore")
        splits = StratifiedGroupKFold(most, shuffle=True, random_state=seed)
        for fold, (_others, members) in enumerate(splits.split(labels_inside, labels_inside, groups_inside)):
            inside[members] = fold
    folds[can_be_left_out] = inside
    for label in found:
        members = labels == label
        if len(np.unique(folds[members])) == 1:
            # Both of its groups were drawn into the same fold.
            first = groups == groups[members][0]
            folds[first] = (folds[members][0] + 1) % most
    for number in range(most):
        # A group of several classes may hold the last images of one of them.
        if len(np.unique(labels[folds != number])) <= labels.max():
            folds[folds == number] = -1
    kept = np.unique(folds[folds >= 0])
    return np.where(folds < 0, -1, np.searchsorted(kept, folds)) if len(kept) > 1 else None


def _groups_by_class(labels: Array, groups: Array) -> Array:
    pairs = np.unique(np.stack([labels, groups]), axis=1)
    return np.bincount(pairs[0], minlength=int(labels.max()) + 1)
