"""Differences of a training in mixed precision from the same training in float32.

Mixed precision is forced, so that the numbers can be compared on any machine. A processor computes float16 slowly: its
time says nothing about a GPU. Each line has the accuracy of both trainings and the largest difference of a probability.

Example:
    python -m benchmarks.mixed_precision --data photos/flowers --data photos/clothing
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from unittest.mock import patch

import click
import numpy as np

from benchmarks.photos import dataset_of, folders_option, machine
from transfer_core.backbones.registry import DEFAULT_BACKBONE, get_backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.training.advice import recommend
from transfer_core.training.out_of_fold import OutOfFold
from transfer_core.training.train import train
from transfer_core.workspace import Workspace


@click.command()
@folders_option
@click.option("--seeds", default=2, help="Trainings with each seed from 1 on.", show_default=True)
@click.option("--backbone", "name", default=DEFAULT_BACKBONE, help="Pretrained network.", show_default=True)
def main(folders: tuple[Path, ...], seeds: int, name: str) -> None:
    """Print a line for each set, training and seed."""
    click.echo(machine())
    backbone = get_backbone(name)
    with tempfile.TemporaryDirectory() as root:
        workspace = Workspace(Path(root))
        for folder in folders:
            dataset = dataset_of(workspace, folder)
            fine_tuned = TrainingConfig(
                name, 2, epochs=20, fine_tune_epochs=5, fine_tune_learning_rate=3e-4, dropout=0.0
            )
            configs = {
                "recommended": recommend(dataset, backbone).config,
                "linear, frozen": TrainingConfig(name, epochs=20),
                "two blocks at 0.0001": TrainingConfig(name, 2, epochs=20, fine_tune_epochs=5),
                "two blocks at 0.0003": fine_tuned,
            }
            for title, config in configs.items():
                for seed in range(1, seeds + 1):
                    plain, mixed = (
                        _trained(dataset, config.with_changes(seed=seed, mixed_precision=is_mixed), workspace)
                        for is_mixed in (False, True)
                    )
                    difference = np.abs(plain.probabilities - mixed.probabilities).max()
                    click.echo(
                        f"{folder.name}, {title}, seed {seed}: accuracy {plain.accuracy:.3f} in float32, "
                        f"{mixed.accuracy:.3f} in mixed precision; largest difference {difference:.4f}"
                    )


def _trained(dataset: ImageDataset, config: TrainingConfig, workspace: Workspace) -> OutOfFold:
    with (
        tempfile.TemporaryDirectory() as folder,
        patch("transfer_core.training.trainer.reason_against_mixed_precision", lambda: ""),
    ):
        found = train(dataset, config, Path(folder), workspace.cache_dir).out_of_fold
    assert found is not None
    return found


if __name__ == "__main__":
    main()
