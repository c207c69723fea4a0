"""Open a folder, zip, tar or table as a list of files. The content decides which it is, not the ending."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from transfer_core.data.images.other_formats import MOST_ARCHIVE_BYTES, archive_format
from transfer_core.data.sources.folder import file_at, folder_source, read_file
from transfer_core.data.sources.imported_file import (
    ImportedFile,
    check_count,
    refused_file,
    shown_name,
)
from transfer_core.data.sources.tables.table import TABLE_ENDINGS, TablesFound, columns_of, read_tables
from transfer_core.data.sources.tar_archive import is_tar, tar_source
from transfer_core.data.sources.zip_archive import zip_source
from transfer_core.errors import IngestError, UnreadableImageError
from transfer_core.language import _

_TRIED_CELLS = 200
_READ_HERE = ("zip", "gzip", "bzip2", "xz")
_DMG_END, _DMG_END_SIZE = b"koly", 512


@contextmanager
def open_source(path: Path) -> Iterator[list[ImportedFile]]:
    """List the files at a path, and keep an archive open while they are read.

    Args:
        path: A folder, a zip, a tar (also packed with gzip, bzip2 or xz), or a table of path and class.

    Raises:
        IngestError: If it is none of them, is damaged, or holds more than the limits allow.
    """
    if path.is_dir():
        yield folder_source(path)
        return
    try:
        file = path.open("rb")
    except OSError as error:
        raise IngestError(
            _("{path} cannot be read: {reason}. Choose a folder, a zip or a tar file.").format(
                path=path, reason=error
            )
        ) from error
    with file:
        if is_table(path):
            yield csv_source(path)
            return
        with open_archive(file, path.name) as files:
            yield files


def is_table(path: Path) -> bool:
    """Return whether a path is a file that may be a table: by its ending, unless its content is an archive."""
    if path.suffix.casefold() not in TABLE_ENDINGS or not path.is_file():
        return False
    with path.open("rb") as file:
        return not file.read(4).startswith((b"PK\3\4", b"PK\5\6")) and not is_tar(file)


@contextmanager
def open_archive(file: BinaryIO, name: str) -> Iterator[list[ImportedFile]]:
    """List the files of a zip or a tar, whatever its name ends in, and keep it open while they are read.

    Args:
        file: The open archive.
        name: Of the archive, for messages.

    Raises:
        IngestError: If it is neither, is damaged, or holds more than the limits allow.
    """
    if kind := _other_archive(file):
        raise IngestError(
            _(
                "{name} is a {kind} archive, which cannot be read here. Unpack it, then choose the folder or pack it "
                "as a zip."
            ).format(name=shown_name(name), kind=kind)
        )
    if is_tar(file):
        with tar_source(file, name) as files:
            yield files
    else:
        yield zip_source(file, name)


def csv_source(path: Path) -> list[ImportedFile]:
    """List a table and the files that it names.

    Args:
        path: A table with a column of paths and one of classes. The paths start at its own folder and lead to files
            below it; where none does, all files below the folder are searched for their names.

    Raises:
        IngestError: If it is no such table, or names too many files.
    """
    try:
        table = ImportedFile((path.name,), partial(read_file, path), location=path)
        columns = list(columns_of(table))
    except UnreadableImageError as error:
        reason = error.__cause__ if isinstance(error.__cause__, OSError) else error
        raise IngestError(
            _("{path} cannot be read: {reason}. Choose a table of path and class.").format(
                path=path, reason=reason
            )
        ) from error
    check_count(max((len(cells) for cells in columns), default=0))
    files = [table, *_named(path, columns)]
    found = read_tables(files)
    if found.best is None and columns:
        files = [table, *(file for file in folder_source(path.parent) if file.parts != table.parts)]
        found = read_tables(files)
    if found.best is None:
        raise IngestError(_no_table(path, found))
    return files


def _no_table(path: Path, found: TablesFound) -> str:
    if any("no_files" in notice.names for notice in found.notices):
        return _(
            "{name} names no photo that is there. Put it into the folder of the photos, or the folder around them."
        ).format(name=shown_name(path.name))
    return _(
        "{name} is not a table of path and class. Expected were lines such as: cats/1.jpg,cat (the path "
        "starts at the folder of the table)."
    ).format(name=shown_name(path.name))


def _named(path: Path, columns: Iterable[list[tuple[str, ...]]]) -> list[ImportedFile]:
    """Return the files at the paths of a column; a column without a file in its first cells holds no paths."""
    files: dict[tuple[str, ...], ImportedFile] = {}
    for cells in columns:
        places = [place for place in dict.fromkeys(cells) if place and ".." not in place]
        if any(_is_there(path.parent.joinpath(*place)) for place in places[:_TRIED_CELLS]):
            there = (place for place in places if _is_there(path.parent.joinpath(*place)))
            files |= {place: _table_file(path.parent, place) for place in there}
    return list(files.values())


def _other_archive(file: BinaryIO) -> str:
    """Return the kind of an archive of neither format; empty if it is none. Seeks to the start of the file."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - _DMG_END_SIZE))
    is_dmg = file.read(len(_DMG_END)) == _DMG_END
    file.seek(0)
    kind = archive_format(file.read(MOST_ARCHIVE_BYTES))
    file.seek(0)
    if is_dmg:
        return "DMG"
    return "" if kind in _READ_HERE else kind


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _table_file(folder: Path, place: tuple[str, ...]) -> ImportedFile:
    if any(folder.joinpath(*place[:depth]).is_symlink() for depth in range(1, len(place))):
        return refused_file("/".join(place), _("it lies behind a link to another folder"), "unsafe")
    return file_at(folder, place)
