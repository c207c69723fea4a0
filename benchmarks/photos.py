"""Shared by the benchmarks: photo folders as datasets, a description of the machine, timing and memory growth."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click
import psutil

from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.parallel import num_usable_cores
from transfer_core.data.sources.folder import folder_source
from transfer_core.data.sources.layout import labelled_files
from transfer_core.workspace import Workspace

Result = TypeVar("Result")

folders_option = click.option(
    "--data",
    "folders",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    multiple=True,
    required=True,
    help="Folder of class folders; may be given several times.",
)


def dataset_of(workspace: Workspace, folder: Path) -> ImageDataset:
    """Ingest a folder of class folders into a workspace."""
    return add_files(create_dataset(workspace, folder.name), labelled_files(folder_source(folder)))


def machine() -> str:
    """Return one line on the machine and its load."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    return (
        f"{num_usable_cores()} cores ({platform.machine()}, {platform.system()}), "
        f"{psutil.virtual_memory().total / 10**9:.0f} GB, Python {platform.python_version()}, "
        f"load before the start {load:.1f}"
    )


def timed(work: Callable[[], Result]) -> tuple[float, Result]:
    """Return the seconds that a function took, and its result."""
    started_at = time.perf_counter()
    result = work()
    return time.perf_counter() - started_at, result


class Memory:
    """Measure in `growth` the peak growth of this process's resident memory within the block, in bytes."""

    def __enter__(self) -> Memory:
        self._process = psutil.Process()
        self._before = self._process.memory_info().rss
        self.growth = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.05):
            self.growth = max(self.growth, self._process.memory_info().rss - self._before)
