"""Where files come from: a folder, a zip, a tar, a table, or a browser. Each yields paths with a way to read them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from transfer_core.data.label_table import TABLE_ENDINGS, arranged, labelled, read_table
from transfer_core.data.limits import limits
from transfer_core.data.members import unsafe_reason
from transfer_core.data.source_file import (
    SourceFile,
    check_count,
    check_file_size,
    clean_name,
    refused_file,
    too_large,
)
from transfer_core.data.tar_archive import is_tar, tar_source
from transfer_core.data.zip_archive import zip_source
from transfer_core.errors import IngestError, UnreadableImageError
from transfer_core.files import check_shortage
from transfer_core.language import _

__all__ = [
    "SourceFile",
    "clean_name",
    "csv_source",
    "failing_file",
    "folder_source",
    "open_archive",
    "open_source",
    "uploaded_file",
    "zip_source",
]


@contextmanager
def open_source(path: Path) -> Iterator[list[SourceFile]]:
    """List the files of whatever lies at a path, and keep it open while they are read.

    Args:
        path: A folder, a zip, a tar (also packed with gzip, bzip2 or xz), or a table of path and class. Its
            content tells which it is, not its ending.

    Raises:
        IngestError: If it is none of them, is damaged, or holds more than is taken at once.
    """
    if path.is_dir():
        yield folder_source(path)
        return
    try:
        file = path.open("rb")
    except OSError as error:
        raise IngestError(
            _("{path} cannot be read: {reason}. Choose a folder, a zip or a tar file.").format(
                path=path, reason=error.strerror or error
            )
        ) from error
    with file:
        if path.suffix.casefold() in TABLE_ENDINGS and not _is_archive(file):
            yield csv_source(path)
            return
        with open_archive(file, path.name) as files:
            yield files


@contextmanager
def open_archive(file: BinaryIO, name: str) -> Iterator[list[SourceFile]]:
    """List the files of a zip or a tar, whatever its name ends in, and keep it open while they are read.

    Args:
        file: The open archive.
        name: What it is called, for messages.

    Raises:
        IngestError: If it is neither, is damaged, or holds more than is taken at once.
    """
    if is_tar(file):
        with tar_source(file, name) as files:
            yield files
    else:
        yield zip_source(file, name)


def folder_source(folder: Path) -> list[SourceFile]:
    """List the files of a folder on this machine. Links are not followed.

    Args:
        folder: Its subfolders are the classes, also below `train`, `val` and `test`, and with one more folder
            around them all; or a table at its top tells the classes.

    Raises:
        IngestError: If it is not a folder, or holds too many files.
    """
    if not folder.is_dir():
        raise IngestError(
            _("{path} is not a folder. Give a folder whose subfolders are the classes.").format(path=folder)
        )
    files: list[SourceFile] = []

    def note_closed(error: OSError) -> None:
        reason = _("the folder cannot be opened ({reason})").format(reason=error.strerror or error)
        closed = Path(error.filename or folder).relative_to(folder)
        files.append(refused_file(closed.as_posix(), reason, "unreadable"))

    for parent, folders, names in os.walk(folder, onerror=note_closed):
        place = Path(parent).relative_to(folder).parts
        links = [name for name in folders if Path(parent, name).is_symlink()]
        files += [_file_at(folder, (*place, name)) for name in [*names, *links]]
        if len(place) >= limits().depth:
            files += [_too_deep((*place, name)) for name in folders if name not in links]
            folders.clear()
        check_count(len(files))
    return arranged(sorted(files, key=lambda file: file.parts))


def csv_source(path: Path) -> list[SourceFile]:
    """List the files that a table names, with its labels.

    Args:
        path: A table with the columns path and class, and perhaps split. The paths start at its own folder and lead
            to files below it.

    Raises:
        IngestError: If it is no such table, or names too many files.
    """
    try:
        check_file_size(path.stat().st_size)
        rows = read_table(path.read_bytes())
    except (OSError, UnreadableImageError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise IngestError(
            _("{path} cannot be read: {reason}. Choose a table of path and class.").format(
                path=path, reason=reason
            )
        ) from error
    if not rows:
        raise IngestError(
            _(
                "{name} is not a table of path and class. Expected were lines such as: cats/1.jpg,cat (the path "
                "starts at the folder of the table)."
            ).format(name=clean_name(path.name))
        )
    paths = dict.fromkeys(row.path for row in rows if not unsafe_reason(row.path))
    places = [tuple(part for part in name.split("/") if part not in ("", ".")) for name in paths]
    files = [_table_file(path.parent, place) for place in places if _is_there(path.parent.joinpath(*place))]
    return labelled(files, rows, path.name)


def uploaded_file(path: str, content: bytes) -> SourceFile:
    """Wrap a file that a browser sent; the first folder of its path is the one the person picked.

    Args:
        path: Its name, with its folders when a whole folder was dropped.
        content: Its bytes.
    """
    parts = tuple(part for part in path.replace("\\", "/").split("/") if part not in ("", ".", ".."))
    return SourceFile(parts[1:] or parts or (path,), lambda: content)


def failing_file(path: str, *, is_too_large: bool) -> SourceFile:
    """Stand for a file that the browser could not send, so that it is listed with its reason.

    Args:
        path: Its name, with its folders when a whole folder was dropped.
        is_too_large: Whether its size was the reason.
    """

    def read() -> bytes:
        if is_too_large:
            raise too_large()
        raise UnreadableImageError(_("the browser could not read it"), "unreadable")

    return SourceFile(uploaded_file(path, b"").parts, read)


def _is_archive(file: BinaryIO) -> bool:
    start = file.read(4)
    file.seek(0)
    return start.startswith((b"PK\3\4", b"PK\5\6")) or is_tar(file)


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _table_file(folder: Path, place: tuple[str, ...]) -> SourceFile:
    if any(folder.joinpath(*place[:depth]).is_symlink() for depth in range(1, len(place))):
        return refused_file("/".join(place), _("it lies behind a link to another folder"), "unsafe")
    return _file_at(folder, place)


def _file_at(folder: Path, place: tuple[str, ...]) -> SourceFile:
    path = folder.joinpath(*place)
    try:
        mode = path.lstat().st_mode
    except OSError as error:
        return refused_file("/".join(place), _unreadable(error), "unreadable")
    if stat.S_ISLNK(mode):
        return refused_file("/".join(place), _("it is only a link to another file"), "unsafe")
    if not stat.S_ISREG(mode):
        return refused_file("/".join(place), _("it is not a plain file"), "unsafe")
    return SourceFile(place, partial(_read_file, path), location=path)


def _read_file(path: Path) -> bytes:
    try:
        check_file_size(path.stat().st_size)
        return path.read_bytes()
    except OSError as error:
        check_shortage(error)
        raise UnreadableImageError(_unreadable(error), "unreadable") from error


def _unreadable(error: OSError) -> str:
    return _("it cannot be read ({reason})").format(reason=error.strerror or error)


def _too_deep(place: tuple[str, ...]) -> SourceFile:
    reason = _("it lies in more than {limit} folders within each other").format(limit=limits().depth)
    return refused_file("/".join(place), reason, "unreadable")
