"""Series of photos: which are found, which are not, and what they do to the validation accuracy.

First the series in each set are counted. Then every photo becomes a burst of 3 to 8 photos, as a hand moves between
two shots; in every fourth burst a piece of another photo of the class lies in the scene as well. A model is trained
on the bursts of half the photos, and tested on the other half. docs/photo-check.md and docs/splitting.md explain the
figures.

Example:
    python -m benchmarks.series --data photos/flowers --data photos/clothing --data photos/trash
"""

from __future__ import annotations

import io
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from msgspec.structs import replace
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from benchmarks.photos import dataset_of, folders_option, machine, timed
from transfer_core.backbones.registry import DEFAULT_BACKBONE, get_backbone
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.images.series import find_series
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.records import ImageRecord
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.evaluation.photo_series import keep_series_together
from transfer_core.training.advice import recommend
from transfer_core.training.features.feature_cache import pooled_features
from transfer_core.training.train import train
from transfer_core.workspace import Workspace

Array = np.ndarray[Any, Any]
Picture = Image.Image
_MOST_BASES_OF_CLASS = 40
_SEEDS = range(1, 6)


@dataclass(frozen=True)
class Motion:
    """How far the photos of a burst differ: shares of the sides, degrees, shares of the brightness, pixels, greys."""

    shift: float
    zoom: float
    turn: float
    tilt: float
    light: float
    blur: float
    noise: float


MOTIONS = {
    "small": Motion(shift=0.03, zoom=0.05, turn=2, tilt=0.01, light=0.08, blur=0.7, noise=3),
    "medium": Motion(shift=0.08, zoom=0.12, turn=5, tilt=0.04, light=0.15, blur=1.2, noise=5),
    "large": Motion(shift=0.15, zoom=0.25, turn=10, tilt=0.08, light=0.25, blur=1.5, noise=8),
}


@click.command()
@folders_option
@click.option(
    "--time/--no-time", "with_time", default=False, help="Also compare whole trainings, which takes minutes."
)
def main(folders: tuple[Path, ...], with_time: bool) -> None:
    """Print the share of photos in series, of series that are found, and accuracies with and without them."""
    click.echo(machine())
    with tempfile.TemporaryDirectory() as root:
        workspace = Workspace(Path(root))
        sets = {folder.name: dataset_of(workspace, folder) for folder in folders}
        click.echo("\nAs they are")
        for name, dataset in sets.items():
            _print_found(name, _examined(workspace, dataset))
        for title, motion in MOTIONS.items():
            click.echo(f"\nBursts, {title} motion")
            for name, dataset in sets.items():
                bursts = add_files(
                    create_dataset(workspace, name), _burst_files(dataset, motion, np.random.default_rng(7))
                )
                _print_bursts(name, workspace, bursts)
        if with_time:
            click.echo("\nThe search in a default training")
            for folder in folders:
                time_share, features_added = _costs(folder)
                click.echo(
                    f"{folder.name:<12} {time_share:.1%} of the time, {features_added:.1%} more features"
                )


def _examined(workspace: Workspace, dataset: ImageDataset) -> ImageDataset:
    features = _features(workspace, dataset)
    ids = [image.id for image in dataset.images]
    series = find_series(ids, [image.class_name for image in dataset.images], features)
    return dataset.with_series(dict(zip(ids, series, strict=True)))


def _features(workspace: Workspace, dataset: ImageDataset) -> Array:
    return pooled_features(dataset, get_backbone(DEFAULT_BACKBONE), workspace.cache_dir)


def _print_found(name: str, dataset: ImageDataset) -> None:
    sizes = Counter(image.series for image in dataset.images)
    share = np.mean([sizes[image.series] > 1 for image in dataset.images])
    click.echo(f"{name:<12} {share:>6.1%} of the photos in series, the largest of {max(sizes.values())}")
    for series, size in sizes.items():
        if size > 1:
            click.echo("    " + " ".join(image.name for image in dataset.images if image.series == series))


