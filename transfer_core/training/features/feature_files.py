"""Files of the feature cache: written atomically, merged when they are many, evicted least recently used first.

A file is a `.npy` array followed by the names of its rows as JSON, so that one rename publishes both. Small files are
merged because each open file holds a descriptor, and macOS gives a process 256 of them.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from transfer_core.errors import WorkspaceError
from transfer_core.files import check_shortage, remove, replacing
from transfer_core.training.machine import free_disk
from transfer_core.types import Array

MOST_FILES = 32
# Beginning of the names of files that are small and needed again and again: evicted last.
POOLED = "pooled_"
_MAX_BYTES = 10 * 1024**3
_LEFTOVER_SECONDS = 24 * 60 * 60
_SECONDS_IN_ONE_FILE = 10.0
_MOST_READINGS = 5
_MERGE_CHUNK_BYTES = 8 * 1024**2
_FREE_BYTES_AFTER_MERGE = 200 * 10**6

NamedRows = tuple[Sequence[str], Array]


@dataclass(frozen=True)
class FeatureFile:
    """One complete file of the cache.

    Args:
        path: Path of the file.
        names: Name of each row.
        row_shape: Shape of one row.
        dtype: Dtype of the rows.
    """

    path: Path
    names: list[str]
    row_shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def row_bytes(self) -> int:
        """Size of one row, in bytes."""
        return math.prod(self.row_shape) * self.dtype.itemsize

    def rows(self) -> Array:
        """Map the array into memory. The mapping holds a descriptor until the array is garbage-collected.

        Raises:
            OSError: If the file has been deleted.
        """
        return np.lib.format.open_memmap(self.path, mode="r")


def find_files(cache_dir: Path, family: str) -> list[FeatureFile]:
    """Return every complete file of a family, and mark each as used now.

    Args:
        cache_dir: Folder of the cache.
        family: Key that all rows share; the file names begin with it.

    Raises:
        WorkspaceError: If the system has no descriptor left.
    """
    found: list[FeatureFile] = []
    for _reading in range(_MOST_READINGS):
        paths = sorted(cache_dir.glob(f"{family}-*.npy"))
        read = [_facts_of(path) for path in paths]
        found = [file for file in read if file is not None]
        # Another process may have merged a listed file: its rows are then in a file that was not listed.
        if all(path.exists() for path in paths):
            break
    return found


def _facts_of(path: Path) -> FeatureFile | None:
    """Read header and row names of a file; None if it has just been deleted or is damaged."""
    try:
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
            shape, _is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
            file.seek(math.prod(shape) * dtype.itemsize, os.SEEK_CUR)
            names = json.loads(file.read())
        if len(names) != shape[0]:
            return None
        with suppress(OSError):
            os.utime(path)
        return FeatureFile(path, names, shape[1:], dtype)
    except (OSError, ValueError, TypeError, IndexError) as error:
        check_shortage(error)
        return None


def write_files(cache_dir: Path, batches: Iterator[Mapping[str, NamedRows]]) -> None:
    """Write rows to files of about ten seconds of work each, so that a crash loses no more than that.

    Args:
        cache_dir: Folder of the cache; created if needed.
        batches: Rows with their names by family.

    Raises:
        WorkspaceError: If writing fails.
    """
    for first in batches:
        _write_some(cache_dir, chain([first], batches), _SECONDS_IN_ONE_FILE)


def _write_some(cache_dir: Path, batches: Iterator[Mapping[str, NamedRows]], most_seconds: float) -> None:
    """Write one file for each family until `most_seconds` have passed or no rows are left."""
    began_at = time.monotonic()
    files: dict[str, _RowsFile] = {}
    with ExitStack() as stack:
        for batch in batches:
            for family, (names, rows) in batch.items():
                if family not in files:
                    path = cache_dir / f"{family}-{secrets.token_hex(8)}.npy"
                    beside = stack.enter_context(replacing(path))
                    files[family] = stack.enter_context(_RowsFile(beside, rows))
                files[family].add(names, rows)
            if time.monotonic() - began_at > most_seconds:
                break


class _RowsFile:
    """A file that rows are added to; it is complete when the block ends without an error.

    Args:
        path: Path of the file.
        rows: Some rows, for shape and dtype.
    """

    def __init__(self, path: Path, rows: Array) -> None:
        # Not through a memory map: on a full disk that would kill the process with a bus error.
        self._file = path.open("wb")
        self._dtype = rows.dtype
        self._row_shape = rows.shape[1:]
        self._names: list[str] = []
        self._write_header()

    def __enter__(self) -> _RowsFile:
        return self

    def __exit__(self, error: type[BaseException] | None, *_more: object) -> None:
        with self._file:
            if error is None:
                self._file.write(json.dumps(self._names).encode())
                # NumPy pads its headers, so the final count fits in place.
                self._file.seek(0)
                self._write_header()

    def add(self, names: Sequence[str], rows: Array) -> None:
        self._file.write(rows.tobytes())
        self._names += names

    def _write_header(self) -> None:
        facts = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (len(self._names), *self._row_shape),
        }
        np.lib.format.write_array_header_1_0(self._file, facts)


def merge_files(cache_dir: Path, family: str, files: Sequence[FeatureFile]) -> None:
    """Merge the smallest files of a family until half of `MOST_FILES` are left.

    The old files are deleted after the merged file has been published, so no row is lost if the process is killed
    or another process merges the same files. Without enough disk space nothing is done.

    Args:
        cache_dir: Folder of the cache.
        family: Key that all rows share.
        files: All files of the family.
    """
    by_size = sorted(files, key=lambda file: len(file.names))
    merged = by_size[: len(files) - MOST_FILES // 2 + 1]
    num_bytes = sum(len(file.names) * file.row_bytes for file in merged)
    if free_disk(cache_dir) < num_bytes + _FREE_BYTES_AFTER_MERGE:
        return
    # Merging is optional, and another process may have merged these files first.
    with suppress(WorkspaceError):
        _write_some(cache_dir, ({family: rows} for rows in _rows_of(merged)), math.inf)
        for file in merged:
            # Another process may hold it open (Windows) or have deleted it.
            with suppress(OSError):
                file.path.unlink()


def remove_rows(cache_dir: Path, is_kept: Callable[[str], bool]) -> None:
    """Delete rows from all files. The other rows of a file move to a new one, unless the disk is full.

    Args:
        cache_dir: Folder of the cache, which may not exist.
        is_kept: Whether the rows of an image are kept, by its id.

    Raises:
        OSError: If a file cannot be deleted.
    """

    def is_wanted(name: str) -> bool:
        return is_kept(name.partition(":")[0])

    for path in cache_dir.glob("[!.]*.npy"):
        file = _facts_of(path)
        if file and all(map(is_wanted, file.names)):
            continue
        if file and any(map(is_wanted, file.names)):
            family = path.name.rpartition("-")[0]
            rows = ({family: rows} for rows in _rows_of([file], is_wanted))
            # Without room for the copy its rows are computed again when they are needed.
            with suppress(WorkspaceError):
                _write_some(cache_dir, rows, math.inf)
        remove(path)


def _rows_of(
    files: Sequence[FeatureFile], is_wanted: Callable[[str], bool] = lambda name: True
) -> Iterator[NamedRows]:
    """Yield the wanted rows of several files in chunks of a few megabytes, each name once."""
    seen: set[str] = set()
    for file in files:
        is_new = np.array([name not in seen and is_wanted(name) for name in file.names])
        seen.update(file.names)
        rows = file.rows()
        chunk = max(_MERGE_CHUNK_BYTES // max(file.row_bytes, 1), 1)
        positions = np.flatnonzero(is_new)
        for start in range(0, len(positions), chunk):
            chosen = positions[start : start + chunk]
            yield [file.names[position] for position in chosen], rows[chosen]


def tidy_files(cache_dir: Path, in_use: set[Path], max_bytes: int | None = None) -> None:
    """Delete the least recently used files beyond a budget, pooled features last, and leftovers of killed processes.

    Args:
        cache_dir: Folder of the cache.
        in_use: Files that are never deleted.
        max_bytes: Budget; 10 GB if not given.
    """
    budget = _MAX_BYTES if max_bytes is None else max_bytes
    found = []
    for path in cache_dir.glob("*.npy"):
        with suppress(OSError):
            facts = path.stat()
            is_pooled = path.name.startswith(POOLED)
            found.append((path in in_use, is_pooled, facts.st_mtime, facts.st_size, path))
    num_bytes = 0
    for is_in_use, _is_pooled, used_at, size, path in sorted(found, reverse=True):
        if path.name.startswith("."):
            is_wanted = time.time() - used_at < _LEFTOVER_SECONDS
        else:
            num_bytes += size
            is_wanted = is_in_use or num_bytes <= budget
        if not is_wanted:
            # Another process may hold it open (Windows) or have deleted it.
            with suppress(OSError):
                path.unlink()
