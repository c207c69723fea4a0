"""The files of the feature cache: whole or not there, found by what is in them, the oldest deleted first.

A file is an ordinary `.npy` array followed by the names of its rows as JSON, so that one move brings both into place.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from transfer_core.files import replacing

_MAX_BYTES = 10 * 1024**3
_LEFTOVER_SECONDS = 24 * 60 * 60
_SECONDS_IN_ONE_FILE = 10.0

Rows = np.ndarray[Any, Any]


@dataclass(frozen=True)
class FeatureFile:
    """One whole file of the cache.

    Args:
        path: Where it is.
        rows: Its array, memory-mapped.
        names: Of each row.
    """

    path: Path
    rows: Rows
    names: list[str]


def open_files(cache_dir: Path, family: str) -> Iterator[FeatureFile]:
    """Yield every whole file of a family, and note that it was used.

    Args:
        cache_dir: The folder of the cache.
        family: What all rows of a file have in common; the start of its name.
    """
    for path in sorted(cache_dir.glob(f"{family}-*.npy")):
        # Deleted a moment ago, or damaged from outside: as if it had never been there.
        with suppress(OSError, ValueError, TypeError):
            rows = np.lib.format.open_memmap(path, mode="r")
            with path.open("rb") as file:
                file.seek(rows.offset + rows.nbytes)
                names = json.loads(file.read())
            if len(names) == len(rows):
                with suppress(OSError):
                    os.utime(path)
                yield FeatureFile(path, rows, names)


def write_files(cache_dir: Path, family: str, names: Sequence[str], batches: Iterator[Rows]) -> None:
    """Write rows as they come, in files of about ten seconds of work: no more than that is ever lost.

    Args:
        cache_dir: The folder of the cache, made when it is not there.
        family: What all rows have in common.
        names: Of each row that will come.
        batches: The rows, a few at a time.

    Raises:
        WorkspaceError: If the disk refuses.
    """
    num_done = 0
    while num_done < len(names):
        with replacing(cache_dir / f"{family}-{secrets.token_hex(8)}.npy") as beside:
            num_done += _write_file(beside, names[num_done:], batches)


def _write_file(path: Path, names: Sequence[str], batches: Iterator[Rows]) -> int:
    """Write until the time for one file is over or all rows are there; return how many came."""
    began_at = time.monotonic()
    num_done = 0
    # Written in a row: writing through a memory map ends the whole process when the disk is full.
    with path.open("wb") as file:
        for rows in batches:
            if num_done == 0:
                _write_header(file, rows, len(names))
            file.write(rows.tobytes())
            num_done += len(rows)
            if time.monotonic() - began_at > _SECONDS_IN_ONE_FILE:
                break
        file.write(json.dumps(names[:num_done]).encode())
        # NumPy leaves room in a header for a larger count, so that it can be corrected in place.
        file.seek(0)
        _write_header(file, rows, num_done)
    return num_done


def _write_header(file: BinaryIO, rows: Rows, num_rows: int) -> None:
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
