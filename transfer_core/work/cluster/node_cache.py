"""The files that a node keeps by the hash of their content, and workspaces for jobs that are made of links to them."""

from __future__ import annotations

import errno
import hashlib
import math
import os
import platform
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from transfer_core.backbones.published.zoo_weights import WEIGHTS_VARIABLE
from transfer_core.errors import InsufficientResourcesError, TrainingError, WorkspaceError
from transfer_core.files import move, remove
from transfer_core.language import _
from transfer_core.locks import changing
from transfer_core.runs.leftovers import remove_leftovers
from transfer_core.training.machine import free_disk
from transfer_core.training.resources import DISK_RESERVE_BYTES, has_room, size_text
from transfer_core.work.cluster.parcel import WEIGHTS_DIR, FileRef, Parcel, digest_of
from transfer_core.workspace import Workspace

FOLDER_VARIABLE = "TRANSFER_STUDIO_NODE_DIR"
BYTES_VARIABLE = "TRANSFER_STUDIO_NODE_BYTES"

_MAX_BYTES = 20 * 10**9
_FILES_DIR = "files"
_KEY = re.compile(r"(?P<digest>[0-9a-f]{64})(?:@(?P<offset>\d+)/(?P<size>\d+))?", re.ASCII)
_DISK_IS_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_SECONDS_UNTIL_LEFT = 24 * 60 * 60
# The files of a run and of its dataset are written again; the others are only read, so they are links.
_WRITTEN = re.compile(r"runs/.+|datasets/[^/]+/[^/]+", re.ASCII)


