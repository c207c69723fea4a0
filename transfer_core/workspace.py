"""The folder that holds datasets, runs and cached features."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import platformdirs

from transfer_core.errors import NotFoundError, WorkspaceError
from transfer_core.files import remove
from transfer_core.language import _
from transfer_core.locks import changing, hold

ID_PATTERN = re.compile(r"\d{8}-\d{6}-[0-9a-f]{16}", re.ASCII)
_DATE_AND_TIME = ((0, 4), (4, 6), (6, 8), (9, 11), (11, 13), (13, 15))
SCRATCH_PATTERN = ".scratch-*"
PEOPLE_DIR = "people"
WORKSPACE_VARIABLE = "TRANSFER_STUDIO_WORKSPACE"


def new_id() -> str:
    """Return an id that sorts by time and cannot be guessed, such as `20261122-140512-9f2c...`."""
    return f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(8)}"


def default_workspace_root() -> Path:
    """Return the folder named in TRANSFER_STUDIO_WORKSPACE, or the person's own data folder."""
    named = os.environ.get(WORKSPACE_VARIABLE)
    return Path(named) if named else platformdirs.user_data_path("transfer-studio", appauthor=False)


@dataclass(frozen=True)
class Workspace:
    """Paths of datasets, runs and caches on disk. Ids are validated before they become part of a path.

    Args:
        root: The folder. It is created when something is first written.
    """

    root: Path

    @classmethod
    def of_run(cls, folder: Path) -> Workspace:
        """Return the workspace that the folder of a run is in."""
        return cls(folder.parents[1])

    @classmethod
    def of_pupil(cls, path: Path) -> Workspace | None:
        """Return the workspace of the pupil that a path is in; None if it is in nobody's."""
        return next((cls(folder) for folder in (path, *path.parents) if cls(folder).owner), None)

    @property
    def datasets_dir(self) -> Path:
        """Folder of all datasets."""
        return self._made("datasets")

    @property
    def runs_dir(self) -> Path:
        """Folder of all runs."""
        return self._made("runs")

    @property
    def cache_dir(self) -> Path:
        """Folder of cached features; safe to delete at any time."""
        return self._made("cache")

    @property
    def sources_dir(self) -> Path:
        """Folder of own models, from which new trainings can start."""
        return self._made("sources")

    @property
    def server(self) -> Workspace:
        """The workspace of the server: of a pupil's the one it is below, and otherwise this one."""
        return Workspace(self.root.parents[1]) if self.owner else self

    @property
    def owner(self) -> str:
        """Id of the pupil whose workspace this is; empty for the server's own."""
        return self.root.name if self.root.parent.name == PEOPLE_DIR and _is_id(self.root.name) else ""

    @property
    def runtimes_dir(self) -> Path:
        """Folder of the runtimes for exported web pages, shared by all people; downloaded again when deleted."""
        return self.server._made("runtimes")

    @property
    def trash_dir(self) -> Path:
        """Folder of deleted runs and own models, and of scratch folders; safe to delete while nothing runs."""
        return self._made("trash")

    def moving(self) -> AbstractContextManager[None]:
        """Lock the places of runs and own models while they are looked up and moved.

        Without it, of two windows that delete the same run, the second would find the first one's copy in the trash and
        take it for an older one.

        Raises:
            WorkspaceError: If another program holds the lock for 30 s, or the lock file cannot be created.
        """
        return changing(self.root / "moving")

    @contextmanager
    def scratch_folder(self) -> Iterator[Path]:
        """Yield an empty folder on the disk of the workspace, and delete it when the block ends.

        It is locked meanwhile, so that the next start recognizes and deletes the folder of a killed process.

        Raises:
            WorkspaceError: If it cannot be created.
        """
        lock = None
        # Another process may hold a new folder for a moment, to see whether it is left over.
        while lock is None:
            folder = self.trash_dir.resolve() / SCRATCH_PATTERN.replace("*", new_id())
            lock = hold(folder)
        try:
            # The lock file must not get among the files that are made here.
            yield self._made(f"trash/{folder.name}/files").resolve()
        finally:
            lock.release()
            with suppress(OSError):
                remove(folder)

    def dataset_dir(self, dataset_id: str) -> Path:
        """Return the folder of a dataset, which may not exist yet.

        Raises:
            NotFoundError: If the id is not one this app gives.
        """
        return self.datasets_dir / _checked_id(dataset_id)

    def run_dir(self, run_id: str) -> Path:
        """Return the folder of a run, which may not exist yet.

        Raises:
            NotFoundError: If the id is not one this app gives.
        """
        return self.runs_dir / _checked_id(run_id)

    def source_dir(self, source_id: str) -> Path:
        """Return the folder of an own model, which may not exist yet.

        Raises:
            NotFoundError: If the id is not one this app gives.
        """
        return self.root / "sources" / _checked_id(source_id)

    def person(self, person_id: str) -> Workspace:
        """Return the workspace of a pupil, whose folder may not exist yet.

        Raises:
            NotFoundError: If the id is not one this app gives.
        """
        return Workspace(self.root / PEOPLE_DIR / _checked_id(person_id))

    def dataset_ids(self) -> list[str]:
        """Return the ids of all datasets, newest first."""
        return _ids_in(self.datasets_dir, "dataset.json")

    def run_ids(self) -> list[str]:
        """Return the ids of all runs, newest first."""
        return _ids_in(self.runs_dir, "config.json")

    def source_ids(self) -> list[str]:
        """Return the ids of all own models, newest first."""
        return _ids_in(self.root / "sources", "facts.json")

    def person_ids(self) -> list[str]:
        """Return the ids of all pupils, newest first."""
        return _ids_in(self.root / PEOPLE_DIR, "person.json")

    def _made(self, name: str) -> Path:
        folder = self.root / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkspaceError(
                _(
                    "The workspace folder {folder} cannot be used: {reason}. Choose another one with "
                    "{variable} or --workspace."
                ).format(folder=self.root, reason=error, variable=WORKSPACE_VARIABLE)
            ) from error
        return folder


def _checked_id(identifier: str) -> str:
    if not _is_id(identifier):
        raise NotFoundError(
            _(
                "There is nothing with the id {identifier}. Ids look like 20261122-140512-0123456789abcdef."
            ).format(identifier=identifier[:60])
        )
    return identifier


def _ids_in(folder: Path, marker: str) -> list[str]:
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if _is_id(entry.name)]
    # A page asks at each click; Path.glob takes five times as long for some hundred runs.
    there = (name for name in names if os.path.exists(f"{folder}/{name}/{marker}"))  # noqa: PTH110
    return sorted(there, reverse=True)


@lru_cache(maxsize=10_000)
def _is_id(name: str) -> bool:
    if not ID_PATTERN.fullmatch(name):
        return False
    try:
        # Six times as fast as strptime: a workspace may have 100,000 runs.
        year, month, day, hour, minute, second = (int(name[start:end]) for start, end in _DATE_AND_TIME)
        datetime(year, month, day, hour, minute, second)
    except ValueError:
        # No such day or time.
        return False
    return True
