"""Which measure tells photos of other things best from photos of the classes that were learned.

A model is trained on each set as the app recommends it; then every photo of the other sets is unknown to it. For each
measure the threshold is set so that it keeps a share of the validation photos; printed is the share of unknown photos
that it refuses. How the method was chosen is in docs/rejection.md.

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

from benchmarks.photos import dataset_of, machine
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
Measure = Callable[[ModelOutputs], Array]
Table = dict[str, dict[tuple[str, str], list[tuple[float, ...]]]]
_SHARES = (0.9, 0.95)


@dataclass(frozen=True)
class Learned:
    """What a measure may know: the looks at the training photos, their classes, and the last layer."""

    outputs: ModelOutputs
    labels: Array
    model: Any


@click.command()
@click.option(
    "--data",
    "folders",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    multiple=True,
    required=True,
    help="Folder of class folders; to be given at least twice.",
)
@click.option("--seeds", default=3, show_default=True, help="How many splits to try.")
@click.option("--backbone", default=DEFAULT_BACKBONE, show_default=True)
def main(folders: tuple[Path, ...], seeds: int, backbone: str) -> None:
    """Print the share of unknown photos that each measure refuses."""
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
                for measure, other, refused in _refused(workspace, sets, name, seed, backbone):
                    table.setdefault(measure, {}).setdefault((name, other), []).append(refused)
    _print(table)


def _refused(
    workspace: Workspace, sets: dict[str, ImageDataset], name: str, seed: int, backbone: str
) -> list[tuple[str, str, tuple[float, ...]]]:
    """Return the measure, the unknown set, and the shares of it that are refused."""
    dataset = sets[name].with_split(sets[name].validation_split, seed)
    config = recommend(dataset, get_backbone(backbone)).config.with_changes(seed=seed)
    folder = workspace.root / f"{name}-{seed}"
    train(dataset, config, folder, workspace.cache_dir)

    def look(found: ImageDataset, images: list[ImageRecord]) -> ModelOutputs:
        return cached_outputs(folder, config, found, images, workspace.cache_dir)

    train_images = dataset.images_in("train")
    labels = np.array([dataset.class_index(image) for image in train_images])
    learned = Learned(look(dataset, train_images), labels, load_model(folder))
    checked = look(dataset, dataset.images_in("validation"))
    unknown = {other: look(found, list(found.images)) for other, found in sets.items() if other != name}
    rows = []
    for measure, score in _measures(learned).items():
        kept = score(checked)
        for other, outputs in unknown.items():
            thresholds = [np.quantile(kept, 1 - share, method="lower") for share in _SHARES]
            refused = tuple(float((score(outputs) < threshold).mean()) for threshold in thresholds)
            rows.append((measure, other, refused))
    return rows


def _measures(learned: Learned) -> dict[str, Measure]:
    """Return every measure; larger is more like what was learned."""
    assert learned.outputs.features is not None
    features = _unit(learned.outputs)
    labels = np.unique(learned.labels)
    means = np.stack([features[learned.labels == label].mean(axis=0) for label in labels])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    taken = fit_rejection(learned.outputs.features, learned.outputs.features[:0])
    measures: dict[str, Measure] = {
        "highest probability": lambda outputs: outputs.probabilities.max(axis=1),
        "entropy of the probabilities": _entropy,
        "Mahalanobis, 32 components": lambda outputs: _mahalanobis(learned, outputs, 32),
        "Mahalanobis, 128 components": lambda outputs: _mahalanobis(learned, outputs, 128),
        "cosine to the nearest class mean": lambda outputs: (_unit(outputs) @ means.T).max(axis=1),
        "cosine, mean of the nearest 3 (taken)": lambda outputs: taken.familiarity(_unit(outputs)),
    }
    for count in (1, 5, 10):
        measures[f"cosine, mean of the nearest {count}"] = partial(_nearest, features, count)
    if "flatten" not in {layer.name for layer in learned.model.layers}:
        measures["largest logit"] = lambda outputs: _logits(learned.model, outputs).max(axis=1)
        measures["energy of the logits"] = lambda outputs: _energy(_logits(learned.model, outputs))
    return measures


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
    """What the new layers make of pooled features, before the softmax."""
    rows = np.asarray(outputs.features, np.float32)
    for layer in model.layers:
        if layer.name == "hidden_layer":
            kernel, bias = layer.get_weights()
            rows = np.maximum(rows @ kernel + bias, 0)
    kernel, bias = model.get_layer("new_layer").get_weights()
    logits: Array = rows @ kernel + bias
    return logits


def _energy(logits: Array) -> Array:
    """Liu, Wang, Owens and Li, 2020."""
    highest = logits.max(axis=1, keepdims=True)
    energies: Array = np.log(np.exp(logits - highest).sum(axis=1)) + highest[:, 0]
    return energies


def _mahalanobis(learned: Learned, outputs: ModelOutputs, num_components: int) -> Array:
    """Lee, Lee, Lee and Shin, 2018, on principal components: the whole space has more dimensions than photos."""
    from sklearn.covariance import LedoitWolf
    from sklearn.decomposition import PCA

    num_components = min(num_components, len(learned.labels) - 1)
    components = PCA(num_components, random_state=0).fit(learned.outputs.features)
    known = components.transform(learned.outputs.features)
    means = np.stack([known[learned.labels == label].mean(axis=0) for label in np.unique(learned.labels)])
    precision = LedoitWolf(assume_centered=True).fit(known - means[learned.labels]).precision_
    asked = components.transform(outputs.features)
    distances = [(((asked - mean) @ precision) * (asked - mean)).sum(axis=1) for mean in means]
    nearest: Array = -np.min(distances, axis=0)
    return nearest


def _print(table: Table) -> None:
    pairs = list(next(iter(table.values())))
    headings = [f"{name} x {other}"[:20] for name, other in pairs]
    for place, share in enumerate(_SHARES):
        click.echo(f"\nRefused of unknown photos, where {share:.0%} of the validation photos are kept")
        click.echo(f"{'':<38} {'mean':>6} {'least':>6}  " + "  ".join(headings))
        rows = {
            measure: [float(np.mean([refused[place] for refused in by_pair[pair]])) for pair in pairs]
            for measure, by_pair in table.items()
        }
        for measure, shares in sorted(rows.items(), key=lambda row: -float(np.mean(row[1]))):
            each = "  ".join(
                f"{share:>{len(title)}.1%}" for share, title in zip(shares, headings, strict=True)
            )
            click.echo(f"{measure:<38} {np.mean(shares):>6.1%} {min(shares):>6.1%}  {each}")


if __name__ == "__main__":
    main()
