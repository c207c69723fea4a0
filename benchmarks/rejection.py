"""Comparison of out-of-distribution scores: own new photos kept, other photos rejected.

On pooled features of the frozen backbone. One class is left out in turn; of the others, a few photos are known and the
rest are the own new photos of a person. Unknown are all photos of the other sets, and those of the class left out. The
threshold of each score is set by the known photos alone, each measured without itself. docs/rejection.md explains the
choice of the method.

Example:
    python -m benchmarks.rejection --data photos/flowers --data photos/clothing --data photos/trash
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.photos import dataset_of, folders_option, machine
from transfer_core.backbones.registry import DEFAULT_BACKBONE, get_backbone
from transfer_core.inference.rejection import DEFAULT_SHARE, Rejection, fit_rejection
from transfer_core.training.features.feature_cache import pooled_features
from transfer_core.workspace import Workspace

Array = np.ndarray[Any, Any]
# Fits on features and labels, and returns scores of other features; larger means more familiar.
Score = Callable[[Array, Array, Array], Array]
_NUM_FOLDS = 5
# A larger share of a set leaves too few own photos to measure on.
_MOST_KNOWN = 0.8
_CHOSEN = "cosine, 3 nearest, local scale (chosen)"


@dataclass(frozen=True)
class PhotoSet:
    """Pooled features, class and group of each photo of a set."""

    features: Array
    labels: Array
    groups: Array


@click.command()
@folders_option
@click.option("--seeds", default=2, show_default=True, help="How many draws of known photos to try.")
@click.option("--photos", "counts", default=(10, 15, 30), multiple=True, help="Known photos a class.")
@click.option("--share", default=DEFAULT_SHARE, show_default=True, help="Of own photos, to be kept.")
@click.option("--backbone", default=DEFAULT_BACKBONE, show_default=True)
def main(folders: tuple[Path, ...], seeds: int, counts: tuple[int, ...], share: float, backbone: str) -> None:
    """Print the shares of own photos kept and of unknown photos rejected, by score."""
    if len(folders) < 2:
        raise click.UsageError("One set has to be unknown: give --data at least twice.")
    click.echo(machine())
    with tempfile.TemporaryDirectory() as root:
        sets = {folder.name: _photo_set(Workspace(Path(root)), folder, backbone) for folder in folders}
    rows: dict[str, dict[str, list[tuple[float, ...]]]] = {}
    for name in sets:
        for count in counts:
            for seed in range(seeds):
                click.echo(f"{name}, {count} photos a class, draw {seed + 1}", err=True)
                for score, shares in _shares(sets, name, count, seed, share):
                    rows.setdefault(score, {}).setdefault(name, []).append(shares)
    _print(rows, share)


def _photo_set(workspace: Workspace, folder: Path, backbone: str) -> PhotoSet:
    dataset = dataset_of(workspace, folder)
    features = pooled_features(dataset, get_backbone(backbone), workspace.cache_dir)
    return PhotoSet(
        np.array(features),
        np.array([dataset.class_index(image) for image in dataset.images]),
        np.array([image.group or image.id for image in dataset.images]),
    )


def _shares(
    sets: dict[str, PhotoSet], name: str, count: int, seed: int, share: float
) -> Iterator[tuple[str, tuple[float, ...]]]:
    """Yield the score's name with the shares kept of own, rejected of other and rejected of unknown photos."""
    found = sets[name]
    if count > _MOST_KNOWN * np.bincount(found.labels).mean():
        return
    others = np.concatenate([other.features for other_name, other in sets.items() if other_name != name])
    for unknown in np.unique(found.labels):
        rng = np.random.default_rng([seed, unknown, count])
        rows = [
            np.flatnonzero(found.labels == label) for label in np.unique(found.labels) if label != unknown
        ]
        known = np.concatenate([rng.permutation(of_class)[:count] for of_class in rows])
        own = np.setdiff1d(np.flatnonzero(found.labels != unknown), known)
        # A near-duplicate of a known photo is no new photo.
        own = own[~np.isin(found.groups[own], found.groups[known])]
        queries = (found.features[own], others, found.features[found.labels == unknown])
        for score, (threshold, answers) in _answers(found, known, queries, share).items():
            kept, *rejected = [float((values >= threshold).mean()) for values in answers]
            yield score, (kept, *(1 - value for value in rejected))


