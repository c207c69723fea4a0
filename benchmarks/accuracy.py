"""Accuracy of the recommended training compared with textbook methods, on the same splits and weights.

All competitors train on the output of the same frozen backbone, like a plain `fit` through the frozen network.
The recommended training is scored at its best epoch, which it selects by validation loss; so the score of its last
epoch, which is not selected, is printed as well.

Example:
    python -m benchmarks.accuracy --data photos/flowers --data photos/clothing
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.photos import dataset_of, folders_option, machine
from transfer_core.backbones.registry import DEFAULT_BACKBONE, get_backbone
from transfer_core.backbones.runtime import load_keras
from transfer_core.config import Head
from transfer_core.data.dataset import ImageDataset
from transfer_core.training.advice import recommend
from transfer_core.training.features.feature_cache import load_features
from transfer_core.training.freezing import FreezePlan
from transfer_core.training.train import train
from transfer_core.workspace import Workspace

Array = np.ndarray[Any, Any]
Competitor = tuple[Head, Callable[["Split", int], float]]


@dataclass(frozen=True)
class Split:
    """Features and labels of one split."""

    train: Array
    train_labels: Array
    validation: Array
    validation_labels: Array
    num_classes: int


@click.command()
@folders_option
@click.option("--seeds", default=5, show_default=True, help="How many splits to try.")
@click.option("--backbone", default=DEFAULT_BACKBONE, show_default=True)
@click.option(
    "--skip",
    multiple=True,
    help="Skip competitors whose name contains this text, such as '1024', which is slow.",
)
def main(folders: tuple[Path, ...], seeds: int, backbone: str, skip: tuple[str, ...]) -> None:
    """Print the mean validation accuracy of each training on each set, and over all sets."""
    click.echo(machine())
    load_keras()
    competitors = {
        name: competitor
        for name, competitor in _COMPETITORS.items()
        if not any(part in name for part in skip)
    }
    table: dict[str, list[list[float]]] = {}
    with tempfile.TemporaryDirectory() as root:
        workspace = Workspace(Path(root))
        for folder in folders:
            rows = _accuracies(workspace, dataset_of(workspace, folder), seeds, backbone, competitors)
            for name, accuracies in rows.items():
                table.setdefault(name, []).append(accuracies)
                each = " ".join(f"{accuracy:.3f}" for accuracy in accuracies)
                click.echo(f"{folder.name:<12} {name:<44} {statistics.mean(accuracies):.3f}   {each}")
    click.echo()
    for name, by_set in table.items():
        means = [statistics.mean(accuracies) for accuracies in by_set]
        each = " ".join(f"{mean:.3f}" for mean in means)
        click.echo(f"{'all':<12} {name:<44} {statistics.mean(means):.3f}   {each}")


def _accuracies(
    workspace: Workspace,
    dataset: ImageDataset,
    num_seeds: int,
    backbone: str,
    competitors: dict[str, Competitor],
) -> dict[str, list[float]]:
    heads = {head for head, _compete in competitors.values()}
    plans = {head: FreezePlan(get_backbone(backbone), head=head) for head in heads}
    features = {head: _features(workspace, dataset, plan) for head, plan in plans.items()}
    rows: dict[str, list[float]] = {}
    for seed in range(1, num_seeds + 1):
        split = dataset.with_split(dataset.validation_split, seed)
        best, last = _ours(workspace, split, backbone, seed)
        rows.setdefault("recommended, best epoch", []).append(best)
        rows.setdefault("recommended, last epoch", []).append(last)
        for name, (head, compete) in competitors.items():
            rows.setdefault(name, []).append(compete(_split(split, features[head]), seed))
    return rows


def _ours(workspace: Workspace, dataset: ImageDataset, backbone: str, seed: int) -> tuple[float, float]:
    config = recommend(dataset, get_backbone(backbone)).config.with_changes(seed=seed)
    result = train(dataset, config, workspace.root / "out", workspace.cache_dir)
    return (result.best.val_accuracy if result.best else 0.0), result.epochs[-1].val_accuracy


def _features(workspace: Workspace, dataset: ImageDataset, plan: FreezePlan) -> Array:
    return np.asarray(load_features(dataset, plan, workspace.cache_dir))


def _split(dataset: ImageDataset, features: Array) -> Split:
    is_train = np.array([image.split == "train" for image in dataset.images])
    labels = np.array([dataset.class_index(image) for image in dataset.images])
    rows = features.astype(np.float32)
    return Split(
        rows[is_train], labels[is_train], rows[~is_train], labels[~is_train], len(dataset.class_names)
    )


def _keras(num_hidden: int, learning_rate: float, num_epochs: int) -> Callable[[Split, int], float]:
    def compete(split: Split, seed: int) -> float:
        import keras

        keras.utils.set_random_seed(seed)
        layers = [keras.Input(split.train.shape[1:]), keras.layers.Flatten()]
        if num_hidden:
            layers.append(keras.layers.Dense(num_hidden, activation="relu"))
        layers.append(keras.layers.Dense(split.num_classes, activation="softmax"))
        model = keras.Sequential(layers)
        model.compile(
            keras.optimizers.Adam(learning_rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
        )
        model.fit(split.train, split.train_labels, epochs=num_epochs, batch_size=32, verbose=0)
        scores = model.predict(split.validation, verbose=0)
        return float(np.mean(scores.argmax(axis=1) == split.validation_labels))

    return compete


def _logistic_regression(split: Split, seed: int) -> float:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    model.fit(split.train, split.train_labels)
    return float(model.score(split.validation, split.validation_labels))


_COMPETITORS: dict[str, Competitor] = {
    "pooled, softmax, 10 epochs": ("linear", _keras(0, 1e-3, 10)),
    "pooled, softmax, 50 epochs": ("linear", _keras(0, 1e-3, 50)),
    "pooled and standardised, LogisticRegression": ("linear", _logistic_regression),
    "map, Dense 100, softmax, 50 epochs": ("flattened_map", _keras(100, 1e-3, 50)),
    "map, Dense 1024, softmax, 1e-4, 10 epochs": ("flattened_map", _keras(1024, 1e-4, 10)),
}


if __name__ == "__main__":
    main()
