"""The files that come back from a node."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from transfer_core.files import file_version, write_bytes
from transfer_core.locks import LOCK_FILE
from transfer_core.runs.run_folder import EVENTS_FILE

_KEPT = (EVENTS_FILE, LOCK_FILE)


class ReturnedFiles:
    """Finds what has changed in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._versions = {path: file_version(path) for path in self._files()}

    def changed(self) -> dict[str, bytes]:
        """Return the files that have changed since the last call, by their paths in the folder."""
        found = {}
        for path in self._files():
            version = file_version(path)
            if self._versions.get(path) != version:
                self._versions[path] = version
                found[path.relative_to(self._folder).as_posix()] = path.read_bytes()
        return found

    def _files(self) -> list[Path]:
        files = (path for path in self._folder.rglob("*") if path.is_file())
        return [path for path in files if path.name not in _KEPT and not path.name.startswith(".")]


def put_back(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder."""
    for name, content in files.items():
        write_bytes(folder / name, content)
