"""Atomic file writes: write a temporary sibling, then rename. Renames and deletions wait for other programs."""

import errno
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
# The system is short of something; the file that was to be opened may be sound.
_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})


def move(source: Path, target: Path) -> None:
    """Move a file or folder on the same disk. A file at the target is replaced.

    Raises:
        OSError: If it cannot be moved.
    """
    _retry(lambda: source.replace(target))


def remove(path: Path) -> None:
    """Delete a file or a folder with all its files, if it exists.

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
    """Repeat a change that Windows refuses while another program has the file open, even for reading."""
    for seconds in _SECONDS_BETWEEN_TRIES:
        with suppress(PermissionError):
            change()
            return
        time.sleep(seconds)
    change()


def check_shortage(error: BaseException) -> None:
    """Raise an error if a file could not be read because the system had no descriptor or memory left.

    Otherwise a sound file would be called damaged or missing.

    Args:
        error: Raised while a file was opened or read.

    Raises:
        WorkspaceError: If the system was short of something.
    """
    if isinstance(error, OSError) and error.errno in _SHORTAGES:
        raise WorkspaceError(
            _("A file could not be opened: {reason}. Close other programs, then try again.").format(
                reason=error
            )
        ) from error


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and move the file to `path` when the block ends without an error.

    The folder is created if needed.

    Args:
        path: The target. The temporary path has the same ending, since some writers depend on it.
        durable: Wait until the disk has the file, so that not even a power cut leaves half of it. Not needed for files
            that come by the thousand and can be checked or restored.

    Raises:
        WorkspaceError: If writing fails, for instance because the disk is full.
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
                "{file} could not be saved: {reason}. An earlier version of it was kept. Free some space or "
                "choose another workspace folder, then try again."
            ).format(file=path.name, reason=error)
        ) from error
    finally:
        with suppress(OSError):
            remove(beside)


def file_version(path: Path) -> tuple[int, int]:
    """Return the time a file was written, in nanoseconds, and its size in bytes; zeros if there is none.

    Both change when another file takes its place, also an older one that is restored.
    """
    try:
        facts = path.stat()
    except FileNotFoundError:
        return 0, 0
    return facts.st_mtime_ns, facts.st_size


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically.

    Args:
        path: The folder is created if needed.
        content: All of it.

    Raises:
        WorkspaceError: If writing fails.
    """
    with replacing(path) as beside:
        beside.write_bytes(content)


def write_secret(path: Path, content: bytes) -> None:
    """Write a file atomically that no other account of this computer can read, not even for a moment.

    On Windows the folder alone protects it.

    Args:
        path: The folder is created if needed.
        content: All of it.

    Raises:
        WorkspaceError: If writing fails.
    """
    with replacing(path) as beside:
        beside.touch(mode=0o600)
        beside.write_bytes(content)


def write_json(path: Path, values: dict[str, Any], *, indent: int | None = 1) -> None:
    """Write plain values as JSON, atomically.

    Args:
        path: The folder is created if needed.
        values: Values that JSON can hold.
        indent: Spaces of indentation, for people; None for large files, which is many times as fast.

    Raises:
        WorkspaceError: If writing fails.
    """
    write_bytes(path, json.dumps(values, indent=indent, ensure_ascii=False).encode())


def read_json(path: Path, cost: str = "") -> dict[str, Any]:
    """Return the values of a file that `write_json` wrote.

    Args:
        path: The file.
        cost: Sentences on what is lost without the file and what to do; general advice if not given.

    Raises:
        WorkspaceError: If the file is missing or damaged; the message names it and its folder.
    """
    try:
        return parse_json(path.read_bytes())
    except FileNotFoundError as error:
        raise _unusable(path, _("{file} of {folder} is missing. {cost}"), cost) from error
    except (OSError, ValueError) as error:
        check_shortage(error)
        raise damaged_file(path, error, cost) from error


def parse_json(content: bytes) -> dict[str, Any]:
    """Return the values of a JSON file that holds an object.

    Raises:
        ValueError: If it holds something else; the message is a reason in lower case.
    """
    if not content.strip():
        raise ValueError(_("it is empty"))
    try:
        values = json.loads(content)
    except RecursionError as error:
        raise ValueError(_("its values are nested too deeply")) from error
    except UnicodeDecodeError as error:
        raise ValueError(_("it is not text")) from error
    except json.JSONDecodeError as error:
        raise ValueError(
            _("it is not valid JSON from character {place} on").format(place=error.pos)
        ) from error
    except ValueError as error:
        raise ValueError(_("a number in it has thousands of digits")) from error
    except MemoryError as error:
        raise ValueError(_("it is larger than the free memory")) from error
    if not isinstance(values, dict):
        raise ValueError(_("it holds no named values"))
    return values


def damaged_file(path: Path, reason: str | Exception, cost: str = "") -> WorkspaceError:
    """Return the error about a file whose content this app did not write, or whose folder went while it was read.

    Args:
        path: The file, in the folder of its run or dataset.
        reason: In lower case, to stand behind a colon; of an error its message.
        cost: Sentences on what is lost without the file and what to do; general advice if not given.
    """
    return _unusable(path, _("{file} of {folder} is damaged: {reason}. {cost}"), cost, reason=reason)


def _unusable(path: Path, sentence: str, cost: str, **values: object) -> WorkspaceError:
    folder = path.parent
    if not folder.is_dir():
        return WorkspaceError(_("{folder} was moved or deleted meanwhile.").format(folder=folder.name))
    return WorkspaceError(
        sentence.format(file=path.name, folder=folder.name, cost=cost or _advice(), **values)
    )


def _advice() -> str:
    return _("Restore it from a copy, or delete the dataset or model it belongs to.")
