"""Growth of the memory during a training, compared with the app's estimate.

Each training has its own process, because freed memory is not always returned to the system.

Example:
    python -m benchmarks.memory --data photos/flowers
"""

from __future__ import annotations

import multiprocessing
import tempfile
from pathlib import Path

import click

from benchmarks.photos import Memory, dataset_of, machine
from transfer_core.backbones.registry import DEFAULT_BACKBONE, get_backbone
from transfer_core.backbones.runtime import load_keras
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.training.freezing import FreezePlan
from transfer_core.training.resources import estimate_memory
from transfer_core.training.train import train
from transfer_core.workspace import Workspace


@click.command()
@click.option(
    "--data",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Folder of class folders.",
)
@click.option("--backbone", "backbones", multiple=True, default=(DEFAULT_BACKBONE,), show_default=True)
@click.option("--blocks", multiple=True, type=int, default=(0, 2, 5, 9), show_default=True, help="Unfrozen.")
@click.option(
    "--from-scratch", is_flag=True, help="Use random weights, for backbones whose weights are not available."
)
@click.option("--batch-size", "batch_sizes", multiple=True, type=int, default=(32,), show_default=True)
def main(
    folder: Path,
    backbones: tuple[str, ...],
    blocks: tuple[int, ...],
    batch_sizes: tuple[int, ...],
    from_scratch: bool,
) -> None:
    """Print the estimate and the growth of the memory for each training."""
    click.echo(machine())
    with tempfile.TemporaryDirectory() as root:
        workspace = Workspace(Path(root))
        dataset = dataset_of(workspace, folder)
        spawning = multiprocessing.get_context("spawn")
        for backbone in backbones:
            for num_blocks in (len(get_backbone(backbone).blocks),) if from_scratch else blocks:
                for batch_size in batch_sizes:
                    with spawning.Pool(1) as worker:
                        row = (workspace, dataset, backbone, num_blocks, batch_size, from_scratch)
                        estimated, growth = worker.apply(_measure, row)
                    click.echo(
                        f"{backbone:<20} {num_blocks:>2} blocks, batch {batch_size:>3}   estimated "
                        f"{estimated / 1e6:6.0f} MB, grew by {growth / 1e6:6.0f} MB, ratio {growth / estimated:.2f}"
                    )


def _measure(
    workspace: Workspace,
    dataset: ImageDataset,
    name: str,
    num_blocks: int,
    batch_size: int,
    from_scratch: bool,
) -> tuple[int, int]:
    load_keras()
    config = TrainingConfig(
        backbone=name,
        weights="random" if from_scratch else "imagenet",
        num_unfrozen_blocks=num_blocks,
        batch_size=batch_size,
        epochs=1,
        fine_tune_epochs=1,
    )
    estimated = estimate_memory(FreezePlan.of(config), config, dataset)
    with Memory() as memory:
        train(
            dataset, config, workspace.root / "out" / f"{name}-{num_blocks}-{batch_size}", workspace.cache_dir
        )
    return estimated, memory.growth


if __name__ == "__main__":
    main()
