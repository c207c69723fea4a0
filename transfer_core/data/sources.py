"""Where files come from: a folder, a zip, or a browser. Each source yields paths with a way to read them."""

from __future__ import annotations

import lzma
import os
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from transfer_core.errors import IngestError, UnreadableImageError
from transfer_core.language import _

if TYPE_CHECKING:
    from transfer_core.data.records import Split

MAX_FILES = 50_000
MAX_FILE_BYTES = 100 * 1024**2
MAX_TOTAL_BYTES = 20 * 1024**3
# Pictures are packed already; a zip of them hardly shrinks. A thousandfold is a trap.
MAX_ZIP_RATIO = 200
_SPLIT_FOLDERS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
_SYSTEM_NAMES = {"thumbs.db", "desktop.ini", "__macosx"}
_MAX_NAME_LENGTH = 60
# What zipfile raises on damaged or hostile archives (seen by feeding it mutated files).
_UNPACKING_ERRORS = (
    zipfile.BadZipFile,
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
)


@dataclass(frozen=True)
class SourceFile:
    """A file that may become an image.

    Args:
        parts: Its folders below the top of the source, and its name.
        read: Returns its bytes; raises `UnreadableImageError` when it cannot.
        label: Its class where a table says so; without it the folder is the class.
    """

    parts: tuple[str, ...]
    read: Callable[[], bytes]
    label: str | None = None

    @property
    def path(self) -> str:
        """Its place in the source, for people."""
        return clean_name("/".join(self.parts), max_length=200)

    @property
    def is_system_file(self) -> bool:
        """Whether an operating system put it there and nobody misses it."""
        return any(part.startswith(".") or part.casefold() in _SYSTEM_NAMES for part in self.parts)

    @property
    def class_name(self) -> str | None:
        """Its label, or the first folder that is not a split; None when there is neither."""
        folders = self.parts[:-1] if self.split is None else self.parts[1:-1]
        name = clean_name(self.label if self.label is not None else "".join(folders[:1]))
        return name or None

    @property
    def split(self) -> Split | None:
        """The side that a top folder such as `train` or `val` puts it on, or None."""
        # A folder "train" that holds pictures itself is the class of a vehicle.
        if len(self.parts) < 3:
            return None
        return _SPLIT_FOLDERS.get(clean_name(self.parts[0]).casefold())


def clean_name(name: str, max_length: int = _MAX_NAME_LENGTH) -> str:
    """Return a name that is safe to show: composed Unicode, nothing invisible, of bounded length.

    Args:
        name: What a file, a folder or a person calls it.
        max_length: Letters that are kept.

    Returns:
        The name on one line; empty when nothing in it is visible.
    """
    composed = unicodedata.normalize("NFC", name)
    visible = "".join(letter for letter in composed if unicodedata.category(letter)[0] != "C")
    return " ".join(visible.split())[:max_length].strip()


def folder_source(folder: Path) -> list[SourceFile]:
    """List the files of a folder on this machine. Links are not followed.

    Raises:
        IngestError: If it is not a folder, or holds too many files.
    """
    if not folder.is_dir():
        raise IngestError(
            _("{path} is not a folder. Give a folder whose subfolders are the classes.").format(path=folder)
        )
    files = []
    for parent, _folders, names in os.walk(folder):
        for name in sorted(names):
            path = Path(parent, name)
            if path.is_file() and not path.is_symlink():
                files.append(SourceFile(path.relative_to(folder).parts, _file_reader(path)))
    _check_count(len(files))
    return sorted(files, key=lambda file: file.parts)


def zip_source(file: BinaryIO, name: str) -> list[SourceFile]:
    """List the files of a zip. Nothing is unpacked to disk and no member's name touches a path.

    Args:
        file: The open zip; it must stay open while the files are read.
        name: What it is called, for messages.

    Raises:
        IngestError: If it is not a whole zip, or is larger than a zip of pictures can be.
    """
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, UnicodeDecodeError) as error:
        raise IngestError(_damaged_zip(name)) from error
    # Not is_dir(), which fails on an empty name.
    members = [member for member in archive.infolist() if not member.filename.endswith(("/", "\\"))]
    _check_count(len(members))
    _check_members(members, name)
    return _without_common_root([_zip_file(archive, member) for member in members])


