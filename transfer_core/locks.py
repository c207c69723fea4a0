"""Locks between threads and processes. The system releases them when their process ends, even after a crash."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout, lock_descriptor

from transfer_core.errors import WorkspaceError
from transfer_core.language import _

LOCK_FILE = "lock"
_SECONDS_BETWEEN_TRIES = 0.01
# `is_held` holds a folder for a moment.
_SECONDS_FOR_ONLOOKERS = 1.0
# Writing the facts of 50,000 photos to a slow disk takes seconds.
_SECONDS_FOR_A_CHANGE = 30.0


def hold(folder: Path) -> FileLock | None:
    """Lock a folder until the lock is released or this process ends. The folder is created if needed.

    Any thread may release the lock. A second holder in the same process is refused too.

    Returns:
        The lock, or None if the folder is locked already.

    Raises:
        WorkspaceError: If the lock file cannot be created, for instance because the disk is full.
    """
    lock = _lock(folder / LOCK_FILE, _SECONDS_FOR_ONLOOKERS)
    try:
        lock.acquire()
    except Timeout:
        return None
    except OSError as error:
        raise _cannot_be_locked(folder, error) from error
    return lock


def let_go(lock: FileLock) -> None:
    """Release a folder and delete its lock file: a lock file without a holder marks a folder as unfinished."""
    lock.release()
    with suppress(OSError):
        Path(lock.lock_file).unlink()


def is_held(folder: Path) -> bool:
    """Return whether any process has locked a folder. Nothing is written, so it may be read-only.

    Raises:
        WorkspaceError: If the lock file cannot be opened.
    """
    path = folder / LOCK_FILE
    try:
        # Network disks lock only what is open for writing; read-only ones can be read alone.
        with path.open("rb+" if os.access(path, os.W_OK) else "rb") as file:
            return not lock_descriptor(file.fileno(), blocking=False)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _cannot_be_locked(folder, error) from error


@contextmanager
def changing(path: Path) -> Iterator[None]:
    """Lock a file against changes until the block ends, so that it can be read, compared and written in one step.

    Every writer of the file has to use this. Readers need not, since files are replaced as a whole.

    Args:
        path: The file, which may not exist yet. Its folder is created if needed.

    Raises:
        WorkspaceError: If another program holds the lock for 30 s, or the lock file cannot be created.
    """
    lock = _lock(path.with_name(f"{path.name}.lock"), _SECONDS_FOR_A_CHANGE)
    try:
        lock.acquire()
    except Timeout as error:
        raise WorkspaceError(
            _("{file} is being changed by another program. Try again in a moment.").format(file=path.name)
        ) from error
    except OSError as error:
        raise _cannot_be_locked(path.parent, error) from error
    try:
        yield
    finally:
        lock.release()


def _lock(path: Path, seconds: float) -> FileLock:
    # Windows would delete the file on release, and systems without flock get a lock that outlives its process.
    return FileLock(
        path,
        seconds,
        thread_local=False,
        poll_interval=_SECONDS_BETWEEN_TRIES,
        preserve_lock_file=True,
    )


def _cannot_be_locked(folder: Path, error: OSError) -> WorkspaceError:
    return WorkspaceError(
        _("The folder {folder} cannot be used: {reason}. Free some space, or allow writing to it.").format(
            folder=folder.name, reason=error
        )
    )
