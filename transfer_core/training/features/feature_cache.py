"""Feature cache: run the frozen layers once per image and keep their outputs on disk. Safe to delete at any time."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from transfer_core.config import CacheDtype
from transfer_core.data.damage import damaged_photos
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.images.augmentation import Augmentation
from transfer_core.data.pixels import readable_batches
from transfer_core.data.records import ImageRecord
from transfer_core.errors import WorkspaceError
from transfer_core.files import check_shortage
from transfer_core.language import _
from transfer_core.training.features.constant_graph import constant_graph, num_graph_threads
from transfer_core.training.features.feature_files import (
    MOST_FILES,
    FeatureFile,
    NamedRows,
    find_files,
    merge_files,
    tidy_files,
    write_files,
)
from transfer_core.training.features.feature_table import FeatureTable
from transfer_core.training.freezing import FreezePlan
from transfer_core.training.resources import check_disk
from transfer_core.types import Array, ShouldStop

if TYPE_CHECKING:
    import keras

_FORMAT_VERSION = 3
# A stop waits for the current batch.
_BATCH_SIZE = 16
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
    prefix: keras.Model | None,
    cache_dir: Path,
    *,
    on_progress: Callable[[int], None],
    should_stop: ShouldStop,
    views: Sequence[View] | None = None,
    augmentation: Augmentation | None = None,
    dtype: CacheDtype = "float16",
) -> FeatureTable:
    """Return the activations at the boundary; compute the rows that are not in the cache.

    Args:
        dataset: The images.
        plan: Where the boundary is.
        prefix: The frozen layers; None if nothing is frozen: the features are then the pixels themselves.
        cache_dir: Folder of the cache.
        on_progress: Called with the number of rows done, first with the rows in the cache.
        should_stop: Called first and at each batch.
        views: The rows; every unchanged image of the dataset if not given.
        augmentation: How views are augmented.
        dtype: Precision of the activations.

    Returns:
        One row for each view, read from disk on access: activations, or uint8 pixels without a prefix.

    Raises:
        FeaturesStoppedError: If `should_stop` returned true.
        TrainingError: If the disk space is too small; the message says what would fit.
        DamagedPhotosError: If photos have been damaged or deleted since they were added. The features of all
            others are then in the cache.
        WorkspaceError: If writing fails, or the system has no descriptor left.
    """
    if should_stop():
        raise FeaturesStoppedError
    wanted = [View(image) for image in dataset.images] if views is None else list(views)
    augmentation = augmentation or Augmentation("off", ())
    names = [view.name(augmentation) for view in wanted]
    family = _family(plan, dtype)
    found = _Found(cache_dir, family, names)
    missing = {name: view for name, view in zip(names, wanted, strict=True) if name not in found.places}
    on_progress(len(wanted) - len(missing))
    if missing:
        num_bytes = len(missing) * _row_bytes(plan, prefix, dtype)
        check_disk(cache_dir, num_bytes, lambda: tidy_files(cache_dir, found.paths, max_bytes=0))
        rows = _compute(dataset, plan, prefix, list(missing.values()), augmentation, dtype)
        computed: set[str] = set()
        counted = _with_progress(rows, computed, len(wanted) - len(missing), on_progress, should_stop)
        write_files(cache_dir, family, counted)
        tidy_files(cache_dir, _Found(cache_dir, family, names).paths)
        damaged = [view.image for name, view in missing.items() if name not in computed]
        if damaged:
            raise damaged_photos({image.id: (image.name, image.class_name) for image in damaged})
    return _table(cache_dir, family, names)


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
    raise WorkspaceError(
        _("Some of the features were deleted while others were computed. Start the training again.")
    )


def _family(plan: FreezePlan, dtype: CacheDtype) -> str:
    """Return a key of everything but the pixels that features depend on: weights, boundary, size, dtype, threads."""
    backbone = plan.backbone
    facts: tuple[object, ...] = (_FORMAT_VERSION, backbone.image_size)
    if plan.boundary_layer is not None:
        # The number of threads changes the last bits; features must equal what the training would compute.
        facts += (
            backbone.name,
            backbone.weights.checksum,
            plan.boundary_layer,
            dtype,
            num_graph_threads(),
        )
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def _row_bytes(plan: FreezePlan, prefix: keras.Model | None, dtype: CacheDtype) -> int:
    if prefix is None:
        return plan.backbone.image_size**2 * 3
    return int(math.prod(prefix.output.shape[1:])) * np.dtype(dtype).itemsize


def _compute(
    dataset: ImageDataset,
    plan: FreezePlan,
    prefix: keras.Model | None,
    views: Sequence[View],
    augmentation: Augmentation,
    dtype: CacheDtype,
) -> Iterator[NamedRows]:
    """Yield names and rows of the views whose photos can be read."""

    def vary(position: int, pixels: Array) -> Array:
        view = views[position]
        return augmentation.view(pixels, view.image.id, view.number) if view.number else pixels

    forward = constant_graph(prefix) if prefix is not None else None
    paths = [dataset.image_path(view.image) for view in views]
    for positions, pixels in readable_batches(paths, plan.backbone.image_size, _BATCH_SIZE, vary):
        names = [views[position].name(augmentation) for position in positions]
        yield names, pixels if forward is None else forward(pixels).astype(dtype)


def _with_progress(
    batches: Iterator[NamedRows],
    computed: set[str],
    num_done: int,
    on_progress: Callable[[int], None],
    should_stop: ShouldStop,
) -> Iterator[NamedRows]:
    for names, rows in batches:
        if should_stop():
            raise FeaturesStoppedError
        computed.update(names)
        num_done += len(rows)
        on_progress(num_done)
        yield names, rows
