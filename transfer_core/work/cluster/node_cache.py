"""The files that a node keeps between jobs."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transfer_core.files import write_bytes
from transfer_core.work.cluster.parcel import Parcel
from transfer_core.workspace import Workspace


class NodeCache:
    """Files by their content, and the features that jobs computed from them."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes

    def missing(self, parcel: Parcel) -> set[str]:
        """Return the digests of the files that are not here."""
        return {file.digest for file in parcel.files if not (self._folder / file.digest).is_file()}

    def add(self, digest: str, content: bytes) -> None:
        """Keep a file."""
        write_bytes(self._folder / digest, content)

    @contextmanager
    def workspace(self, parcel: Parcel) -> Iterator[Workspace]:
        """Yield a workspace with the files of a parcel."""
        (self._folder / "cache").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._folder) as name:
            root = Path(name)
            (root / "cache").symlink_to(self._folder / "cache")
            for file in parcel.files:
                (root / file.path).parent.mkdir(parents=True, exist_ok=True)
                os.link(self._folder / file.digest, root / file.path)
            yield Workspace(root)
