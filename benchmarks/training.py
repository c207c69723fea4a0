"""How much sooner a training ends when frozen layers are computed once.

Compares, on the same photos, split, weights and number of epochs, a plain Keras `fit` through the whole network
with this project's training, from an empty cache and with a filled one.

Example:
    python -m benchmarks.training --data photos/flowers
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from transfer_core.backbones.registry import DEFAULT_BACKBONE, get_backbone
from transfer_core.backbones.runtime import load_keras
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.records import Split
from transfer_core.data.sources import folder_source
from transfer_core.training.classifier import build_classifier
from transfer_core.training.freezing import FreezePlan
from transfer_core.training.train import TrainingResult, train
from transfer_core.workspace import Workspace

Result = TypeVar("Result")


@click.command()
@click.option(
    "--data", type=click.Path(exists=True, file_okay=False), required=True, help="Folder of class folders."
)
@click.option("--epochs", default=10, show_default=True)
@click.option("--backbone", default=DEFAULT_BACKBONE, show_default=True)
def main(data: str, epochs: int, backbone: str) -> None:
    """Print seconds, accuracies and ratios."""
    load_keras()
    config = TrainingConfig(backbone=backbone, epochs=epochs)
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        dataset = add_files(create_dataset(workspace, Path(data).name), folder_source(Path(data)))
        click.echo(
            f"{len(dataset.images)} photos, {len(dataset.class_names)} classes, {epochs} epochs, {backbone}"
        )
        plain, plain_accuracy = _timed(lambda: _plain_fit(dataset, config))
        first, first_result = _timed(lambda: _train(workspace, dataset, config))
        second, second_result = _timed(
            lambda: _train(workspace, dataset, config.with_changes(learning_rate=0.003))
        )
    _print_row("plain Keras fit through the frozen network", plain, plain_accuracy, plain / first)
    _print_row("this project, first run", first, _accuracy(first_result), 1.0)
    _print_row("this project, second run with another rate", second, _accuracy(second_result), second / first)


def _plain_fit(dataset: ImageDataset, config: TrainingConfig) -> float:
    """Train the same classifier as a textbook does, every photo through the network in every epoch."""
    import keras

    plan = FreezePlan(get_backbone(config.backbone))
    model = build_classifier(plan, len(dataset.class_names), config)
    plan.apply(model)
    # A fixed rate instead of the schedule: the textbook's own choice.
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(
        _photos(dataset, "train", plan.backbone.image_size, config.batch_size),
        validation_data=_photos(dataset, "validation", plan.backbone.image_size, config.batch_size),
        epochs=config.epochs,
        shuffle=False,  # the photos come shuffled
        verbose=0,
    )
    return float(max(history.history["val_accuracy"]))


def _photos(dataset: ImageDataset, split: Split, image_size: int, batch_size: int) -> object:
    import tensorflow as tf

    images = dataset.images_in(split)
    paths = [str(dataset.image_path(image)) for image in images]
    labels = [dataset.class_index(image) for image in images]

    def read(path: object, label: object) -> tuple[object, object]:
        pixels = tf.image.resize(
            tf.io.decode_jpeg(tf.io.read_file(path), channels=3), (image_size, image_size)
        )
        return pixels, label

    photos = tf.data.Dataset.from_tensor_slices((paths, labels))
    if split == "train":
        photos = photos.shuffle(len(paths), seed=1)
    return photos.map(read, tf.data.AUTOTUNE).batch(batch_size).prefetch(tf.data.AUTOTUNE)


def _train(workspace: Workspace, dataset: ImageDataset, config: TrainingConfig) -> TrainingResult:
    return train(dataset, config, workspace.root / "out", workspace.cache_dir)


def _accuracy(result: TrainingResult) -> float:
    return max(result.snapshot.history["val_accuracy"])


def _timed(work: Callable[[], Result]) -> tuple[float, Result]:
    started_at = time.perf_counter()
    result = work()
    return time.perf_counter() - started_at, result


def _print_row(name: str, seconds: float, accuracy: float, ratio: float) -> None:
    click.echo(f"{name:<46} {seconds:7.1f} s   best validation accuracy {accuracy:6.1%}   ratio {ratio:5.2f}")


if __name__ == "__main__":
    main()
