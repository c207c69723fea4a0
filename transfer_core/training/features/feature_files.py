"""The files of the feature cache: whole or not there, found by what is in them, the oldest deleted first.

A file is an ordinary `.npy` array followed by the names of its rows as JSON, so that one move brings both into place.
Small files are merged, since each that is read from holds a descriptor and a system gives few of them (256 on macOS).
"""

from __future__ import annotations

import json
import math
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from transfer_core.errors import WorkspaceError
from transfer_core.files import check_shortage, replacing
from transfer_core.training.machine import free_disk
from transfer_core.types import Array

MOST_FILES = 32
_MAX_BYTES = 10 * 1024**3
_LEFTOVER_SECONDS = 24 * 60 * 60
_SECONDS_IN_ONE_FILE = 10.0
_MOST_READINGS = 5
_MERGE_CHUNK_BYTES = 8 * 1024**2
_FREE_BYTES_AFTER_MERGE = 200 * 10**6

NamedRows = tuple[Sequence[str], Array]


@dataclass(frozen=True)
class FeatureFile:
    """One whole file of the cache.

    Args:
        path: Where it is.
        names: Of each row.
        row_shape: Shape of one row.
        dtype: Type of its numbers.
    """

    path: Path
    names: list[str]
    row_shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def row_bytes(self) -> int:
        """Size of one row."""
        return math.prod(self.row_shape) * self.dtype.itemsize

    def rows(self) -> Array:
        """Map its array into memory. This takes a descriptor until the array is dropped.

        Raises:
            OSError: If it was deleted meanwhile.
        """
        return np.lib.format.open_memmap(self.path, mode="r")


def find_files(cache_dir: Path, family: str) -> list[FeatureFile]:
    """Return every whole file of a family, and note that it was used.

    Args:
        cache_dir: The folder of the cache.
        family: What all rows of a file have in common; the start of its name.

    Raises:
        WorkspaceError: If the system has no descriptor left.
    """
    found: list[FeatureFile] = []
    for _reading in range(_MOST_READINGS):
        paths = sorted(cache_dir.glob(f"{family}-*.npy"))
        read = [_facts_of(path) for path in paths]
        found = [file for file in read if file is not None]
        # A file may vanish because another process has merged it: its rows are in one that was not listed yet.
        if all(path.exists() for path in paths):
            break
    return found


def _facts_of(path: Path) -> FeatureFile | None:
    """Read what a file holds but for its rows; None when it was deleted a moment ago or is damaged."""
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


def write_files(cache_dir: Path, family: str, batches: Iterator[NamedRows]) -> None:
    """Write rows as they come, in files of about ten seconds of work: no more than that is ever lost.

    Args:
        cache_dir: The folder of the cache, made when it is not there.
        family: What all rows have in common.
        batches: The rows, a few at a time, with their names.

    Raises:
        WorkspaceError: If writing fails.
    """
    for first in batches:
        with replacing(_new_path(cache_dir, family)) as beside:
            _write_file(beside, chain([first], batches), _SECONDS_IN_ONE_FILE)


def merge_files(cache_dir: Path, family: str, files: Sequence[FeatureFile]) -> None:
    """Merge the smallest files of a family, until half of `MOST_FILES` are left.

    They are deleted only when the merged file is in its place, so no row is lost whenever the process is killed, or
    if another one merges the same files. Where the disk has no room for it, nothing is done.

    Args:
        cache_dir: The folder of the cache.
        family: What all rows have in common.
        files: All files of the family.
    """
    by_size = sorted(files, key=lambda file: len(file.names))
    merged = by_size[: len(files) - MOST_FILES // 2 + 1]
    num_bytes = sum(len(file.names) * file.row_bytes for file in merged)
    if free_disk(cache_dir) < num_bytes + _FREE_BYTES_AFTER_MERGE:
        return
    # Features can be read without it, too; another process may have merged these files first.
    with suppress(WorkspaceError):
        with replacing(_new_path(cache_dir, family)) as beside:
            _write_file(beside, _rows_of(merged), math.inf)
        for file in merged:
            # Another program may hold it open, or may have deleted it first.
            with suppress(OSError):
                file.path.unlink()


def _rows_of(files: Sequence[FeatureFile]) -> Iterator[NamedRows]:
    """Yield the rows of several files, a few megabytes at a time, each name once."""
    seen: set[str] = set()
    for file in files:
        is_new = np.array([name not in seen for name in file.names])
        seen.update(file.names)
        rows = file.rows()
        chunk = max(_MERGE_CHUNK_BYTES // max(file.row_bytes, 1), 1)
        places = np.flatnonzero(is_new)
        for start in range(0, len(places), chunk):
            chosen = places[start : start + chunk]
            yield [file.names[place] for place in chosen], rows[chosen]


def _new_path(cache_dir: Path, family: str) -> Path:
    return cache_dir / f"{family}-{secrets.token_hex(8)}.npy"


def _write_file(path: Path, batches: Iterator[NamedRows], most_seconds: float) -> None:
    """Write until the time for one file is over or there are no more rows."""
    began_at = time.monotonic()
    written: list[str] = []
    # Written in a row: writing through a memory map ends the whole process when the disk is full.
    with path.open("wb") as file:
        for names, rows in batches:
            if not written:
                _write_header(file, rows, 0)
            file.write(rows.tobytes())
            written += names
            if time.monotonic() - began_at > most_seconds:
                break
        file.write(json.dumps(written).encode())
        # NumPy leaves room in a header for a larger count, so that it can be corrected in place.
        file.seek(0)
        _write_header(file, rows, len(written))


def _write_header(file: BinaryIO, rows: Array, num_rows: int) -> None:
    facts = {
        "descr": np.lib.format.dtype_to_descr(rows.dtype),
        "fortran_order": False,
        "shape": (num_rows, *rows.shape[1:]),
    }
    np.lib.format.write_array_header_1_0(file, facts)


def tidy_files(cache_dir: Path, in_use: set[Path], max_bytes: int | None = None) -> None:
    """Delete what was not used for longest beyond the budget, and what killed processes left.

    Args:
        cache_dir: The folder of the cache.
        in_use: Files that stay, whatever the budget.
        max_bytes: The budget; the usual one of 10 GB if not given.
    """
    budget = _MAX_BYTES if max_bytes is None else max_bytes
    found = []
    for path in cache_dir.glob("*.npy"):
        with suppress(OSError):
            facts = path.stat()
            found.append((path in in_use, facts.st_mtime, facts.st_size, path))
    num_bytes = 0
    for is_in_use, used_at, size, path in sorted(found, reverse=True):
        if path.name.startswith("."):
            is_wanted = time.time() - used_at < _LEFTOVER_SECONDS
        else:
            num_bytes += size
            is_wanted = is_in_use or num_bytes <= budget
        if not is_wanted:
            # Another program may hold it open, or may have deleted it first.
            with suppress(OSError):
                path.unlink()