def _print_bursts(name: str, workspace: Workspace, bursts: ImageDataset) -> None:
    features = dict(zip([image.id for image in bursts.images], _features(workspace, bursts), strict=True))
    examined = _examined(workspace, bursts)
    found, wrong = _pairs_found(examined)
    click.echo(f"{name:<12} {found:>6.1%} of the pairs found, {wrong:>6.1%} of the photos with another scene")
    for title, dataset in (("before", bursts), ("after", examined)):
        scores = np.array([_accuracies(dataset, features, seed) for seed in _SEEDS])
        moved = np.mean([_share_moved(dataset, seed) for seed in _SEEDS])
        validation, test = scores.mean(axis=0)
        click.echo(
            f"    {title:<7} validation {validation:>6.1%}, photos of other scenes {test:>6.1%}, "
            f"gap {validation - test:>6.1%}; {moved:.1%} change sides when a tenth is added"
        )


def _pairs_found(dataset: ImageDataset) -> tuple[float, float]:
    """Return the share of pairs of a burst in one series, and of photos in a series with another burst."""
    bases = np.array([_base_of(image) for image in dataset.images])
    series = np.array([image.series for image in dataset.images])
    is_burst, is_found = bases[:, None] == bases[None], series[:, None] == series[None]
    upper = np.triu_indices(len(bases), 1)
    return float(is_found[upper][is_burst[upper]].mean()), float((is_found & ~is_burst).any(axis=1).mean())


