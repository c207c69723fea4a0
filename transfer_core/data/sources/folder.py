"""List the files of a folder on this machine."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from functools import partial
from pathlib import Path

from transfer_core.data.limits import limits
from transfer_core.data.sources.imported_file import ImportedFile, check_count, check_file_size, refused_file
from transfer_core.data.sources.members import names_in_doubt
from transfer_core.data.sources.name_encoding import read_names
from transfer_core.errors import IngestError, UnreadableImageError
from transfer_core.files import check_shortage
from transfer_core.language import _


def folder_source(folder: Path) -> list[ImportedFile]:
    """List the files of a folder on this machine, sorted by path. Links are not followed.

    Raises:
        IngestError: If it is not a folder, or holds too many files.
    """
    if not folder.is_dir():
        raise IngestError(
            _("{path} is not a folder. Give a folder whose subfolders are the classes.").format(path=folder)
        )
    files: list[ImportedFile] = []

    def add_unreadable(error: OSError) -> None:
        reason = _("the folder cannot be opened ({reason})").format(reason=error)
        closed = Path(error.filename or folder).relative_to(folder)
        files.append(refused_file(closed.as_posix(), reason, "unreadable"))

    for parent, folders, names in os.walk(folder, onerror=add_unreadable):
        place = Path(parent).relative_to(folder).parts
        links = [name for name in folders if Path(parent, name).is_symlink()]
        files += [file_at(folder, (*place, name)) for name in [*names, *links]]
        if len(place) >= limits().depth:
            files += [_too_deep((*place, name)) for name in folders if name not in links]
            folders.clear()
        check_count(len(files))
    return _in_unicode(sorted(files, key=lambda file: file.parts), folder.name)


def _in_unicode(files: list[ImportedFile], folder_name: str) -> list[ImportedFile]:
    """Decode names that are not UTF-8 on the disk, as old archives leave them when they are unpacked."""
    raw_paths = {place: raw for place, file in enumerate(files) if (raw := _raw_path(file))}
    read = read_names(list(raw_paths.values()))
    notices = names_in_doubt(folder_name, read.names) if read.are_in_doubt else ()
    files = list(files)
    for place, name in zip(raw_paths, read.names, strict=True):
        files[place] = replace(files[place], parts=tuple(name.split("/")), notices=notices)
    return files


def _raw_path(file: ImportedFile) -> bytes:
    """Return the bytes of a path that is not UTF-8; none if it is."""
    path = "/".join(file.parts)
    try:
        # Python keeps bytes that are not UTF-8 as halves of surrogate pairs.
        raw = path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return b""
    return raw if any("\udc80" <= letter <= "\udcff" for letter in path) else b""


def file_at(folder: Path, place: tuple[str, ...]) -> ImportedFile:
    """Return one file below a folder; links and special files are refused.

    Args:
        folder: The folder that is added.
        place: Folders and name of the file below it.
    """
    path = folder.joinpath(*place)
    try:
        mode = path.lstat().st_mode
    except OSError as error:
        return refused_file("/".join(place), _unreadable(error), "unreadable")
    if stat.S_ISLNK(mode):
        reason = _("it is a link, and links are not followed; use the file itself")
        return refused_file("/".join(place), reason, "unsafe")
    if not stat.S_ISREG(mode):
        return refused_file("/".join(place), _("it is not a plain file"), "unsafe")
    return ImportedFile(place, partial(read_file, path), location=path)


def read_file(path: Path) -> bytes:
    """Return the bytes of a file on this machine.

    Raises:
        UnreadableImageError: If it cannot be read or is too large.
    """
    try:
        check_file_size(path.stat().st_size)
        return path.read_bytes()
    except OSError as error:
        check_shortage(error)
        raise UnreadableImageError(_unreadable(error), "unreadable") from error


def _unreadable(error: OSError) -> str:
    return _("it cannot be read ({reason})").format(reason=error)


def _too_deep(place: tuple[str, ...]) -> ImportedFile:
    reason = _("it lies in more than {limit} folders within each other").format(limit=limits().depth)
    return refused_file("/".join(place), reason, "unreadable")
