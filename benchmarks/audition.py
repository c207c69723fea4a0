"""Rank correlation of the audition with complete trainings, compared with that of LogME.

For each set of photos and each backbone: the accuracy of the audition's probe, LogME (You et al., 2021, "LogME:
Practical Assessment of Pre-trained Models for Transfer Learning"), and the mean accuracy of trained heads on several
splits. Ranks are compared with Kendall's tau.

Example:
    python -m benchmarks.audition --data photos/flowers --data photos/trash --backbone efficientnet_lite0 ...
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.photos import dataset_of, folders_option, machine
from transfer_core.backbones.registry import get_backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.evaluation.audition import audition, probe_accuracies
from transfer_core.training.features.feature_cache import pooled_features
from transfer_core.training.train import train
from transfer_core.workspace import Workspace

Array = np.ndarray[Any, Any]
_MAX_STEPS = 50


@click.command()
@folders_option
@click.option("--backbone", "names", multiple=True, required=True, help="May be given several times.")
@click.option("--seeds", default=3, show_default=True, help="Splits that heads are trained on.")
def main(folders: tuple[Path, ...], names: tuple[str, ...], seeds: int) -> None:
    """Print a line per set and backbone, then the rank correlations."""
    from scipy.stats import kendalltau

    click.echo(machine())
    for folder in folders:
        with tempfile.TemporaryDirectory() as root:
            workspace = Workspace(Path(root))
            dataset = dataset_of(workspace, folder)
            rows = [_measure(workspace, dataset, name, seeds) for name in names]
        click.echo(f"{folder.name}: {len(dataset.images)} photos, {len(dataset.class_names)} classes")
        for name, (probe, logme, trained, probe_seconds, logme_seconds, seconds) in zip(
            names, rows, strict=True
        ):
            click.echo(
                f"  {name:24} probe {probe:.1%} ({probe_seconds:.2f} s)  LogME {logme:+.3f} ({logme_seconds:.2f} s)"
                f"  trained {trained:.1%}  audition in total {seconds:.1f} s"
            )
        probes, logmes, trainings = ([row[column] for row in rows] for column in range(3))
        click.echo(
            f"  agreement with the trainings: probe {kendalltau(probes, trainings).statistic:+.2f}, "
            f"LogME {kendalltau(logmes, trainings).statistic:+.2f}"
        )


def _measure(workspace: Workspace, dataset: ImageDataset, name: str, seeds: int) -> tuple[float, ...]:
    backbone = get_backbone(name)
    started_at = time.perf_counter()
    (score,) = audition(dataset, [backbone], workspace.cache_dir)
    seconds = time.perf_counter() - started_at
    features = pooled_features(dataset, backbone, workspace.cache_dir)
    labels = np.array([dataset.class_index(image) for image in dataset.images])
    probe_started_at = time.perf_counter()
    probe_accuracies(features, labels, [image.group or image.id for image in dataset.images])
    probe_seconds = time.perf_counter() - probe_started_at
    logme_started_at = time.perf_counter()
    evidence = log_maximum_evidence(features.astype(np.float64), labels)
    logme_seconds = time.perf_counter() - logme_started_at
    trained = statistics.mean(_trained(workspace, dataset, name, seed) for seed in range(seeds))
    return score.accuracy, evidence, trained, probe_seconds, logme_seconds, seconds


def _trained(workspace: Workspace, dataset: ImageDataset, name: str, seed: int) -> float:
    config = TrainingConfig(backbone=name, schedule="head_only", seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        split = dataset.with_split(0.3, seed)
        best = train(split, config, Path(folder), workspace.cache_dir).best
    return best.val_accuracy if best else 0.0


def log_maximum_evidence(features: Array, labels: Array) -> float:
    """Return LogME: the mean log evidence per image of one Bayesian linear model per class.

    Args:
        features: `[num_images, num_features]`.
        labels: Class index of each image, `[num_images]`.
    """
    left, singular, _right = np.linalg.svd(features, full_matrices=False)
    return float(
        np.mean([_evidence(left, singular, features.shape, labels == label) for label in np.unique(labels)])
    )


def _evidence(left: Array, singular: Array, shape: tuple[int, ...], is_class: Array) -> float:
    num_images, num_features = shape
    target = is_class.astype(np.float64)
    projected, spectrum = left.T @ target, singular**2
    outside = float(target @ target - projected @ projected)
    alpha = beta = 1.0
    for _step in range(_MAX_STEPS):
        shrunk = alpha + beta * spectrum
        weights = beta * singular * projected / shrunk
        length = float(weights @ weights)
        misfit = float((((alpha / shrunk) * projected) ** 2).sum()) + outside
        gamma = float((beta * spectrum / shrunk).sum())
        before = alpha / beta
        alpha, beta = gamma / (length + 1e-12), (num_images - gamma) / (misfit + 1e-12)
        if abs(alpha / beta - before) / before < 1e-3:
            break
    log_determinant = float(np.log(alpha + beta * spectrum).sum())
    log_determinant += (num_features - len(spectrum)) * np.log(alpha)
    evidence = num_features * np.log(alpha) + num_images * np.log(beta) - log_determinant
    evidence -= beta * misfit + alpha * length + num_images * np.log(2 * np.pi)
    return float(evidence) / (2 * num_images)


if __name__ == "__main__":
    main()