def _accuracies(dataset: ImageDataset, features: dict[str, Array], seed: int) -> tuple[float, float]:
    """Return the accuracies on validation photos, and on the bursts of half the bases, which are left out."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    bases = np.unique([_base_of(image) for image in dataset.images])
    held_out = set(np.random.default_rng(seed).permutation(bases)[: len(bases) // 2])
    known = [image for image in dataset.images if _base_of(image) not in held_out]
    split = replace(dataset, images=tuple(known)).with_split(0.2, seed)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.001, max_iter=500))

    def rows(images: Sequence[ImageRecord]) -> tuple[Array, list[str]]:
        return np.stack([features[image.id] for image in images]), [image.class_name for image in images]

    model.fit(*rows(split.images_in("train")))
    others = [image for image in dataset.images if _base_of(image) in held_out]
    return float(model.score(*rows(split.images_in("validation")))), float(model.score(*rows(others)))


def _share_moved(dataset: ImageDataset, seed: int) -> float:
    """Return the share of photos that change sides when a tenth of the photos is added to the others."""
    order = np.random.default_rng(seed).permutation(len(dataset.images))
    images = [replace(dataset.images[place], number=number) for number, place in enumerate(order)]
    fewer = replace(dataset, images=tuple(images[: len(images) * 9 // 10]))
    before = {image.id: image.split for image in fewer.with_split(0.2, seed).images}
    after = replace(dataset, images=tuple(images)).with_split(0.2, seed)
    return float(np.mean([image.split != before[image.id] for image in after.images if image.id in before]))


def _base_of(image: ImageRecord) -> str:
    return image.name.split("-")[0]


def _burst_files(
    dataset: ImageDataset, motion: Motion, random: np.random.Generator
) -> Iterator[ImportedFile]:
    by_class: dict[str, list[ImageRecord]] = defaultdict(list)
    for image in dataset.images:
        by_class[image.class_name].append(image)
    for class_name, images in by_class.items():
        for place, image in enumerate(images[:_MOST_BASES_OF_CLASS]):
            scene = _opened(dataset, image)
            for number in range(int(random.integers(3, 9))):
                thing = None
                if number and place % 4 == 3:
                    thing = _opened(dataset, images[int(random.integers(len(images)))])
                content = _shot(scene, motion, random, thing)
                yield ImportedFile((class_name, f"{image.id}-{number}.jpg"), partial(bytes, content))


def _opened(dataset: ImageDataset, image: ImageRecord) -> Picture:
    picture = Image.open(dataset.image_path(image)).convert("RGB")
    picture.thumbnail((512, 512))
    return picture


def _shot(scene: Picture, motion: Motion, random: np.random.Generator, thing: Picture | None) -> bytes:
    """Return a JPEG of about three quarters of a scene, as a hand-held camera sees it."""
    if thing is not None:
        scene = _with_thing(scene, thing, random)

    def between(most: float, shape: tuple[int, ...] = ()) -> Array:
        return np.asarray(random.uniform(-most, most, shape))

    size = np.array(scene.size)
    angle = np.deg2rad(between(motion.turn))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * size * 0.39 * (1 + between(motion.zoom))
    corners = (corners + between(motion.tilt, (4, 2)) * size) @ turn + size * (
        0.5 + between(motion.shift, (2,))
    )
    margin = int(size.max() * 0.4)
    around = np.pad(np.asarray(scene), ((margin, margin), (margin, margin), (0, 0)), mode="symmetric")
    width, height = (size * 0.8).astype(int)
    photo = Image.fromarray(around).transform(
        (width, height),
        Image.Transform.PERSPECTIVE,
        _perspective(corners + margin, width, height),
        Image.Resampling.BICUBIC,
    )
    photo = ImageEnhance.Brightness(photo).enhance(1 + float(between(motion.light)))
    photo = photo.filter(ImageFilter.GaussianBlur(random.uniform(0, motion.blur) * max(photo.size) / 512))
    noise = random.normal(0, random.uniform(0, motion.noise), (height, width, 1))
    buffer = io.BytesIO()
    noisy = np.clip(np.asarray(photo) + noise, 0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(buffer, "JPEG", quality=int(random.integers(80, 95)))
    return buffer.getvalue()


def _perspective(corners: Array, width: int, height: int) -> list[float]:
    """Return Pillow's coefficients of the perspective that maps a rectangle to four corners."""
    rows, values = [], []
    for (x, y), (u, v) in zip([(0, 0), (width, 0), (width, height), (0, height)], corners, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return [float(value) for value in np.linalg.solve(np.array(rows, float), np.array(values))]


def _with_thing(scene: Picture, thing: Picture, random: np.random.Generator) -> Picture:
    """Put an oval piece of another photo into a scene."""
    share = random.uniform(0.25, 0.4)
    piece = thing.resize((int(scene.width * share), int(scene.height * share)))
    mask = Image.new("L", piece.size)
    ImageDraw.Draw(mask).ellipse([side * edge for edge in (0.08, 0.92) for side in piece.size], fill=255)
    corner = [
        int(random.uniform(0, whole - part)) for whole, part in zip(scene.size, piece.size, strict=True)
    ]
    scene = scene.copy()
    scene.paste(piece, (corner[0], corner[1]), mask.filter(ImageFilter.GaussianBlur(6)))
    return scene


def _costs(folder: Path) -> tuple[float, float]:
    """Return the costs of the search in a default training, beside one without: its time, and features it adds.

    Both are shares: of the time of that training, and of the features that are extracted without the search.
    """
    num_features = []
    for has_search in (True, False):
        with tempfile.TemporaryDirectory() as root:
            workspace = Workspace(Path(root))
            dataset = dataset_of(workspace, folder)
            config = recommend(dataset, get_backbone(DEFAULT_BACKBONE)).config
            if has_search:
                _features(workspace, dataset)
                search, dataset = timed(partial(keep_series_together, workspace, dataset))
            training, _result = timed(
                partial(train, dataset, config, workspace.root / "run", workspace.cache_dir)
            )
            if has_search:
                share = search / training
            num_features.append(
                sum(len(np.load(path, mmap_mode="r")) for path in workspace.cache_dir.glob("*.npy"))
            )
    return share, num_features[0] / num_features[1] - 1


if __name__ == "__main__":
    main()