def node_folder() -> Path:
    """Return the folder named in TRANSFER_STUDIO_NODE_DIR, or one among the caches of the person."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named) if named else platformdirs.user_cache_path("transfer-studio-node", appauthor=False)


def node_bytes() -> int:
    """Return the number in TRANSFER_STUDIO_NODE_BYTES, or 20 GB."""
    named = os.environ.get(BYTES_VARIABLE, "")
    return int(named) if named.isascii() and named.isdigit() else _MAX_BYTES


@dataclass(frozen=True)
class JobWorkspace(Workspace):
    """A workspace for one job, whose features go to the folder that all jobs of the node share.

    Args:
        root: The folder.
        features: The shared folder.
    """

    features: Path

    @property
    def cache_dir(self) -> Path:
        """Folder of cached features, shared by all jobs of the node."""
        return self.features


@dataclass
class _Begun:
    """A file that has not arrived as a whole.

    Args:
        path: Beside its place.
        sha256: Of what has arrived.
        num_bytes: That have arrived.
    """

    path: Path
    sha256: hashlib._Hash
    num_bytes: int = 0

    @classmethod
    def beside(cls, path: Path) -> _Begun:
        path.parent.mkdir(parents=True, exist_ok=True)
        return cls(path.with_name(f".{path.name}-{secrets.token_hex(4)}"), hashlib.sha256())

    def add(self, offset: int, content: bytes) -> int:
        """Write the next piece; return the number of bytes that have arrived."""
        if offset != self.num_bytes:
            raise _damaged()
        with self.path.open("ab") as file:
            file.write(content)
        self.sha256.update(content)
        self.num_bytes += len(content)
        return self.num_bytes


class NodeCache:
    """Files by the hash of their content, and the workspace of one job. Several processes may use one folder at once.

    Each file is linked into the workspace of the job when it arrives. When a job needs room, the least recently used
    files are deleted, except those that a running job has linked. So the folder holds at most `max_bytes`, or all that
    the running jobs need, if that is more.

    Args:
        folder: Created if needed. What killed jobs have left there is deleted.
        max_bytes: Of all files that are kept, without features.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._node = Workspace(folder.resolve())
        self._files = self._node.root / _FILES_DIR
        self._max_bytes = max_bytes
        self._begun: dict[str, _Begun] = {}
        self._job = ExitStack()
        self._parcel: Parcel | None = None
        self._root = self._node.root
        self._awaited: dict[str, list[FileRef]] = {}
        self._folders: set[Path] = set()
        remove_leftovers(self._node)

    def missing(self, parcel: Parcel) -> set[str]:
        """Begin the workspace of a job, and return the digests of the files that are not there yet.

        Room is made for them. A job that was begun before is deleted.

        Raises:
            InsufficientResourcesError: If the disk is too small for them.
            WorkspaceError: If the folder cannot be used.
        """
        self.close()
        try:
            self._root = self._job.enter_context(self._node.scratch_folder())
        except WorkspaceError as error:
            if isinstance(error.__cause__, OSError):
                raise self._refused(error.__cause__, sum(ref.size for ref in parcel.files)) from error
            raise
        self._parcel = parcel
        for ref in parcel.files:
            if not (self._is_intact(ref) and self._put(self._path(ref.digest), ref)):
                self._awaited.setdefault(ref.digest, []).append(ref)
        if self._awaited:
            self._make_room(sum(refs[0].size for refs in self._awaited.values()))
        return set(self._awaited)

    def add(self, key: str, content: bytes) -> None:
        """Take a missing file, or the next piece of one: the pieces of a file come in their order.

        Args:
            key: What `chunks` gives for it.
            content: The bytes.

        Raises:
            InsufficientResourcesError: If the disk is full.
            WorkspaceError: If the content is not the one that the key names, or writing fails.
        """
        found = _KEY.fullmatch(key)
        if not found:
            raise _damaged()
        digest, offset, size = found["digest"], int(found["offset"] or 0), int(found["size"] or len(content))
        try:
            if offset == 0:
                self._forget(digest)
                self._begun[digest] = _Begun.beside(self._path(digest))
            if digest not in self._begun:
                raise _damaged()
            if self._begun[digest].add(offset, content) >= size:
                self._keep(digest)
        except OSError as error:
            self._forget(digest)
            raise self._refused(error, size) from error

    @contextmanager
    def workspace(self, parcel: Parcel) -> Iterator[JobWorkspace]:
        """Yield the workspace with the files of a job, and delete it when the block ends.

        Photos that did not arrive are missing in it. While the block runs, this process reads weights that Keras
        publishes from there too: TRANSFER_STUDIO_WEIGHTS names the folder.

        Raises:
            InsufficientResourcesError: If the disk is full.
            WorkspaceError: If another file is missing, or the folder cannot be used.
        """
        if self._parcel != parcel:
            self.missing(parcel)
        try:
            if not all(ref.is_photo for refs in self._awaited.values() for ref in refs):
                raise _damaged()
            with _environment(WEIGHTS_VARIABLE, str(self._root / WEIGHTS_DIR)):
                yield JobWorkspace(self._root, self._node.cache_dir)
        finally:
            self.close()
            self._make_room(0)

    def close(self) -> None:
        """Delete the workspace of a job that was begun, if there is one."""
        self._parcel = None
        self._awaited.clear()
        self._folders.clear()
        for digest in list(self._begun):
            self._forget(digest)
        self._job.close()

    def _path(self, digest: str) -> Path:
        return self._files / digest[:2] / digest

    def _keep(self, digest: str) -> None:
        begun = self._begun[digest]
        if begun.sha256.hexdigest() != digest:
            self._forget(digest)
            raise _damaged()
        # Linked before it can be found: what is linked is not deleted by another job that needs room.
        for ref in self._awaited.pop(digest, ()):
            self._put(begun.path, ref)
        move(begun.path, self._path(digest))
        del self._begun[digest]

    def _forget(self, digest: str) -> None:
        begun = self._begun.pop(digest, None)
        if begun:
            with suppress(OSError):
                remove(begun.path)

    def _is_intact(self, ref: FileRef) -> bool:
        """Whether a kept file has the content that its name says; a damaged one is deleted.

        Of photos there may be 50,000, and the training leaves out those that it cannot decode.
        """
        path = self._path(ref.digest)
        try:
            if ref.is_photo or digest_of(path)[0] == ref.digest:
                return True
            remove(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise self._refused(error, ref.size) from error
        return False

    def _put(self, source: Path, ref: FileRef) -> bool:
        """Link a file into the workspace of the job, or copy it if it will be changed; False if it is missing."""
        path = self._root / ref.path
        try:
            # After a power cut a file may be shorter than it was.
            if source.stat().st_size != ref.size:
                remove(source)
                return False
            if path.parent not in self._folders:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._folders.add(path.parent)
            _link(source, path, is_copied=_WRITTEN.fullmatch(ref.path) is not None)
            now = time.time_ns()
            os.utime(source, ns=(now, now))
        except FileNotFoundError:
            return path.is_file()
        except OSError as error:
            raise self._refused(error, ref.size) from error
        return True

    def _make_room(self, num_bytes: int) -> None:
        """Delete what was not used for longest until there is room for new files."""
        with changing(self._files):
            kept, total = self._kept()
            for _used_at, size, path in sorted(kept):
                if total + num_bytes <= self._max_bytes and has_room(self._files, num_bytes):
                    break
                with suppress(OSError):
                    remove(path)
                    total -= size
        if num_bytes and not has_room(self._files, num_bytes):
            raise self._too_small(num_bytes)

    def _kept(self) -> tuple[list[tuple[int, int, Path]], int]:
        """Return the files that no job has linked, each with its last use and its size, and the bytes of all files."""
        found: list[tuple[int, int, Path]] = []
        total = 0
        for folder in _folders_in(self._files):
            with os.scandir(folder) as entries:
                for entry in entries:
                    with suppress(FileNotFoundError):
                        # An entry of Windows does not know the number of links.
                        path = Path(entry.path)
                        facts = path.stat()
                        total += facts.st_size
                        is_arriving = (
                            entry.name.startswith(".") and time.time() - facts.st_mtime < _SECONDS_UNTIL_LEFT
                        )
                        if facts.st_nlink == 1 and not is_arriving:
                            found.append((facts.st_mtime_ns, facts.st_size, path))
        return found, total

    def _refused(self, error: OSError, num_bytes: int) -> TrainingError | WorkspaceError:
        if error.errno in _DISK_IS_FULL:
            return self._too_small(num_bytes)
        return WorkspaceError(
            _(
                "The folder {folder} on {node} cannot be used: {reason}. Set {variable} there to another one."
            ).format(
                folder=self._node.root,
                node=platform.node(),
                reason=error,
                variable=FOLDER_VARIABLE,
            )
        )

    def _too_small(self, num_bytes: int) -> InsufficientResourcesError:
        return InsufficientResourcesError(
            _(
                "This training needs {needed} on the disk of {node}. Another {reserve} must stay free there. Only "
                "{free} are free. Free some space there, then continue."
            ).format(
                needed=size_text(num_bytes),
                node=platform.node(),
                reserve=size_text(DISK_RESERVE_BYTES),
                free=size_text(free_disk(self._node.root), math.floor),
            )
        )


def _folders_in(folder: Path) -> list[str]:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        return [entry.path for entry in entries if entry.is_dir()]
    return []


def _link(source: Path, path: Path, *, is_copied: bool) -> None:
    if not is_copied:
        # Some disks have no links, and others few of each file.
        with suppress(OSError):
            path.hardlink_to(source)
            return
    shutil.copyfile(source, path)


def _damaged() -> WorkspaceError:
    return WorkspaceError(
        _("A file of this training did not arrive whole on {node}. Try again.").format(node=platform.node())
    )


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
