"""Run the frozen layers with OpenVINO: an optional extra, taken by itself where it is installed and quicker.

Everything is computed in 32 bits, one image at a time, so that the outputs of an image do not depend on others. The
converted graphs are kept in the cache, because a conversion takes seconds.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import platform
import secrets
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from transfer_core.data.parallel import map_ahead, num_usable_cores
from transfer_core.errors import WorkspaceError
from transfer_core.files import move, read_json, remove, write_json
from transfer_core.training.features.constant_graph import ConstantGraph
from transfer_core.types import Array

# "0" switches the engine off.
OPENVINO_VARIABLE = "TRANSFER_STUDIO_OPENVINO"
_FOLDER = "engines"
_TRIALS_FILE = "trials.json"
_MODEL_FILES = ("model.xml", "model.bin")
_CHECKSUMS_FILE = "checksums.json"
_MOST_GRAPHS = 8
_TRIAL_SECONDS = 2.0
# A smaller gain may be chance, and is not worth a conversion for each boundary.
LEAST_GAIN = 1.1
_MOST_DIFFERENCE = 1e-3


class OpenVinoGraph:
    """A converted constant graph. Several threads may use it.

    Args:
        compiled: Compiled by OpenVINO.

    Attributes:
        output_shapes: Shape of each output of one image.
    """

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self.output_shapes = tuple(tuple(output.shape[1:]) for output in compiled.outputs)

    def outputs(self, image: Array) -> list[Array]:
        """Return each output of one image, float32.

        Args:
            image: Input without a batch axis, of any real dtype.
        """
        found = self._compiled.create_infer_request().infer([image[np.newaxis].astype(np.float32)])
        return [np.array(found[place][0]) for place in range(len(self.output_shapes))]

    def __call__(self, images: Array) -> Array:
        """Return the first output of a batch of at least one image, computed in parallel."""
        return np.stack([outputs[0] for outputs in map_ahead(self.outputs, images)])


@lru_cache(maxsize=1)
def openvino_version() -> str:
    """Return the version of OpenVINO; empty if it is not installed or switched off."""
    if os.environ.get(OPENVINO_VARIABLE) == "0":
        return ""
    try:
        return version("openvino")
    except PackageNotFoundError:
        return ""


def openvino_graph(cache_dir: Path, key: str, convert: Callable[[], ConstantGraph]) -> OpenVinoGraph:
    """Return the graph of a key, converted earlier or now.

    Args:
        cache_dir: Folder of the cache. A damaged graph in it is converted again.
        key: Identifies weights and boundaries.
        convert: Returns the graph to convert.

    Raises:
        RuntimeError: If OpenVINO cannot convert or run the graph.
    """
    facts = f"{key} {openvino_version()} {version('tensorflow')}"
    folder = cache_dir / _FOLDER / hashlib.sha256(facts.encode()).hexdigest()[:32]
    openvino = _openvino()
    core = openvino.Core()
    if _is_whole(folder):
        with suppress(RuntimeError):
            compiled = _compiled(core, core.read_model(folder / _MODEL_FILES[0]))
            with suppress(OSError):
                os.utime(folder)
            return OpenVinoGraph(compiled)
    graph = convert()
    model = openvino.convert_model(graph.function, input=[graph.input_shape])
    _keep(openvino, model, folder)
    return OpenVinoGraph(_compiled(core, model))


def known_gain(cache_dir: Path, key: str) -> float | None:
    """Return the result of an earlier trial on this machine; None without one.

    Args:
        cache_dir: Folder of the cache.
        key: Identifies the network.
    """
    return _trials(cache_dir).get(_trial_key(key))


def try_openvino(
    cache_dir: Path, key: str, ours: Callable[[], ConstantGraph], theirs: Callable[[], OpenVinoGraph]
) -> float:
    """Return how many times as quick OpenVINO is, tried for two seconds and remembered; 0 if it cannot be used.

    Args:
        cache_dir: Folder of the cache.
        key: Identifies the network.
        ours: Returns the constant graph.
        theirs: Returns the same graph, converted.
    """
    try:
        gain = _gain(ours(), theirs())
    except RuntimeError:
        gain = 0.0
    with suppress(WorkspaceError):
        write_json(cache_dir / _FOLDER / _TRIALS_FILE, {**_trials(cache_dir), _trial_key(key): gain})
    return gain


def _trial_key(key: str) -> str:
    machine = f"{platform.node()} {platform.processor()} {num_usable_cores()}"
    return f"{key} {openvino_version()} {version('tensorflow')} {machine}"


def _trials(cache_dir: Path) -> dict[str, float]:
    try:
        found = read_json(cache_dir / _FOLDER / _TRIALS_FILE)
        return {key: float(gain) for key, gain in found.items()}
    except (WorkspaceError, ValueError, TypeError):
        return {}


def _gain(ours: ConstantGraph, theirs: OpenVinoGraph) -> float:
    """Return the ratio of the rates, measured in turns; 0 if the outputs differ."""
    shape = (2 * num_usable_cores(), *ours.input_shape[1:])
    images = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    # The first run of each optimises its graph.
    if not np.allclose(ours(images), theirs(images), rtol=_MOST_DIFFERENCE, atol=_MOST_DIFFERENCE):
        return 0.0
    our_seconds = their_seconds = 0.0
    while our_seconds + their_seconds < _TRIAL_SECONDS:
        our_seconds += _seconds_of(ours, images)
        their_seconds += _seconds_of(theirs, images)
    return our_seconds / their_seconds


def _seconds_of(forward: Callable[[Array], Array], images: Array) -> float:
    began_at = time.perf_counter()
    forward(images)
    return time.perf_counter() - began_at


def _openvino() -> Any:
    # Its statistics are sent unless a file forbids it, from the import on. Without the package it uses a stub.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    return importlib.import_module("openvino")


def _compiled(core: Any, model: Any) -> Any:
    # A stream for each core, with one thread each: bits do not depend on the number of threads.
    num_cores = num_usable_cores()
    hints = {
        "INFERENCE_PRECISION_HINT": "f32",
        "NUM_STREAMS": str(num_cores),
        "INFERENCE_NUM_THREADS": str(num_cores),
    }
    return core.compile_model(model, "CPU", hints)


def _is_whole(folder: Path) -> bool:
    try:
        return bool(json.loads((folder / _CHECKSUMS_FILE).read_bytes()) == _checksums(folder))
    except (OSError, ValueError):
        return False


def _checksums(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in _MODEL_FILES}


def _keep(openvino: Any, model: Any, folder: Path) -> None:
    """Write a converted graph beside its place and move it in; delete those unused for longest."""
    beside = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}")
    # A full disk costs another conversion next time, nothing else.
    with suppress(OSError, RuntimeError):
        try:
            beside.mkdir(parents=True)
            openvino.save_model(model, beside / _MODEL_FILES[0], compress_to_fp16=False)
            (beside / _CHECKSUMS_FILE).write_text(json.dumps(_checksums(beside)))
            remove(folder)
            move(beside, folder)
            kept = sorted(
                (path for path in folder.parent.iterdir() if path.is_dir()),
                key=lambda path: path.stat().st_mtime,
            )
            for old in kept[:-_MOST_GRAPHS]:
                remove(old)
        finally:
            remove(beside)
