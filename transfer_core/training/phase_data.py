"""Prepare the data of one phase: extract features with the frozen layers, or send varied images through them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.images.augmentation import Augmentation
from transfer_core.data.parallel import map_ahead
from transfer_core.data.records import ImageRecord
from transfer_core.training.batches import Batch, LabelledFeatures, TrainingBatches, epoch_order, targets_of
from transfer_core.training.classifier import tail_behind
from transfer_core.training.features.feature_cache import View, load_features
from transfer_core.training.features.feature_table import FeatureTable
from transfer_core.training.features.frozen_network import Graph, engine_of, frozen_graph
from transfer_core.training.freezing import FreezePlan
from transfer_core.types import Array, OnProgress, Pixels, ShouldStop

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class PhaseData:
    """The trainable part of a classifier and its data.

    Args:
        tail: The layers behind the boundary, shared with the classifier.
        train: Batches of the training split.
        validation: Features of the validation split.
    """

    tail: keras.Model
    train: TrainingBatches
    validation: LabelledFeatures


@dataclass(frozen=True)
class FeatureExtractor:
    """Extracts the features of a training with its frozen layers.

    Args:
        dataset: Labelled images with their split.
        config: For augmentation, oversampling, the precision of the cache and that of the frozen layers.
        cache_dir: Where features are kept for later runs.
        on_progress: Called with the number of rows done and the total, first with the rows in the cache.
        should_stop: Called at each batch.
        teacher_outputs: Probabilities of the teacher by id of the training image; None without a teacher.
        also: Plans of later phases, whose activations are computed in the same forward pass.
    """

    dataset: ImageDataset
    config: TrainingConfig
    cache_dir: Path
    on_progress: OnProgress
    should_stop: ShouldStop
    teacher_outputs: Mapping[str, Array] | None = None
    also: Sequence[FreezePlan] = ()

    @property
    def is_live(self) -> bool:
        """Whether images are augmented again in each epoch."""
        return self.config.has_augmentation and self.config.live_augmentation

    @property
    def num_views(self) -> int:
        """Number of cached views of each training image."""
        return self.config.num_views if self.config.has_augmentation and not self.is_live else 1

    @property
    def num_extracted(self) -> tuple[int, ...]:
        """Number of rows in each feature extraction before a phase."""
        train, validation = (len(self.dataset.images_in(split)) for split in ("train", "validation"))
        return (validation, train) if self.is_live else (train * self.num_views + validation,)

    def prepare(self, model: keras.Model, plan: FreezePlan) -> PhaseData:
        """Freeze layers as planned and extract the features of both splits.

        Args:
            model: The whole classifier.
            plan: What is trainable.

        Raises:
            FeaturesStoppedError: If `should_stop` returned true.
            TrainingError: If the disk space is too small.
            DamagedPhotosError: If photos are damaged or missing.
            WorkspaceError: If writing fails.
        """
        plan.apply(model)
        tail = tail_behind(model, plan.boundary_layer)
        train = self.dataset.images_in("train")
        validation = self.dataset.images_in("validation")
        if self.is_live:
            features = self._load(plan, [View(image) for image in validation])
            batches = self._live(plan, train)
            rows = np.arange(len(validation))
            return PhaseData(tail, batches, LabelledFeatures(features, rows, self._labels(validation)))
        images = [*train, *validation]
        varied = [View(image, number) for number in range(1, self.num_views) for image in train]
        features = self._load(plan, [*map(View, images), *varied])
        first_views = np.arange(len(images))
        others = (len(images) + np.arange(len(varied))).reshape(self.num_views - 1, len(train))
        rows = np.vstack([first_views[: len(train)], others]).T
        return PhaseData(
            tail,
            LabelledFeatures(
                features, rows, self._labels(train), self.config.oversampling, self._outputs_of_teacher(train)
            ),
            LabelledFeatures(features, first_views[len(train) :], self._labels(validation)),
        )

    def with_validation(self, data: PhaseData, plan: FreezePlan) -> TrainingBatches:
        """Return batches of the training images followed by the validation images.

        Only features that are not in memory yet are loaded.

        Args:
            data: What `prepare` returned for the plan.
            plan: What is trainable.

        Raises:
            FeaturesStoppedError: If `should_stop` returned true.
            TrainingError: If the disk space is too small.
            DamagedPhotosError: If photos are damaged or missing.
            WorkspaceError: If writing fails.
        """
        train, validation = data.train, data.validation
        if isinstance(train, LabelledFeatures) and self.num_views == 1:
            return replace(
                train,
                rows=np.concatenate([train.rows.ravel(), validation.rows]),
                labels=np.concatenate([train.labels, validation.labels]),
            )
        images = [*self.dataset.images_in("train"), *self.dataset.images_in("validation")]
        if self.is_live:
            return self._live(plan, images)
        views = [View(image, number) for image in images for number in range(self.num_views)]
        rows = np.arange(len(views)).reshape(len(images), self.num_views)
        features = self._load(plan, views)
        return LabelledFeatures(features, rows, self._labels(images), self.config.oversampling)

    def features_of(self, plan: FreezePlan, images: list[ImageRecord]) -> tuple[Array, Array]:
        """Return features at the boundary of a plan, and labels, of a few images."""
        features = self._load(plan, list(map(View, images)))
        return np.asarray(features), self._labels(images)

    def _live(self, plan: FreezePlan, images: list[ImageRecord]) -> LiveBatches:
        pixels = self._load(plan.with_unfrozen(len(plan.backbone.blocks)), list(map(View, images)))
        return LiveBatches(
            pixels,
            [image.id for image in images],
            self._labels(images),
            Augmentation.of(self.config),
            self._forward(plan),
            self.config.oversampling,
            self._outputs_of_teacher(images),
        )

    def _forward(self, plan: FreezePlan) -> Graph | None:
        if plan.boundary_layer is None:
            return None
        engine = engine_of(plan.backbone, self.cache_dir, is_mixed=self.config.mixed_precision)
        return frozen_graph(plan.backbone, [plan.boundary_layer], self.cache_dir, engine)

    def _load(self, plan: FreezePlan, views: list[View]) -> FeatureTable:
        return load_features(
            self.dataset,
            plan,
            self.cache_dir,
            on_progress=lambda num_done: self.on_progress(num_done, len(views)),
            should_stop=self.should_stop,
            views=views,
            augmentation=Augmentation.of(self.config),
            dtype=self.config.cache_dtype,
            also=self.also,
            is_mixed=self.config.mixed_precision,
        )

    def _outputs_of_teacher(self, images: list[ImageRecord]) -> Array | None:
        outputs = self.teacher_outputs
        return None if outputs is None else np.stack([outputs[image.id] for image in images])

    def _labels(self, images: list[ImageRecord]) -> Array:
        return np.array([self.dataset.class_index(image) for image in images])


@dataclass(frozen=True)
class LiveBatches:
    """Batches of images that are augmented and sent through the frozen layers again in each epoch.

    Args:
        pixels: Raw pixels in 0-255, one row for each image.
        image_ids: Id of each image.
        labels: Class index of each image.
        augmentation: How images are varied.
        forward: The frozen layers; None if nothing is frozen.
        has_oversampling: Whether images of small classes are repeated to match the largest class.
        teacher_outputs: Probabilities of the teacher for each unchanged image, `[num_images, num_classes]`, or
            None.
    """

    pixels: FeatureTable
    image_ids: Sequence[str]
    labels: Array
    augmentation: Augmentation
    forward: Graph | None
    has_oversampling: bool = False
    teacher_outputs: Array | None = None

    def num_batches(self, batch_size: int) -> int:
        """Return the number of batches in one epoch."""
        return -(-len(epoch_order(self.labels, self.has_oversampling, 0, 0)) // batch_size)

    def shuffled_batches(self, batch_size: int, seed: int, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Yield batches whose order and views depend on seed and epoch alone, from the batch `first` on."""
        order = epoch_order(self.labels, self.has_oversampling, seed, epoch)[first * batch_size :]

        def view(position: int) -> Pixels:
            pixels = self.pixels[np.array([position])][0]
            return self.augmentation.view(pixels, self.image_ids[position], seed, epoch)

        views = map_ahead(view, order, num_ahead=2 * batch_size)
        for start in range(0, len(order), batch_size):
            pixels = np.stack(list(islice(views, batch_size)))
            features = self.forward(pixels) if self.forward else pixels.astype(np.float32)
            yield features, targets_of(self.labels, self.teacher_outputs, order[start : start + batch_size])
