"""How accurate the default training is, and how much that depends on which photos are kept for validation.

Example:
    python -m benchmarks.accuracy --data photos/flowers --data photos/clothing
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

import click

from transfer_core.backbones.registry import DEFAULT_BACKBONE
from transfer_core.backbones.runtime import load_keras
from transfer_core.config import TrainingConfig
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources import folder_source
from transfer_core.training.train import train
from transfer_core.workspace import Workspace


@click.command()
@click.option(
    "--data",
    "folders",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    multiple=True,
    required=True,
    help="Folder of class folders; may be given several times.",
)
@click.option("--seeds", default=8, show_default=True, help="How many splits to try.")
@click.option("--backbone", default=DEFAULT_BACKBONE, show_default=True)
def main(folders: tuple[Path, ...], seeds: int, backbone: str) -> None:
    """Print the validation accuracy of every split, its mean and its spread."""
    load_keras()
    for folder in folders:
        with tempfile.TemporaryDirectory() as root:
            accuracies = _accuracies(Workspace(Path(root)), folder, seeds, backbone)
        each = " ".join(f"{accuracy:.3f}" for accuracy in accuracies)
        spread = statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0
        click.echo(
            f"{folder.name:<12} mean {statistics.mean(accuracies):.3f} ± {spread:.3f}   seeds 1-{seeds}: {each}"
        )


def _accuracies(workspace: Workspace, folder: Path, seeds: int, backbone: str) -> list[float]:
    dataset = add_files(create_dataset(workspace, folder.name), folder_source(folder))
    accuracies = []
    for seed in range(1, seeds + 1):
        config = TrainingConfig(backbone=backbone, seed=seed)
        split = dataset.with_split(dataset.validation_split, seed)
        best = train(split, config, workspace.root / "out", workspace.cache_dir).snapshot.best
        accuracies.append(best.val_accuracy if best else 0.0)
    return accuracies


if __name__ == "__main__":
    main()
