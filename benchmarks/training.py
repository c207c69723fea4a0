"""Speed-up of trainings by computing frozen layers only once.

Compare, with the same photos, split, weights and number of epochs: textbook scripts, a pure forward pass of all photos,
and this project's training, with an empty and with a filled feature cache. Only the ratios within one run are
comparable; the times depend on the machine.

Example:
    python -m benchmarks.training --data photos/flowers
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from benchmarks.photos import dataset_of, machine, timed
from transfer_core.backbones.registry import DEFAULT_BACKBONE, get_backbone
from transfer_core.backbones.runtime import load_keras
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.pixels import pixel_batches
from transfer_core.data.records import Split
from transfer_core.training.classifier import build_classifier
from transfer_core.training.features.constant_graph import ConstantGraph
from transfer_core.training.freezing import FreezePlan
from transfer_core.training.train import train
from transfer_core.workspace import Workspace

if TYPE_CHECKING:
    import keras

_PASS_BATCH_SIZE = 16


@click.command()
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Folder of class folders.",
)
@click.option("--epochs", default=10, show_default=True)
@click.option("--backbone", default=DEFAULT_BACKBONE, show_default=True)
@click.option("--depth", default=2, show_default=True, help="Trainable blocks in the fine-tuning rows.")
@click.option("--scripts/--no-scripts", default=True, help="Also run textbook trainings, which take minutes.")
def main(data: Path, epochs: int, backbone: str, depth: int, *, scripts: bool) -> None:
    """Print seconds, accuracies and ratios."""
    click.echo(machine())
    load_keras()
    frozen = TrainingConfig(backbone=backbone, epochs=epochs)
    # The app's default schedule has a head phase before fine-tuning, here with equally many epochs.
    tuned = frozen.with_changes(num_unfrozen_blocks=depth, fine_tune_epochs=epochs)
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        dataset = dataset_of(workspace, data)
        num_photos, num_classes = len(dataset.images), len(dataset.class_names)
        click.echo(f"{num_photos} photos, {num_classes} classes, {epochs} epochs, {backbone}")
        first = _ours(workspace, dataset, frozen)
        second = _ours(workspace, dataset, frozen.with_changes(learning_rate=0.003))
        pure = _pure_pass(dataset, backbone)
        rows = [
            ("one pure forward pass / our whole run", pure, first, 0.7),
            ("ours again with another learning rate / the first", second, first, 0.25),
        ]
        if scripts:
            deep = _ours(workspace, dataset, tuned, keep_cache=False)
            textbook, plain = _textbook_fit(dataset, frozen), _plain_fit(dataset, frozen)
            rows += [
                ("textbook (Flatten, Dense 1024) / ours, all frozen", textbook, first, 12.0),
                ("plain fit with our head / ours, all frozen", plain, first, 7.0),
                (
                    f"plain fit, last {depth} blocks unfrozen / ours",
                    _plain_fit(dataset, tuned),
                    deep,
                    4.0,
                ),
            ]
    for name, slow, fast, goal in rows:
        click.echo(
            f"{name:<52} {slow[0]:7.1f} s / {fast[0]:6.1f} s = {slow[0] / fast[0]:6.2f}  (goal {goal})   "
            f"validation accuracy {slow[1]:5.1%} / {fast[1]:5.1%}"
        )


def _ours(
    workspace: Workspace, dataset: ImageDataset, config: TrainingConfig, *, keep_cache: bool = True
) -> tuple[float, float]:
    if not keep_cache:
        shutil.rmtree(workspace.cache_dir)
    seconds, result = timed(lambda: train(dataset, config, workspace.root / "out", workspace.cache_dir))
    best = result.best
    return seconds, best.val_accuracy if best else 0.0


def _pure_pass(dataset: ImageDataset, backbone_name: str) -> tuple[float, float]:
    """Time one forward pass of all decoded photos through the constant graph."""
    backbone = get_backbone(backbone_name)
    forward = ConstantGraph(backbone.build())
    paths = [dataset.image_path(image) for image in dataset.images]
    batches = list(pixel_batches(paths, backbone.image_size, _PASS_BATCH_SIZE))
    forward(batches[0])
    seconds, _outputs = timed(lambda: [forward(batch) for batch in batches])
    return seconds, float("nan")


def _plain_fit(dataset: ImageDataset, config: TrainingConfig) -> tuple[float, float]:
    """Train the same classifier with a plain `fit`: a forward pass of every photo in every epoch."""

    def work() -> float:
        plan = FreezePlan.of(config)
        model = build_classifier(plan, len(dataset.class_names), config)
        plan.apply(model)
        return _fit(model, dataset, config, plan.backbone.image_size)

    return timed(work)


def _textbook_fit(dataset: ImageDataset, config: TrainingConfig) -> tuple[float, float]:
    """Train the textbook head on a frozen backbone: the flattened map and a dense layer of 1,024 units."""

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


if __name__ == "__main__":
    main()
