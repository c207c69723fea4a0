"""A kind of JSON file, declared once: its name, the struct it holds, and what a person loses when it is damaged."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from transfer_core.errors import WorkspaceError
from transfer_core.file_cache import FileCache
from transfer_core.files import damaged_file, file_version, read_json, write_json
from transfer_core.language import _
from transfer_core.schema import decoded, encoded

Facts = TypeVar("Facts")

_MAX_CACHED_BYTES = 16 * 1024**2


class FactsFile(Generic[Facts]):
    """Reads and writes one kind of JSON file. Each version of a file is decoded once; thread-safe.

    Args:
        name: Of the file.
        kind: A frozen `msgspec.Struct`, which declares types and ranges.
        cost: Returns what is lost without the file and what to do, in whole sentences.
        reason: Returns why a file that does not fit its declaration is damaged, to stand behind a colon.
        from_dict: Makes the facts of JSON values, where the declaration alone does not say how; raises a ValueError.
        to_dict: Makes JSON values of the facts, where the file holds more than them.
        indent: As for `write_json`.
    """

    def __init__(
        self,
        name: str,
        kind: type[Facts],
        cost: Callable[[], str] = lambda: "",
        reason: Callable[[], str] = lambda: _("its content is not valid"),
        from_dict: Callable[[dict[str, Any]], Facts] | None = None,
        to_dict: Callable[[Facts], dict[str, Any]] = encoded,
        *,
        indent: int | None = 1,
    ) -> None:
        self.name = name
        self._cost = cost
        self._reason = reason
        self._from_dict = from_dict or partial(decoded, kind=kind)
        self._to_dict = to_dict
        self._indent = indent
        self._cache: FileCache[Facts] = FileCache(_MAX_CACHED_BYTES)

    def exists(self, folder: Path) -> bool:
        """Whether a folder has such a file."""
        return (folder / self.name).is_file()

    def version(self, folder: Path) -> tuple[int, int]:
        """Return numbers that change with the file in a folder; zeros where there is none."""
        return file_version(folder / self.name)

    def read(self, folder: Path) -> Facts:
        """Return the facts in a folder.

        Raises:
            WorkspaceError: If the file is missing or damaged.
        """
        path = folder / self.name
        return self._cache.get(path, lambda: self._read(path))

    def write(self, folder: Path, facts: Facts) -> None:
        """Write facts in place of those before, whole or not at all.

        Raises:
            WorkspaceError: If writing fails.
        """
        write_json(folder / self.name, self._to_dict(facts), indent=self._indent)

    def damaged(self, folder: Path, reason: str = "") -> WorkspaceError:
        """Return the error about a file in a folder that cannot be used, for a reason that other files show."""
        return damaged_file(folder / self.name, reason or self._reason(), self._cost())

    def _read(self, path: Path) -> Facts:
        values = read_json(path, self._cost())
        try:
            return self._from_dict(values)
        except ValueError as error:
            raise self.damaged(path.parent) from error
