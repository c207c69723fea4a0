"""What the frozen layers make of each image: computed once, kept on disk, safe to delete at any time."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from transfer_core.data.batches import pixel_batches
from transfer_core.data.dataset import ImageDataset
from transfer_core.files import replacing
from transfer_core.training.freezing import FreezePlan

if TYPE_CHECKING:
    import keras

_FORMAT_VERSION = 1
_MAX_BYTES = 10 * 1024**3
_LEFTOVER_SECONDS = 24 * 60 * 60


class FeaturesStoppedError(Exception):
    """The person asked to stop before every image had been looked at."""


def load_features(
    dataset: ImageDataset,
    plan: FreezePlan,
    prefix: keras.Model | None,
    cache_dir: Path,
    *,
    on_progress: Callable[[int], None],
    should_stop: Callable[[], bool],
) -> np.ndarray[Any, Any]:
    """Return the activations at the boundary for every image, from the cache or computed now.

    Args:
        dataset: The images.
        plan: Where the boundary is.
        prefix: The frozen part; None when nothing is frozen, then the features are the pixels themselves.
        cache_dir: Where features are kept.
        on_progress: Called with the number of images done.
        should_stop: Asked before the first and at each batch.

    Returns:
        A memory-mapped array, one row for each image in the order of `dataset.images`; float16 activations,
        or uint8 pixels without a prefix.

    Raises:
        FeaturesStoppedError: If `should_stop` said so.
        UnreadableImageError: If an image of the dataset has been damaged since it came in.
        WorkspaceError: If the disk refuses.
    """
    if should_stop():
        raise FeaturesStoppedError
    path = cache_dir / f"{_key(dataset, plan)}.npy"
    if path.is_file():
        with suppress(OSError):
            os.utime(path)
        on_progress(len(dataset.images))
    else:
        with replacing(path) as beside:
            _compute(dataset, plan, prefix, beside, on_progress, should_stop)
        _tidy(cache_dir, in_use=path)
    return np.lib.format.open_memmap(path, mode="r")


def _key(dataset: ImageDataset, plan: FreezePlan) -> str:
    """Everything the features depend on: pixels, weights, boundary, size."""
    facts = (
        _FORMAT_VERSION,
        plan.backbone.name,
        plan.backbone.weights_sha256,
        plan.backbone.image_size,
        plan.boundary_layer,
        [image.id for image in dataset.images],
    )
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def _tidy(cache_dir: Path, in_use: Path) -> None:
    """Delete the features that were not used for longest beyond the budget, and what killed processes left."""
    found = []
    for path in cache_dir.glob("*.npy"):
        with suppress(OSError):
            facts = path.stat()
            found.append((path == in_use, facts.st_mtime, facts.st_size, path))
    num_bytes = 0
    for is_in_use, used_at, size, path in sorted(found, reverse=True):
        if path.name.startswith("."):
            is_wanted = time.time() - used_at < _LEFTOVER_SECONDS
        else:
            num_bytes += size
            is_wanted = is_in_use or num_bytes <= _MAX_BYTES
        if not is_wanted:
            # Another program may hold it open, or may have deleted it first.
            with suppress(OSError):
                path.unlink()


def _compute(
    dataset: ImageDataset,
    plan: FreezePlan,
    prefix: keras.Model | None,
    path: Path,
    on_progress: Callable[[int], None],
    should_stop: Callable[[], bool],
) -> None:
    forward = _constant_graph(prefix) if prefix is not None else None
    num_done = 0
    paths = [dataset.image_path(image) for image in dataset.images]
    # Written in a row: writing through a memory map ends the whole process when the disk is full.
    with path.open("wb") as file:
        for pixels in pixel_batches(paths, plan.backbone.image_size):
            if should_stop():
                raise FeaturesStoppedError
            features = pixels if forward is None else forward(pixels).astype(np.float16)
            if num_done == 0:
                _write_header(file, (len(paths), *features.shape[1:]), features.dtype)
            file.write(features.tobytes())
            num_done += len(features)
            on_progress(num_done)


def _write_header(file: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Begin a `.npy` file whose rows are still to come."""
    facts = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, facts)


def _constant_graph(prefix: keras.Model) -> Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]:
    """Fold the weights into the graph: TensorFlow then runs the frozen part about twice as fast."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    shape = (None, *prefix.input.shape[1:])
    traced = tf.function(lambda pixels: prefix(pixels, training=False))
    graph = convert_variables_to_constants_v2(traced.get_concrete_function(tf.TensorSpec(shape, tf.float32)))

    def forward(pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        result: np.ndarray[Any, Any] = graph(tf.constant(pixels, tf.float32))[0].numpy()
        return result

    return forward