def uploaded_file(path: str, content: bytes) -> SourceFile:
    """Wrap a file that a browser sent; the first folder of its path is the one the person picked.

    Args:
        path: Its name, with its folders when a whole folder was dropped.
        content: Its bytes.
    """
    parts = _parts_of(path)
    return SourceFile(parts[1:] or parts, lambda: content)


def failing_file(path: str, *, is_too_large: bool) -> SourceFile:
    """Stand for a file that the browser could not send, so that it is listed with its reason.

    Args:
        path: Its name, with its folders when a whole folder was dropped.
        is_too_large: Whether its size was the reason.
    """

    def read() -> bytes:
        raise UnreadableImageError(_too_large() if is_too_large else _("the browser could not read it"))

    return SourceFile(uploaded_file(path, b"").parts, read)


def _file_reader(path: Path) -> Callable[[], bytes]:
    def read() -> bytes:
        try:
            if path.stat().st_size > MAX_FILE_BYTES:
                raise UnreadableImageError(_too_large())
            return path.read_bytes()
        except OSError as error:
            raise UnreadableImageError(
                _("it cannot be read ({reason})").format(reason=error.strerror or error)
            ) from error

    return read


def _zip_file(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> SourceFile:
    def read() -> bytes:
        if member.flag_bits & 1:
            raise UnreadableImageError(_("it is locked with a password"))
        if stat.S_ISLNK(member.external_attr >> 16):
            raise UnreadableImageError(_("it is only a link to another file"))
        try:
            with archive.open(member) as opened:
                content = opened.read(MAX_FILE_BYTES + 1)
        except _UNPACKING_ERRORS as error:
            raise UnreadableImageError(_("it is damaged inside the zip file")) from error
        if len(content) > MAX_FILE_BYTES:
            raise UnreadableImageError(_too_large())
        return content

    return SourceFile(_parts_of(member.filename), read)


def _parts_of(path: str) -> tuple[str, ...]:
    parts = tuple(part for part in path.replace("\\", "/").split("/") if part not in ("", ".", ".."))
    return parts or (path,)


def _without_common_root(files: list[SourceFile]) -> list[SourceFile]:
    """Drop the one folder around all class folders, if there is one."""
    wanted = [file for file in files if not file.is_system_file]
    roots = {file.parts[0] for file in wanted if len(file.parts) > 1}
    has_classes_below = any(len(file.parts) > 2 for file in wanted)
    if len(roots) != 1 or not has_classes_below:
        return files
    return [
        SourceFile(file.parts[1:], file.read) if file.parts[0] in roots and len(file.parts) > 1 else file
        for file in files
    ]


def _check_count(num_files: int) -> None:
    if num_files > MAX_FILES:
        raise IngestError(
            _(
                "There are {count:,} files; up to {limit:,} are taken at once. Split them and add the parts."
            ).format(count=num_files, limit=MAX_FILES)
        )


def _check_members(members: list[zipfile.ZipInfo], name: str) -> None:
    packed = sum(member.compress_size for member in members)
    unpacked = sum(member.file_size for member in members)
    ordered = sorted(members, key=lambda member: member.header_offset)
    overlapping = any(
        first.header_offset + first.compress_size > second.header_offset
        for first, second in pairwise(ordered)
    )
    if unpacked > MAX_TOTAL_BYTES or unpacked > max(packed * MAX_ZIP_RATIO, 10 * 1024**2):
        raise IngestError(
            _(
                "{name} was not opened: unpacked it would be {size:,.0f} MB, far more than a zip file of pictures "
                "can be. Pack only the pictures and choose the new file."
            ).format(name=clean_name(name), size=unpacked / 1e6)
        )
    if overlapping:
        raise IngestError(_damaged_zip(name))


def _damaged_zip(name: str) -> str:
    return _(
        "{name} is not a zip file, or it is damaged. Pack the folder with the class folders again and "
        "choose the new file."
    ).format(name=clean_name(name))


def _too_large() -> str:
    return _("the file is larger than {limit} MB").format(limit=MAX_FILE_BYTES // 1024**2)
