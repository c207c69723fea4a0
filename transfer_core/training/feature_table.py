"""Rows of features that lie in several files on disk and are read as they are needed."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from typing import Any

import numpy as np

Rows = np.ndarray[Any, Any]

# Linux maps up to two megabytes around each row that is read, so what is mapped is a multiple of this.
_MOST_BYTES_READ = 4 * 1024**2


class FeatureTable:
    """Behaves like one array whose rows are read from disk when they are asked for.

    Pages of a mapped file count as memory of the process until the system wants them back. So that a large
    table does not look like a full memory, it gives them back itself from time to time; they stay in the
    system's own cache as long as there is room.

    Args:
        parts: Memory-mapped arrays whose rows have the same shape and type.
        places: Part and row in it for each row of the table, `[num_rows, 2]`.
    """

    def __init__(self, parts: Sequence[Rows], places: Rows) -> None:
        self._parts = parts
        self._places = places
        self._num_bytes_read = 0
        self.shape = (len(places), *parts[0].shape[1:])
        self.dtype = parts[0].dtype

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, rows: Rows) -> Rows:
        """Return a copy of some rows.

        Args:
            rows: Their positions in the table.
        """
        places = self._places[rows]
        taken = np.empty((len(places), *self.shape[1:]), self.dtype)
        for part in np.unique(places[:, 0]):
            is_here = places[:, 0] == part
            taken[is_here] = self._parts[part][places[is_here, 1]]
        self._num_bytes_read += taken.nbytes
        if self._num_bytes_read > _MOST_BYTES_READ:
            self._give_pages_back()
        return taken

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Rows:
        """Return all rows, for those who know that they are few."""
        return self[np.arange(len(self))].astype(dtype or self.dtype)

    def _give_pages_back(self) -> None:
        self._num_bytes_read = 0
        for part in self._parts:
            mapped: object = part.base
            # Windows takes pages back by itself.
            if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
                mapped.madvise(mmap.MADV_DONTNEED)
