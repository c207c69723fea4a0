"""Array of features that lie in several files on disk and are read as they are needed."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from typing import Any

import numpy as np

from transfer_core.errors import WorkspaceError
from transfer_core.files import check_shortage
from transfer_core.language import _
from transfer_core.training.features.feature_files import MOST_FILES, FeatureFile
from transfer_core.types import Array

# Linux maps up to two megabytes around each row that is read, so what is mapped is a multiple of this.
_MOST_BYTES_READ = 4 * 1024**2


class FeatureTable:
    """Behaves like one array whose rows are read from disk when they are asked for.

    Pages of a mapped file count as memory of the process until the system wants them back. So that a large
    table does not look like a full memory, it gives them back itself from time to time; they stay in the
    system's own cache as long as there is room.

    No more than `MOST_FILES` files are mapped at one time: each holds a descriptor.

    Args:
        files: Files whose rows have the same shape and type, at least one.
        places: File and row in it for each row of the table, `[num_rows, 2]`.

    Raises:
        OSError: If one of the files was deleted meanwhile.
    """

    def __init__(self, files: Sequence[FeatureFile], places: Array) -> None:
        self._files = files
        self._places = places
        # Mapped at once: a file that is deleted while it is mapped can still be read.
        self._mapped = {place: file.rows() for place, file in enumerate(files[:MOST_FILES])}
        self._num_bytes_read = 0
        self.shape = (len(places), *files[0].row_shape)
        self.dtype = files[0].dtype

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, rows: Array) -> Array:
        """Return a copy of some rows.

        Args:
            rows: Their positions in the table.

        Raises:
            WorkspaceError: If a file that was not mapped has been deleted.
        """
        places = self._places[rows]
        taken = np.empty((len(places), *self.shape[1:]), self.dtype)
        for part in np.unique(places[:, 0]):
            is_here = places[:, 0] == part
            taken[is_here] = self._rows_of(int(part))[places[is_here, 1]]
        self._num_bytes_read += taken.nbytes
        if self._num_bytes_read > _MOST_BYTES_READ:
            self._give_pages_back()
        return taken

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Return all rows, for those who know that they are few."""
        return self[np.arange(len(self))].astype(dtype or self.dtype)

    def _rows_of(self, place: int) -> Array:
        rows = self._mapped.get(place)
        if rows is None:
            try:
                rows = self._files[place].rows()
            except (OSError, ValueError) as error:
                check_shortage(error)
                raise WorkspaceError(
                    _("Some of the features were deleted while they were needed. Start the training again.")
                ) from error
            # Several threads read: a new dictionary takes nothing from those that look into the old one.
            if len(self._mapped) >= MOST_FILES:
                self._mapped = {}
            self._mapped[place] = rows
        return rows

    def _give_pages_back(self) -> None:
        self._num_bytes_read = 0
        for rows in list(self._mapped.values()):
            mapped: object = rows.base
            # Windows takes pages back by itself.
            if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
                mapped.madvise(mmap.MADV_DONTNEED)
