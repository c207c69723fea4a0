"""Trainings as textbooks write them, which `benchmarks.journey` compares with this project's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.photos import timed
from transfer_core.backbones.registry import get_backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import Split
from transfer_core.training.classifier import build_classifier
from transfer_core.training.freezing import FreezePlan

if TYPE_CHECKING:
    import keras


def plain_fit(dataset: ImageDataset, config: TrainingConfig) -> tuple[float, float]:
    """Train the same classifier with a plain `fit`: a forward pass of every photo in every epoch.

    Returns:
        Seconds, and the best validation accuracy.
    """

    def work() -> float:
        plan = FreezePlan.of(config)
        model = build_classifier(plan, len(dataset.class_names), config)
        plan.apply(model)
        return _fit(model, dataset, config, plan.backbone.image_size)

    return timed(work)


def textbook_fit(dataset: ImageDataset, config: TrainingConfig) -> tuple[float, float]:
    """Train the textbook head on a frozen backbone: the flattened map and a dense layer of 1,024 units.

    Returns:
        Seconds, and the best validation accuracy.
    """

    def work() -> float:
        import keras

        backbone = get_backbone(config.backbone)
        body = backbone.build()
        body.trainable = False
        x = keras.layers.Flatten()(body(body.input, training=False))
        x = keras.layers.Dense(1024, activation="relu")(x)
        outputs = keras.layers.Dense(len(dataset.class_names), activation="softmax")(x)
        return _fit(keras.Model(body.input, outputs), dataset, config, backbone.image_size, 1e-4)

    return timed(work)


def _fit(
    model: keras.Model,
    dataset: ImageDataset,
    config: TrainingConfig,
    image_size: int,
    learning_rate: float = 1e-3,
) -> float:
    import keras

    # Use a constant learning rate, like the textbooks.
    model.compile(
        keras.optimizers.Adam(learning_rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    history = model.fit(
        _photos(dataset, "train", image_size, config.batch_size),
        validation_data=_photos(dataset, "validation", image_size, config.batch_size),
        epochs=config.epochs,
        shuffle=False,  # the dataset shuffles already
        verbose=0,
    )
    return float(np.max(history.history["val_accuracy"]))


def _photos(dataset: ImageDataset, split: Split, image_size: int, batch_size: int) -> Any:
    import tensorflow as tf

    images = dataset.images_in(split)
    paths = [str(dataset.image_path(image)) for image in images]
    labels = [dataset.class_index(image) for image in images]

    def read(path: Any, label: Any) -> tuple[Any, Any]:
        content = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        return tf.image.resize(content, (image_size, image_size)), label

    photos = tf.data.Dataset.from_tensor_slices((paths, labels))
    if split == "train":
        photos = photos.shuffle(len(paths), seed=1)
    return photos.map(read, tf.data.AUTOTUNE).batch(batch_size).prefetch(tf.data.AUTOTUNE)
