"""Files that are whole or not there: written beside their place, then moved in."""

import errno
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from transfer_core.errors import WorkspaceError
from transfer_core.language import _

# What the system lacks at the moment; it says nothing about the file that was to be opened or read.
_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})


def check_shortage(error: BaseException) -> None:
    """Keep a file from being called damaged or missing when the system had no descriptor or memory left for it.

    Args:
        error: What was raised while a file was opened or read.

    Raises:
        WorkspaceError: If the system lacked something.
    """
    if isinstance(error, OSError) and error.errno in _SHORTAGES:
        raise WorkspaceError(
            _("The system refused to open a file: {reason}. Close other programs, then try again.").format(
                reason=error.strerror or error
            )
        ) from error


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
        beside.replace(path)
    except OSError as error:
        raise WorkspaceError(
            _(
                "{file} could not be saved: {reason}. The earlier file, if there was one, is as it was. "
                "Free some space or choose another workspace folder, then try again."
            ).format(file=path.name, reason=error.strerror or error)
        ) from error
    finally:
        with suppress(OSError):
            beside.unlink()


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
