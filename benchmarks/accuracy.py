"""Accuracy of the recommended training on held-out test photos, compared with usual recipes.

Every recipe learns from all photos that are given to the app, training and validation photos alike, on features of the
same frozen backbone, like a plain `fit` through the frozen network. The recommended training goes the whole way that it
goes in the app, and its saved model is scored on the same test photos. They are drawn from each set again for each
seed, near-duplicates and series on one side, or are those of the set's own test folder. The accuracy that the app
reports is compared with them as well: its interval should cover theirs.

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
from msgspec import structs

from benchmarks.photos import dataset_of, folders_option, machine
from transfer_core.backbones.registry import DEFAULT_BACKBONE, get_backbone
from transfer_core.backbones.runtime import load_keras
from transfer_core.config import Head
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import DEFAULT_VALIDATION_SPLIT
from transfer_core.evaluation.photo_series import keep_series_together
from transfer_core.events import TrainingEvent, snapshot_of
from transfer_core.runs.run_evaluation import evaluate_records
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.advice import recommend
from transfer_core.training.features.feature_cache import load_features
from transfer_core.training.freezing import FreezePlan
from transfer_core.training.variants import compare_variants, recommended_variant
from transfer_core.work.execute import execute_run
from transfer_core.workspace import Workspace

Array = np.ndarray[Any, Any]
Recipe = tuple[Head, Callable[["Split", int], float]]


@dataclass(frozen=True)
class Split:
    """Features and labels of the photos that are given, and of those that are held out."""

    given: Array
    given_labels: Array
    test: Array
    test_labels: Array
    num_classes: int


@dataclass(frozen=True)
class Recommended:
    """The recommended training on one split.

    Args:
        accuracy: On the test photos, 0-1.
        reported: What the app reports, 0-1.
        interval: The 95 % confidence interval that it reports, two shares.
        num_reported: Photos that it reports this on.
        num_test: Test photos.
        model: Its backbone and its head.
    """

    accuracy: float
    reported: float
    interval: tuple[float, float]
    num_reported: int
    num_test: int
    model: str

    @property
    def is_covered(self) -> bool:
        """Whether the interval covers the accuracy on the test photos."""
        return self.interval[0] <= self.accuracy <= self.interval[1]

    @property
    def chance_of_cover(self) -> float:
        """Of an exact interval of so many photos, as the test accuracy is measured on few photos itself, 0-1."""
        spread = (1 + self.num_reported / self.num_test) ** 0.5
        return 2 * statistics.NormalDist().cdf(1.96 / spread) - 1


@click.command()
@folders_option
@click.option("--seeds", default=5, show_default=True, help="How many splits to try.")
@click.option("--given", default=0.7, show_default=True, help="Share of the photos that is given, 0-1.")
@click.option("--test-split", is_flag=True, help="Score on the set's own test folder.")
@click.option("--backbone", default=DEFAULT_BACKBONE, show_default=True)
@click.option(
    "--skip", multiple=True, help="Skip recipes whose name contains this text, such as '1024', which is slow."
)
def main(
    folders: tuple[Path, ...],
    seeds: int,
    given: float,
    backbone: str,
    skip: tuple[str, ...],
    *,
    test_split: bool,
) -> None:
    """Print the mean test accuracy of each training on each set, and over all sets."""
    click.echo(machine())
    load_keras()
    recipes = {name: recipe for name, recipe in _RECIPES.items() if not any(part in name for part in skip)}
    ours: dict[str, list[Recommended]] = {}
    table: dict[str, dict[str, list[float]]] = {}
    for folder in folders:
        with tempfile.TemporaryDirectory() as root:
            workspace = Workspace(Path(root))
            dataset = keep_series_together(workspace, dataset_of(workspace, folder))
            splits = [_held_out(dataset, seed, None if test_split else given) for seed in range(1, seeds + 1)]
            ours[folder.name] = [_recommended(workspace, split, backbone) for split in splits]
            table[folder.name] = _recipe_rows(workspace, splits, backbone, recipes)
        _print_set(folder.name, ours[folder.name], table[folder.name])
    _print_all(ours, table)


def _held_out(dataset: ImageDataset, seed: int, given: float | None) -> ImageDataset:
    """Return the dataset as the app gets it: with test photos, and with validation photos drawn from the others."""
    if given is not None:
        drawn = dataset.with_split(1 - given, seed, split_by="share")
        images = tuple(
            structs.replace(image, given_split="test" if image.split == "validation" else "train")
            for image in drawn.images
        )
        dataset = structs.replace(drawn, images=images)
    return dataset.with_split(DEFAULT_VALIDATION_SPLIT, seed, split_by="folders")


def _recommended(workspace: Workspace, split: ImageDataset, backbone: str) -> Recommended:
    # Each split is a new version of the one dataset.
    version = ImageDataset.load(workspace, split.id).version
    dataset = structs.replace(split, version=version, series_version=version).save()
    plain = get_backbone(backbone)
    # The app compares them while it looks ahead.
    compare_variants(dataset, plain, workspace.cache_dir)
    chosen, _reason = recommended_variant(dataset, plain, workspace.cache_dir)
    config = recommend(dataset, chosen).config.with_changes(seed=dataset.seed)
    run = TrainingRun.create(workspace, dataset, config)
    events: list[TrainingEvent] = []
    execute_run(workspace, run, events.append, lambda: False)
    reported = run.files.evaluation()
    if reported is None:
        raise click.ClickException(f"the run of {dataset.name} has no model")
    scored = evaluate_records(run, dataset, dataset.images_in("test"), workspace.cache_dir)
    head = snapshot_of(events).head
    return Recommended(
        scored.accuracy,
        reported.accuracy,
        reported.accuracy_interval,
        reported.num_images,
        scored.num_images,
        f"{chosen.name}, {head.head if head else config.head}",
    )


def _recipe_rows(
    workspace: Workspace, splits: list[ImageDataset], backbone: str, recipes: dict[str, Recipe]
) -> dict[str, list[float]]:
    heads = {head for head, _compete in recipes.values()}
    plans = {head: FreezePlan(get_backbone(backbone), head=head) for head in heads}
    features = {head: _features(workspace, splits[0], plan) for head, plan in plans.items()}
    return {
        name: [compete(_split(split, features[head]), split.seed) for split in splits]
        for name, (head, compete) in recipes.items()
    }


def _print_set(name: str, ours: list[Recommended], recipes: dict[str, list[float]]) -> None:
    rows = {"recommended": [one.accuracy for one in ours], **recipes}
    for row, accuracies in rows.items():
        each = " ".join(f"{accuracy:.3f}" for accuracy in accuracies)
        click.echo(f"{name:<12} {row:<44} {statistics.mean(accuracies):.3f}   {each}")
    for one in ours:
        click.echo(
            f"{name:<12} {one.model:<44} test {one.accuracy:.3f} of {one.num_test}, reported {one.reported:.3f} of "
            f"{one.num_reported}, {one.interval[0]:.3f} to {one.interval[1]:.3f}"
        )


def _print_all(ours: dict[str, list[Recommended]], table: dict[str, dict[str, list[float]]]) -> None:
    mine = {name: statistics.mean(one.accuracy for one in found) for name, found in ours.items()}
    means = {
        name: {row: statistics.mean(accuracies) for row, accuracies in rows.items()}
        for name, rows in table.items()
    }
    rows = next(iter(means.values()))
    by_row = {
        "recommended": mine,
        **{row: {name: found[row] for name, found in means.items()} for row in rows},
        "best recipe of each set": {name: max(found.values()) for name, found in means.items()},
    }
    click.echo()
    for row, by_set in by_row.items():
        each = " ".join(f"{name} {mean:.3f}" for name, mean in by_set.items())
        click.echo(f"{row:<44} {statistics.mean(by_set.values()):.3f}   {each}")
    won = {name: mine[name] - best for name, best in by_row["best recipe of each set"].items()}
    worst = min(won, key=lambda name: won[name])
    splits = [one for found in ours.values() for one in found]
    click.echo(
        f"recommended - best recipe of each set: mean {statistics.mean(won.values()):+.3f} (goal 0.01), "
        f"worst {won[worst]:+.3f} on {worst} (goal -0.01)"
    )
    click.echo(
        f"the reported interval covers the test accuracy on {sum(one.is_covered for one in splits)} of {len(splits)} "
        f"splits (goal 90 %; an exact one, with so few test photos: "
        f"{statistics.mean(one.chance_of_cover for one in splits):.0%}); reported - test accuracy "
        f"{statistics.mean(one.reported - one.accuracy for one in splits):+.3f}"
    )


def _features(workspace: Workspace, dataset: ImageDataset, plan: FreezePlan) -> Array:
    return np.asarray(load_features(dataset, plan, workspace.cache_dir))


def _split(dataset: ImageDataset, features: Array) -> Split:
    is_test = np.array([image.split == "test" for image in dataset.images])
    labels = np.array([dataset.class_index(image) for image in dataset.images])
    rows = features.astype(np.float32)
    return Split(rows[~is_test], labels[~is_test], rows[is_test], labels[is_test], len(dataset.class_names))


def _keras(num_hidden: int, learning_rate: float, num_epochs: int) -> Callable[[Split, int], float]:
    def compete(split: Split, seed: int) -> float:
        import keras

        keras.utils.set_random_seed(seed)
        layers = [keras.Input(split.given.shape[1:]), keras.layers.Flatten()]
        if num_hidden:
            layers.append(keras.layers.Dense(num_hidden, activation="relu"))
        layers.append(keras.layers.Dense(split.num_classes, activation="softmax"))
        model = keras.Sequential(layers)
        model.compile(
            keras.optimizers.Adam(learning_rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
        )
        model.fit(split.given, split.given_labels, epochs=num_epochs, batch_size=32, verbose=0)
        scores = model.predict(split.test, verbose=0)
        return float(np.mean(scores.argmax(axis=1) == split.test_labels))

    return compete


def _logistic_regression(split: Split, seed: int) -> float:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    model.fit(split.given, split.given_labels)
    return float(model.score(split.test, split.test_labels))


def _softmax_regression(split: Split, seed: int) -> float:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer, StandardScaler

    model = make_pipeline(
        StandardScaler(with_std=False), Normalizer(), LogisticRegression(C=30, max_iter=2000)
    )
    model.fit(split.given, split.given_labels)
    return float(model.score(split.test, split.test_labels))


_RECIPES: dict[str, Recipe] = {
    "pooled, softmax, 10 epochs": ("linear", _keras(0, 1e-3, 10)),
    "pooled, softmax, 50 epochs": ("linear", _keras(0, 1e-3, 50)),
    "pooled and standardised, LogisticRegression": ("linear", _logistic_regression),
    "pooled, centred, unit length, softmax regression": ("linear", _softmax_regression),
    "map, Dense 100, softmax, 50 epochs": ("flattened_map", _keras(100, 1e-3, 50)),
    "map, Dense 1024, softmax, 1e-4, 10 epochs": ("flattened_map", _keras(1024, 1e-4, 10)),
}


if __name__ == "__main__":
    main()