def _answers(
    found: PhotoSet, known: Array, queries: tuple[Array, ...], share: float
) -> dict[str, tuple[float, list[Array]]]:
    """Return the threshold and the scores of the queries by the name of the score."""
    from sklearn.model_selection import StratifiedGroupKFold

    features, labels, groups = found.features[known], found.labels[known], found.groups[known]
    rejection, familiarities = fit_rejection(features, list(groups))
    answers = {_CHOSEN: (rejection, familiarities)}
    for count in (1, 3, 5):
        plain = Rejection(rejection.bank, num_neighbors=count)
        # Each photo is its own nearest neighbor, with a similarity of 1.
        without = Rejection(rejection.bank, num_neighbors=count + 1).familiarity(features)
        answers[f"cosine, {count} nearest"] = (plain, ((count + 1) * without - 1) / count)
    result = {
        name: (
            rejection.with_familiar_share(share, scores).min_familiarity,
            [rejection.familiarity(rows) for rows in queries],
        )
        for name, (rejection, scores) in answers.items()
    }
    folds = list(
        StratifiedGroupKFold(_NUM_FOLDS, shuffle=True, random_state=0).split(features, labels, groups)
    )
    for name, score in _SCORES.items():
        out_of_fold = np.empty(len(known))
        for inside, outside in folds:
            out_of_fold[outside] = score(features[inside], labels[inside], features[outside])
        num_below = int((1 - share) * (len(known) + 1) + 1e-9)
        threshold = float(np.sort(out_of_fold)[num_below - 1]) if num_below else -np.inf
        result[name] = (threshold, [score(features, labels, rows) for rows in queries])
    return result


def _unit(rows: Array) -> Array:
    units: Array = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return units


def _nearest_mean(features: Array, labels: Array, queries: Array) -> Array:
    means = np.stack([_unit(features)[labels == label].mean(axis=0) for label in np.unique(labels)])
    similarities: Array = (_unit(queries) @ _unit(means).T).max(axis=1)
    return similarities


def _whitened(features: Array, labels: Array) -> tuple[Callable[[Array], Array], Array]:
    """Return the map into the metric of shrinkage LDA on centred unit-length features, and the class means there."""
    from sklearn.covariance import ledoit_wolf_shrinkage

    center = features.mean(axis=0)
    rows = _unit(features - center)
    means = np.stack([rows[labels == label].mean(axis=0) for label in np.unique(labels)])
    within = rows - means[np.searchsorted(np.unique(labels), labels)]
    shrinkage = ledoit_wolf_shrinkage(within, assume_centered=True)
    floor = shrinkage * (within**2).mean()
    _left, singular, basis = np.linalg.svd(within, full_matrices=False)
    variances = (1 - shrinkage) * singular**2 / len(rows) + floor
    factors = np.sqrt(floor / variances) - 1

    def whiten(units: Array) -> Array:
        scaled: Array = (units + (units @ basis.T * factors) @ basis) / np.sqrt(floor)
        return scaled

    return lambda queries: whiten(_unit(queries - center)), whiten(means)


def _mahalanobis(features: Array, labels: Array, queries: Array) -> Array:
    """Return the negative distance to the nearest class mean (Lee, Lee, Lee and Shin, 2018)."""
    whiten, means = _whitened(features, labels)
    rows = whiten(queries)
    squares = (rows**2).sum(axis=1)[:, np.newaxis] - 2 * rows @ means.T + (means**2).sum(axis=1)
    nearest: Array = -squares.min(axis=1)
    return nearest


def _whitened_nearest(features: Array, labels: Array, queries: Array) -> Array:
    whiten, _means = _whitened(features, labels)
    similarities = _unit(whiten(queries)) @ _unit(whiten(features)).T
    nearest: Array = np.sort(similarities, axis=1)[:, -3:].mean(axis=1)
    return nearest


def _of_logits(kind: str, features: Array, labels: Array, queries: Array) -> Array:
    from scipy.special import log_softmax, logsumexp
    from sklearn.linear_model import LogisticRegression

    center = features.mean(axis=0)
    model = LogisticRegression(C=30, max_iter=300, tol=1e-3).fit(_unit(features - center), labels)
    logits = model.decision_function(_unit(queries - center))
    if logits.ndim == 1:
        logits = np.stack([-logits / 2, logits / 2], axis=1)
    scores: Array = {
        "largest": lambda: logits.max(axis=1),
        "energy": lambda: logsumexp(logits, axis=1),
        "probability": lambda: log_softmax(logits, axis=1).max(axis=1),
    }[kind]()
    return scores


_SCORES: dict[str, Score] = {
    "cosine to the nearest class mean": _nearest_mean,
    "Mahalanobis, shrunk covariance": _mahalanobis,
    "cosine, 3 nearest, in that metric": _whitened_nearest,
    "largest logit": partial(_of_logits, "largest"),
    "energy of the logits": partial(_of_logits, "energy"),
    "highest probability": partial(_of_logits, "probability"),
}


def _print(rows: dict[str, dict[str, list[tuple[float, ...]]]], share: float) -> None:
    """Print mean and least over the sets of own photos kept, others rejected, and unknown classes rejected."""
    click.echo(f"\nThresholds to keep {share:.0%} of own new photos; mean over the sets (least of the sets)")
    click.echo(f"{'':<42}{'own kept':>16}{'others rejected':>18}{'unknown class':>16}")
    means = {
        name: np.array([np.mean(cell, axis=0) for cell in cells.values()]) for name, cells in rows.items()
    }
    for name, by_set in sorted(means.items(), key=lambda row: -row[1].mean(axis=0)[2]):
        columns = [
            f"{mean:.1%} ({least:.0%})" for mean, least in zip(by_set.mean(0), by_set.min(0), strict=True)
        ]
        click.echo(f"{name:<42}{columns[0]:>16}{columns[1]:>18}{columns[2]:>16}")


if __name__ == "__main__":
    main()
