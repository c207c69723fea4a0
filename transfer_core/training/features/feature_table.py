"""One array of features over several files, read row by row so that large datasets need little memory."""

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

# Linux maps up to two megabytes around each row that is read, so the mapped memory is a multiple of this.
_MOST_BYTES_READ = 4 * 1024**2


class FeatureTable:
    """Array-like whose rows are read from memory-mapped files on access.

    Pages of a mapped file count as memory of the process until the system reclaims them. The table releases them
    regularly, so that reading a large table does not look like full memory; they remain in the page cache.

    At most `MOST_FILES` files are mapped at a time, because each holds a descriptor.

    Args:
        files: At least one file; all have the same row shape and dtype.
        places: Index of the file and row in it for each row of the table, `[num_rows, 2]`.

    Raises:
        OSError: If one of the files has been deleted.
    """

    def __init__(self, files: Sequence[FeatureFile], places: Array) -> None:
        self._files = files
        self._places = places
        # Map now: a mapped file can be read even after it has been deleted.
        self._mapped = {place: file.rows() for place, file in enumerate(files[:MOST_FILES])}
        self._num_bytes_read = 0
        self.shape = (len(places), *files[0].row_shape)
        self.dtype = files[0].dtype

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, rows: Array) -> Array:
        """Return a copy of the rows at some positions.

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
            self._release_pages()
        return taken

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Return all rows; only for small tables."""
        return self[np.arange(len(self))].astype(dtype or self.dtype)

    def _rows_of(self, place: int) -> Array:
        rows = self._mapped.get(place)
        if rows is None:
            try:
                rows = self._files[place].rows()
            except (OSError, ValueError) as error:
                check_shortage(error)
                raise WorkspaceError(
                    _("Some features were deleted during the training. Start it again.")
                ) from error
            # Other threads may be reading the old dictionary: replace it instead of clearing it.
            if len(self._mapped) >= MOST_FILES:
                self._mapped = {}
            self._mapped[place] = rows
        return rows

    def _release_pages(self) -> None:
        self._num_bytes_read = 0
        for rows in list(self._mapped.values()):
            mapped: object = rows.base
            # Windows reclaims pages itself and has no madvise.
            if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
                mapped.madvise(mmap.MADV_DONTNEED)
