"""Feature cache: run the frozen layers once per image and keep their outputs on disk. Safe to delete at any time."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.runtime import load_keras
from transfer_core.config import CacheDtype
from transfer_core.data.damage import damaged_photos
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.images.augmentation import Augmentation
from transfer_core.data.parallel import map_ahead
from transfer_core.data.pixels import read_pixels
from transfer_core.data.records import ImageRecord
from transfer_core.errors import UnreadableImageError, WorkspaceError
from transfer_core.files import check_shortage
from transfer_core.language import _
from transfer_core.training.features.constant_graph import num_graph_threads
from transfer_core.training.features.feature_files import (
    MOST_FILES,
    POOLED,
    FeatureFile,
    NamedRows,
    find_files,
    merge_files,
    tidy_files,
    write_files,
)
from transfer_core.training.features.feature_table import FeatureTable
from transfer_core.training.features.frozen_network import engine_of, frozen_graph
from transfer_core.training.freezing import POOLING_LAYER, FreezePlan
from transfer_core.training.layer_facts import layer_facts
from transfer_core.training.resources import check_disk, has_room
from transfer_core.types import Array, ShouldStop

if TYPE_CHECKING:
    import keras

_FORMAT_VERSION = 3
# Rows that are written, and reported, together.
_BATCH_SIZE = 16
_SECONDS_IN_ONE_BATCH = 5.0
_MOST_READINGS = 5


class FeaturesStoppedError(Exception):
    """A feature extraction was stopped on request."""


@dataclass(frozen=True)
class View:
    """An image, or an augmented variant of it: the input of one row of features.

    Args:
        image: The image.
        number: 0 for the unchanged image; other numbers select a random variant.
    """

    image: ImageRecord
    number: int = 0

    def name(self, augmentation: Augmentation) -> str:
        """Return the name of the row. Equal pixels have equal names, whatever their label and dataset."""
        return f"{self.image.id}:{self.number}:{augmentation.key}" if self.number else self.image.id


def load_features(
    dataset: ImageDataset,
    plan: FreezePlan,
    cache_dir: Path,
    *,
    on_progress: Callable[[int], None] = lambda num_done: None,
    should_stop: ShouldStop = lambda: False,
    views: Sequence[View] | None = None,
    augmentation: Augmentation | None = None,
    dtype: CacheDtype = "float16",
    also: Sequence[FreezePlan] = (),
    network: keras.Model | None = None,
    is_mixed: bool = False,
) -> FeatureTable:
    """Return the activations at the boundary; compute the rows that are not in the cache.

    Args:
        dataset: The images.
        plan: Where the boundary is. Without a boundary nothing is frozen: the features are the pixels themselves.
        cache_dir: Folder of the cache.
        on_progress: Called with the number of rows done, first with the rows in the cache.
        should_stop: Called before each row. Rows computed before a stop are kept.
        views: The rows; every unchanged image of the dataset if not given.
        augmentation: How views are augmented.
        dtype: Precision of the activations. Pooled features, which are small, are always float32.
        also: Plans of the same backbone whose activations are needed later. Those of the computed rows come from the
            same forward pass, if the disk has room for them.
        network: A built network with the frozen layers, where the pretrained weights may be deleted.
        is_mixed: Whether missing rows are computed in float16; these rows have a key of their own.

    Returns:
        One row for each view, read from disk on access: activations, or uint8 pixels without a boundary.

    Raises:
        FeaturesStoppedError: If `should_stop` returned true.
        TrainingError: If the disk space is too small; the message says what would fit.
        DamagedPhotosError: If photos have been damaged or deleted since they were added. The features of all
            others are then in the cache.
        Float16OverflowError: If a number was too large for float16.
        WeightsError: If rows have to be computed, and the pretrained weights are missing or damaged.
        WorkspaceError: If writing fails, or the system has no descriptor left.
    """
    if should_stop():
        raise FeaturesStoppedError
    load_keras()
    wanted = [View(image) for image in dataset.images] if views is None else list(views)
    augmentation = augmentation or Augmentation("off", ())
    names = [view.name(augmentation) for view in wanted]
    found = _Found(cache_dir, _Family.of(plan, dtype).key, names)
    engine = ""
    if plan.boundary_layer is not None:
        engine = engine_of(
            plan.backbone, cache_dir, lambda: not found.places.keys() >= set(names), is_mixed=is_mixed
        )
    family = _Family.of(plan, dtype, engine)
    if engine:
        found = _Found(cache_dir, family.key, names)
    missing = {name: view for name, view in zip(names, wanted, strict=True) if name not in found.places}
    on_progress(len(wanted) - len(missing))
    if missing:
        check_disk(
            cache_dir,
            len(missing) * family.row_bytes,
            lambda: tidy_files(cache_dir, found.paths, max_bytes=0),
        )
        absent = {family: set(missing), **_also_absent(cache_dir, family, also, dtype, set(missing))}
        damaged: list[ImageRecord] = []
        num_left = len(missing)

        def count(num_rows: int) -> None:
            nonlocal num_left
            num_left -= num_rows
            on_progress(len(wanted) - num_left - len(damaged))

        with closing(_compute(dataset, missing, augmentation, list(absent), cache_dir, network)) as rows:
            write_files(cache_dir, _batches(rows, absent, damaged, count, should_stop))
        tidy_files(cache_dir, _Found(cache_dir, family.key, names).paths)
        if num_left:
            raise FeaturesStoppedError
        if damaged:
            raise damaged_photos({image.id: (image.name, image.class_name) for image in damaged})
    return _table(cache_dir, family.key, names)


def pooled_features(
    dataset: ImageDataset,
    backbone: Backbone,
    cache_dir: Path,
    *,
    images: Sequence[ImageRecord] | None = None,
    on_progress: Callable[[int], None] = lambda num_done: None,
    should_stop: ShouldStop = lambda: False,
) -> Array:
    """Return the features of a whole frozen backbone after pooling, shared with every training.

    Args:
        dataset: The images.
        backbone: The pretrained network.
        cache_dir: Folder of the cache.
        images: The rows; every image of the dataset if not given.
        on_progress: Called with the number of rows done.
        should_stop: Called before each row.

    Returns:
        `[num_images, num_features]`, float32.

    Raises:
        TransferStudioError: Whatever `load_features` raises.
        FeaturesStoppedError: If `should_stop` returned true.
    """
    views = None if images is None else [View(image) for image in images]
    return np.asarray(
        load_features(
            dataset,
            FreezePlan(backbone),
            cache_dir,
            on_progress=on_progress,
            should_stop=should_stop,
            views=views,
        )
    )


class _Found:
    """The wanted rows of a family on disk: the file and row of each name."""

    def __init__(self, cache_dir: Path, family: str, names: Sequence[str]) -> None:
        self.files: list[FeatureFile] = []
        self.places: dict[str, tuple[int, int]] = {}
        wanted = set(names)
        of_family = find_files(cache_dir, family)
        if len(of_family) > MOST_FILES:
            merge_files(cache_dir, family, of_family)
            of_family = find_files(cache_dir, family)
        for file in of_family:
            rows = {name: row for row, name in enumerate(file.names) if name in wanted}
            if rows.keys() - self.places.keys():
                for name, row in rows.items():
                    self.places.setdefault(name, (len(self.files), row))
                self.files.append(file)
        self.paths = {file.path for file in of_family}


def _table(cache_dir: Path, family: str, names: Sequence[str]) -> FeatureTable:
    for _reading in range(_MOST_READINGS):
        found = _Found(cache_dir, family, names)
        if not found.places.keys() >= set(names):
            break
        try:
            return FeatureTable(found.files, np.array([found.places[name] for name in names]))
        except (OSError, ValueError) as error:
            # Another process may merge files between listing and opening.
            check_shortage(error)
    raise WorkspaceError(_("Some features were deleted during the training. Start it again."))


@dataclass(frozen=True)
class _Family:
    """Rows that may stand in one file: of one backbone, boundary and precision.

    Args:
        backbone: The pretrained network.
        boundary: Layer that the rows are the output of; None for pixels.
        dtype: Precision of the rows.
        engine: What computed them; empty for TensorFlow.
    """

    backbone: Backbone
    boundary: str | None
    dtype: str
    engine: str = ""

    @classmethod
    def of(cls, plan: FreezePlan, dtype: CacheDtype, engine: str = "") -> _Family:
        boundary = plan.boundary_layer
        if boundary is None:
            return cls(plan.backbone, None, "uint8")
        return cls(plan.backbone, boundary, "float32" if boundary == POOLING_LAYER else dtype, engine)

    @property
    def key(self) -> str:
        """Return a key of everything but the pixels that the rows depend on."""
        facts: tuple[object, ...] = (_FORMAT_VERSION, self.backbone.image_size)
        if self.boundary is not None:
            # The number of threads changes the last bits; features must equal what the training would compute.
            facts += (
                self.backbone.name,
                self.backbone.weights.checksum,
                self.boundary,
                self.dtype,
                num_graph_threads(),
            )
        if self.engine:
            facts += (self.engine,)
        kind = POOLED if self.boundary == POOLING_LAYER else ""
        return kind + hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]

    @property
    def row_bytes(self) -> int:
        """Size of a row; at least, where the boundary is inside a block."""
        return self._num_values() * np.dtype(self.dtype).itemsize

    def _num_values(self) -> int:
        if self.boundary is None:
            return self.backbone.image_size**2 * 3
        if self.boundary == POOLING_LAYER:
            return self.backbone.num_features
        for block in self.backbone.blocks:
            if block.last_layer == self.boundary:
                return block.output_size**2 * block.num_channels
        return next(
            layer.num_activations for layer in layer_facts(self.backbone) if layer.name == self.boundary
        )


def _also_absent(
    cache_dir: Path, family: _Family, plans: Sequence[FreezePlan], dtype: CacheDtype, names: set[str]
) -> dict[_Family, set[str]]:
    """Return which of the rows other families lack, as far as the disk has room for them."""
    if family.boundary is None:
        return {}
    absent: dict[_Family, set[str]] = {}
    num_bytes = len(names) * family.row_bytes
    for other in {_Family.of(plan, dtype, family.engine) for plan in plans} - {family}:
        lacking = names - _Found(cache_dir, other.key, sorted(names)).places.keys()
        num_bytes += len(lacking) * other.row_bytes
        if other.boundary is not None and lacking and has_room(cache_dir, num_bytes):
            absent[other] = lacking
    return absent


def _compute(
    dataset: ImageDataset,
    views: Mapping[str, View],
    augmentation: Augmentation,
    families: Sequence[_Family],
    cache_dir: Path,
    network: keras.Model | None,
) -> Generator[tuple[str, View, list[Array] | None]]:
    """Yield the name of each view, the view and its row of each family; None if its photo cannot be read."""
    backbone = families[0].backbone
    boundaries = [family.boundary for family in families if family.boundary is not None]
    graph = frozen_graph(backbone, boundaries, cache_dir, families[0].engine, network) if boundaries else None

    def row(view: View) -> list[Array] | None:
        try:
            pixels = read_pixels(dataset.image_path(view.image), backbone.image_size)
        except UnreadableImageError:
            return None
        if view.number:
            pixels = augmentation.view(pixels, view.image.id, view.number)
        return graph.outputs(pixels) if graph else [pixels]

    with closing(map_ahead(row, views.values())) as rows:
        yield from zip(views, views.values(), rows, strict=True)


def _batches(
    rows: Iterator[tuple[str, View, list[Array] | None]],
    absent: Mapping[_Family, Collection[str]],
    damaged: list[ImageRecord],
    on_rows: Callable[[int], None],
    should_stop: ShouldStop,
) -> Iterator[dict[str, NamedRows]]:
    """Collect rows for the files; on a stop, yield those that are computed."""
    is_at_end = False
    while not is_at_end:
        num_rows, began_at = 0, time.monotonic()
        collected: dict[_Family, dict[str, Array]] = {family: {} for family in absent}
        while num_rows < _BATCH_SIZE and time.monotonic() - began_at < _SECONDS_IN_ONE_BATCH:
            row = None if should_stop() else next(rows, None)
            is_at_end = row is None
            if row is None:
                break
            num_rows += 1
            name, view, outputs = row
            if outputs is None:
                damaged.append(view.image)
                continue
            for family, output in zip(absent, outputs, strict=True):
                if name in absent[family]:
                    collected[family][name] = output.astype(family.dtype)
        if not num_rows:
            return
        on_rows(num_rows)
        yield {
            family.key: (list(of_family), np.stack(list(of_family.values())))
            for family, of_family in collected.items()
            if of_family
        }
