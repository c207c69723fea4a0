"""Atomic file writes: write a temporary sibling, then rename. Renames and deletions wait for other programs."""

import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from transfer_core.errors import WorkspaceError
from transfer_core.language import _

# Together 1.3 s, far longer than this app, a virus scanner or a backup reads a file.
_SECONDS_BETWEEN_TRIES = tuple(0.01 * 2**number for number in range(7))


def move(source: Path, target: Path) -> None:
    """Move a file or folder on the same disk. A file at the target is replaced.

    Raises:
        OSError: If it cannot be moved.
    """
    _retry(lambda: source.replace(target))


def remove(path: Path) -> None:
    """Delete a file or a folder with all its files. One that is deleted already is no error.

    Raises:
        OSError: If part of it cannot be deleted.
    """

    def delete() -> None:
        with suppress(FileNotFoundError):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    _retry(delete)


def _retry(change: Callable[[], object]) -> None:
    """Repeat what Windows refuses while another program has the file open, even only for reading."""
    for seconds in _SECONDS_BETWEEN_TRIES:
        with suppress(PermissionError):
            change()
            return
        time.sleep(seconds)
    change()


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Give a path beside `path` to write to, and move it in when the block ends without an error.

    The folder is made when it is not there.

    Args:
        path: Where the file is to be. Its ending is kept, since some writers look at it.
        durable: Wait until the disk has it, so that not even a power cut leaves half a file. Files that
            come by the thousand and can be checked or had again go without.

    Raises:
        WorkspaceError: If the disk refuses, for instance because it is full.
    """
    beside = path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        if durable:
            with beside.open("rb+") as file:
                os.fsync(file.fileno())
        move(beside, path)
    except OSError as error:
        raise WorkspaceError(
            _(
                "{file} could not be saved: {reason}. The earlier file, if there was one, is as it was. "
                "Free some space or choose another workspace folder, then try again."
            ).format(file=path.name, reason=error.strerror or error)
        ) from error
    finally:
        with suppress(OSError):
            remove(beside)


def file_version(path: Path) -> tuple[int, int]:
    """Return when a file was written, in nanoseconds, and its size in bytes; zeros where there is none.

    Both change when another file takes its place, also an older one that is restored.
    """
    try:
        facts = path.stat()
    except FileNotFoundError:
        return 0, 0
    return facts.st_mtime_ns, facts.st_size


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all.

    Args:
        path: Where it is to be. The folder is made when it is not there.
        content: All of it.

    Raises:
        WorkspaceError: If the disk refuses.
    """
    with replacing(path) as beside:
        beside.write_bytes(content)


def write_json(path: Path, values: dict[str, Any], *, indent: int | None = 1) -> None:
    """Write plain values as JSON, whole or not at all.

    Args:
        path: Where the file is to be. The folder is made when it is not there.
        values: Whatever JSON can hold.
        indent: Spaces by which inner values move in, for people; None for large files, which is many times as
            quick to write.

    Raises:
        WorkspaceError: If the disk refuses.
    """
    write_bytes(path, json.dumps(values, indent=indent, ensure_ascii=False).encode())


def read_json(path: Path) -> dict[str, Any]:
    """Return what `write_json` wrote.

    Raises:
        WorkspaceError: If the file is missing or is not what this app writes.
    """
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise WorkspaceError(
            _("{file} cannot be read: {reason}. It may have been changed or deleted by hand.").format(
                file=path.name, reason=error
            )
        ) from error
    if not isinstance(values, dict):
        raise WorkspaceError(_("{file} does not hold what was expected.").format(file=path.name))
    return values
