"""Prediction speed of a trained model: a single photo, and many photos compared with the forward pass alone.

Train a model with the recommended settings first. The time for one photo depends on the machine; the rate of many is
a ratio within one run: photos per second from files to answers, divided by those of the forward pass alone, as a
graph with constant weights, on decoded photos.

Example:
    python -m benchmarks.predict --data photos/flowers
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

import click
import numpy as np

from benchmarks.photos import dataset_of, machine, timed
from transfer_core.backbones.registry import DEFAULT_BACKBONE, get_backbone
from transfer_core.data.pixels import pixel_batches
from transfer_core.data.sources.folder import folder_source
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.inference.answers import answer_files
from transfer_core.inference.predictor import Predictor
from transfer_core.training.advice import recommend
from transfer_core.training.features.constant_graph import ConstantGraph
from transfer_core.training.train import train
from transfer_core.workspace import Workspace

_BATCH_SIZE = 32
_NUM_WARM_UP = 5


@click.command()
@click.option(
    "--data", "folder", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True
)
@click.option("--backbone", default=DEFAULT_BACKBONE, show_default=True)
@click.option("--photos", "num_photos", default=200, show_default=True, help="Number of photos.")
@click.option("--repeats", default=5, show_default=True, help="Repeats of each measurement.")
def main(folder: Path, backbone: str, num_photos: int, repeats: int) -> None:
    """Print the time for one photo, and the rate for many compared with the forward pass alone."""
    click.echo(machine())
    with tempfile.TemporaryDirectory() as root:
        workspace = Workspace(Path(root))
        dataset = dataset_of(workspace, folder)
        config = recommend(dataset, get_backbone(backbone)).config
        train(dataset, config, workspace.root / "out", workspace.cache_dir)
        predictor = Predictor.load(workspace.root / "out")
    files = list(folder_source(folder))[:num_photos]
    click.echo(f"one photo, from its bytes: {1000 * _seconds_of_one(predictor, files, repeats):.1f} ms")
    alone, whole = _seconds_of_many(predictor, files, repeats)
    click.echo(
        f"{len(files)} photos: forward pass alone {len(files) / alone:.1f} a second, "
        f"from files to answers {len(files) / whole:.1f} a second, ratio {alone / whole:.2f}  (goal 0.8)"
    )


def _seconds_of_one(predictor: Predictor, files: list[ImportedFile], repeats: int) -> float:
    contents = [file.read() for file in files[: 10 * repeats]]
    for content in contents[:_NUM_WARM_UP]:
        predictor.predict(content)
    return median(timed(lambda content=content: predictor.predict(content))[0] for content in contents)


def _seconds_of_many(predictor: Predictor, files: list[ImportedFile], repeats: int) -> tuple[float, float]:
    """Return the median seconds of the forward pass alone and of the whole pipeline, measured in turns."""
    import keras

    forward = ConstantGraph(keras.Model(predictor.model.input, predictor.model.outputs[-1]))
    paths = [file.location for file in files if file.location]
    batches: list[np.ndarray] = list(pixel_batches(paths, predictor.image_size, _BATCH_SIZE))
    forward(batches[0])
    answer_files(predictor, files[:_BATCH_SIZE])
    forward_seconds, pipeline_seconds = [], []
    for _repeat in range(repeats):
        forward_seconds.append(timed(lambda: [forward(batch) for batch in batches])[0])
        pipeline_seconds.append(timed(lambda: answer_files(predictor, files))[0])
    return median(forward_seconds), median(pipeline_seconds)


if __name__ == "__main__":
    main()
