"""Comparison of out-of-distribution scores: the share of unknown photos that each rejects.

Train a model on each set with the recommended settings; all photos of the other sets are out of distribution. The
threshold of each score accepts a fixed share of the validation photos. docs/rejection.md explains the choice of the
method.

Example:
    python -m benchmarks.rejection --data photos/flowers --data photos/clothing --data photos/trash
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.photos import dataset_of, folders_option, machine
from transfer_core.backbones.registry import DEFAULT_BACKBONE, get_backbone
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import ImageRecord
from transfer_core.inference.cached_outputs import cached_outputs
from transfer_core.inference.predictor import ModelOutputs, load_model
from transfer_core.inference.rejection import fit_rejection
from transfer_core.training.advice import recommend
from transfer_core.training.train import train
from transfer_core.workspace import Workspace

Array = np.ndarray[Any, Any]
Score = Callable[[ModelOutputs], Array]
Table = dict[str, dict[tuple[str, str], list[tuple[float, ...]]]]
_SHARES = (0.9, 0.95)


@dataclass(frozen=True)
class TrainingOutputs:
    """Outputs and labels of the training photos, and the trained model."""

    outputs: ModelOutputs
    labels: Array
    model: Any


@click.command()
@folders_option
@click.option("--seeds", default=3, show_default=True, help="How many splits to try.")
@click.option("--backbone", default=DEFAULT_BACKBONE, show_default=True)
def main(folders: tuple[Path, ...], seeds: int, backbone: str) -> None:
    """Print the share of unknown photos that each score rejects."""
    if len(folders) < 2:
        raise click.UsageError("One set has to be unknown: give --data at least twice.")
    click.echo(machine())
    table: Table = {}
    with tempfile.TemporaryDirectory() as root:
        workspace = Workspace(Path(root))
        sets = {folder.name: dataset_of(workspace, folder) for folder in folders}
        for name in sets:
            for seed in range(1, seeds + 1):
                click.echo(f"{name}, split {seed}", err=True)
                for score_name, other, rejected in _rejected(workspace, sets, name, seed, backbone):
                    table.setdefault(score_name, {}).setdefault((name, other), []).append(rejected)
    _print(table)


def _rejected(
    workspace: Workspace, sets: dict[str, ImageDataset], name: str, seed: int, backbone: str
) -> list[tuple[str, str, tuple[float, ...]]]:
    """Return score name, unknown set, and its rejected share at each threshold, for every pair."""
    dataset = sets[name].with_split(sets[name].validation_split, seed)
    config = recommend(dataset, get_backbone(backbone)).config.with_changes(seed=seed)
    folder = workspace.root / f"{name}-{seed}"
    train(dataset, config, folder, workspace.cache_dir)

    def outputs_of(photo_set: ImageDataset, images: list[ImageRecord]) -> ModelOutputs:
        return cached_outputs(folder, config, photo_set, images, workspace.cache_dir)

    train_images = dataset.images_in("train")
    labels = np.array([dataset.class_index(image) for image in train_images])
    trained = TrainingOutputs(outputs_of(dataset, train_images), labels, load_model(folder))
    validation = outputs_of(dataset, dataset.images_in("validation"))
    unknown = {other: outputs_of(found, list(found.images)) for other, found in sets.items() if other != name}
    rows = []
    for score_name, score in _scores(trained).items():
        validation_scores = score(validation)
        for other, outputs in unknown.items():
            thresholds = [np.quantile(validation_scores, 1 - share, method="lower") for share in _SHARES]
            rejected = tuple(float((score(outputs) < threshold).mean()) for threshold in thresholds)
            rows.append((score_name, other, rejected))
    return rows


def _scores(trained: TrainingOutputs) -> dict[str, Score]:
    """Return every score by its name; larger means closer to the training photos."""
    assert trained.outputs.features is not None
    features = _unit(trained.outputs)
    labels = np.unique(trained.labels)
    means = np.stack([features[trained.labels == label].mean(axis=0) for label in labels])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    rejection = fit_rejection(trained.outputs.features, trained.outputs.features[:0])
    scores: dict[str, Score] = {
        "highest probability": lambda outputs: outputs.probabilities.max(axis=1),
        "entropy of the probabilities": _entropy,
        "Mahalanobis, 32 components": lambda outputs: _mahalanobis(trained, outputs, 32),
        "Mahalanobis, 128 components": lambda outputs: _mahalanobis(trained, outputs, 128),
        "cosine to the nearest class mean": lambda outputs: (_unit(outputs) @ means.T).max(axis=1),
        "cosine, mean of the nearest 3 (chosen)": lambda outputs: rejection.familiarity(_unit(outputs)),
    }
    for count in (1, 5, 10):
        scores[f"cosine, mean of the nearest {count}"] = partial(_nearest, features, count)
    if "flatten" not in {layer.name for layer in trained.model.layers}:
        scores["largest logit"] = lambda outputs: _logits(trained.model, outputs).max(axis=1)
        scores["energy of the logits"] = lambda outputs: _energy(_logits(trained.model, outputs))
    return scores


def _unit(outputs: ModelOutputs) -> Array:
    rows = np.asarray(outputs.features, np.float32)
    units: Array = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return units


def _nearest(features: Array, count: int, outputs: ModelOutputs) -> Array:
    means: Array = np.sort(_unit(outputs) @ features.T, axis=1)[:, -count:].mean(axis=1)
    return means


def _entropy(outputs: ModelOutputs) -> Array:
    sums: Array = (outputs.probabilities * np.log(outputs.probabilities + 1e-12)).sum(axis=1)
    return sums


def _logits(model: Any, outputs: ModelOutputs) -> Array:
    """Return the logits of the head for pooled features."""
    rows = np.asarray(outputs.features, np.float32)
    for layer in model.layers:
        if layer.name == "hidden_layer":
            kernel, bias = layer.get_weights()
            rows = np.maximum(rows @ kernel + bias, 0)
    kernel, bias = model.get_layer("new_layer").get_weights()
    logits: Array = rows @ kernel + bias
    return logits


def _energy(logits: Array) -> Array:
    """Return the log-sum-exp of the logits, the negative energy (Liu, Wang, Owens and Li, 2020)."""
    highest = logits.max(axis=1, keepdims=True)
    energies: Array = np.log(np.exp(logits - highest).sum(axis=1)) + highest[:, 0]
    return energies


def _mahalanobis(trained: TrainingOutputs, outputs: ModelOutputs, num_components: int) -> Array:
    """Return the negative Mahalanobis distance to the nearest class mean (Lee, Lee, Lee and Shin, 2018).

    Principal components come first, since there are more features than photos.
    """
    from sklearn.covariance import LedoitWolf
    from sklearn.decomposition import PCA

    num_components = min(num_components, len(trained.labels) - 1)
    components = PCA(num_components, random_state=0).fit(trained.outputs.features)
    known = components.transform(trained.outputs.features)
    means = np.stack([known[trained.labels == label].mean(axis=0) for label in np.unique(trained.labels)])
    precision = LedoitWolf(assume_centered=True).fit(known - means[trained.labels]).precision_
    features = components.transform(outputs.features)
    distances = [(((features - mean) @ precision) * (features - mean)).sum(axis=1) for mean in means]
    nearest: Array = -np.min(distances, axis=0)
    return nearest


def _print(table: Table) -> None:
    pairs = list(next(iter(table.values())))
    headings = [f"{name} x {other}"[:20] for name, other in pairs]
    for index, share in enumerate(_SHARES):
        click.echo(f"\nShare of unknown photos rejected, with {share:.0%} of the validation photos accepted")
        click.echo(f"{'':<38} {'mean':>6} {'least':>6}  " + "  ".join(headings))
        rows = {
            score_name: [float(np.mean([rejected[index] for rejected in by_pair[pair]])) for pair in pairs]
            for score_name, by_pair in table.items()
        }
        for score_name, shares in sorted(rows.items(), key=lambda row: -float(np.mean(row[1]))):
            each = "  ".join(
                f"{share:>{len(title)}.1%}" for share, title in zip(shares, headings, strict=True)
            )
            click.echo(f"{score_name:<38} {np.mean(shares):>6.1%} {min(shares):>6.1%}  {each}")


if __name__ == "__main__":
    main()
