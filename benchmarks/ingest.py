"""Speed of ingesting and checking a folder of photos, compared with reading it with Keras.

Compare, on the same photos in turns, one pass of `keras.utils.image_dataset_from_directory`, at the size in which this
project stores most of them, with this project's ingest: decode completely, apply EXIF orientation, shrink, hash,
find problems, store without metadata, split. With `--phone` every photo is first enlarged to 4000 x 3000 pixels, the
size of a phone's photos.

Example:
    python -m benchmarks.ingest --data photos/flowers
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
from PIL import Image

from benchmarks.photos import Memory
from transfer_core.backbones.runtime import load_keras
from transfer_core.data.checks.photo_check import examine
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source
from transfer_core.data.sources.layout import labelled_files
from transfer_core.workspace import Workspace

_PHONE_SIZE = (4000, 3000)
_BATCH_SIZE = 32


@click.command()
@click.option(
    "--data", type=click.Path(exists=True, file_okay=False), required=True, help="Folder of class folders."
)
@click.option("--phone", is_flag=True, help="Enlarge every photo to 4000 x 3000 pixels first.")
@click.option("--limit", default=1000, show_default=True, help="Maximum number of photos.")
@click.option("--rounds", default=5, show_default=True)
def main(data: str, phone: bool, limit: int, rounds: int) -> None:
    """Print images per second, their ratio, and the growth of the memory."""
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        num_photos = _copy_photos(Path(data), photos, limit, _PHONE_SIZE if phone else None)
        click.echo(f"{num_photos} photos")
        load_keras()
        height, width = size = _stored_size(Workspace(Path(folder) / "first"), photos)
        click.echo(f"read by Keras, and stored by this project, at {width} x {height} pixels")
        _read_with_keras(photos, size)
        theirs, ours, growth = [], [], []
        for number in range(rounds):
            theirs.append(_seconds(lambda: _read_with_keras(photos, size)))
            workspace = Workspace(Path(folder) / f"workspace-{number}")
            with Memory() as memory:
                ours.append(_seconds(lambda workspace=workspace: _ingest(workspace, photos)))  # type: ignore[misc]
            growth.append(memory.growth)
    keras_rate, own_rate = (num_photos / statistics.median(times) for times in (theirs, ours))
    ratio = statistics.median(their / own for their, own in zip(theirs, ours, strict=True))
    click.echo(f"Keras reading the folder   {keras_rate:8.1f} images/s")
    click.echo(f"this project's ingest      {own_rate:8.1f} images/s   ratio {ratio:.2f}")
    click.echo(f"largest memory growth      {max(growth) / 1e6:8.0f} MB")


def _copy_photos(data: Path, target: Path, limit: int, size: tuple[int, int] | None) -> int:
    """Copy photos, evenly from all classes. Enlarged ones get sensor noise, or JPEG would compress them too well."""
    paths = sorted(path for path in data.glob("*/*") if path.is_file())
    chosen = paths[:: max(-(-len(paths) // limit), 1)]
    random = np.random.default_rng(1)
    for path in chosen:
        copy = target / path.parent.name / path.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if size is None:
            copy.write_bytes(path.read_bytes())
            continue
        with Image.open(path) as opened:
            pixels = np.asarray(opened.convert("RGB").resize(size, Image.Resampling.BICUBIC), dtype=np.int16)
        grain = random.integers(-6, 7, size=pixels.shape[:2], dtype=np.int16)[..., None]
        Image.fromarray((pixels + grain).clip(0, 255).astype(np.uint8)).save(copy, "JPEG", quality=88)
    return len(chosen)


def _stored_size(workspace: Workspace, photos: Path) -> tuple[int, int]:
    """Return the most common height and width of the stored photos."""
    dataset = add_files(create_dataset(workspace, "photos"), labelled_files(folder_source(photos)))
    sizes: Counter[tuple[int, int]] = Counter()
    for image in dataset.images:
        with Image.open(dataset.image_path(image)) as stored:
            sizes[stored.height, stored.width] += 1
    return sizes.most_common(1)[0][0]


def _read_with_keras(photos: Path, size: tuple[int, int]) -> None:
    import keras

    dataset = keras.utils.image_dataset_from_directory(
        photos, image_size=size, batch_size=_BATCH_SIZE, shuffle=False, verbose=False
    )
    for _images, _labels in dataset:
        pass


def _ingest(workspace: Workspace, photos: Path) -> None:
    examine(add_files(create_dataset(workspace, "photos"), labelled_files(folder_source(photos))))


def _seconds(function: Callable[[], None]) -> float:
    started_at = time.perf_counter()
    function()
    return time.perf_counter() - started_at


if __name__ == "__main__":
    main()
