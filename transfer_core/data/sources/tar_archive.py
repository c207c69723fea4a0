"""List the files in a tar, compressed or not, without writing any of them to disk."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import BinaryIO, NamedTuple

from transfer_core.data.parallel import SharedFile
from transfer_core.data.sources.imported_file import (
    ImportedFile,
    check_count,
    check_file_size,
    refused_file,
    shown_name,
)
from transfer_core.data.sources.members import (
    allowed_size,
    check_unpacked_size,
    member_file,
    names_in_doubt,
)
from transfer_core.data.sources.name_encoding import read_names
from transfer_core.errors import IngestError, UnreadableImageError
from transfer_core.language import _

_CHUNK_BYTES = 1024**2
_OPENERS: dict[bytes, Callable[[BinaryIO], BinaryIO]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),  # type: ignore[return-value,dict-item]
    b"BZh": bz2.BZ2File,  # type: ignore[dict-item]
    b"\xfd7zXZ\0": lzma.LZMAFile,  # type: ignore[dict-item]
}
_DAMAGES = (
    tarfile.TarError,
    EOFError,
    ValueError,
    zlib.error,
    lzma.LZMAError,
    gzip.BadGzipFile,
    OverflowError,
)


def is_tar(file: BinaryIO) -> bool:
    """Return whether a file starts like a tar, or is compressed as tars are. Seeks to the start of the file."""
    file.seek(0)
    start = file.read(tarfile.BLOCKSIZE)
    file.seek(0)
    if start.startswith(tuple(_OPENERS)):
        return True
    try:
        tarfile.TarInfo.frombuf(start, "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError):
        return False
    return True


@contextmanager
def tar_source(file: BinaryIO, name: str) -> Iterator[list[ImportedFile]]:
    """List the files of a tar, which may be compressed with gzip, bzip2 or xz.

    A compressed tar can only be read from its start, so it is decompressed as a whole into a temporary file without a
    name; memory stays bounded. No member's name becomes a path.

    Args:
        file: The open tar, which must stay open while the files are read.
        name: Of the tar, for messages.

    Raises:
        IngestError: If it is not a whole tar, is larger than a tar of photos can be, or the disk is full.
    """
    file.seek(0)
    start = file.read(6)
    file.seek(0)
    unpack = next((opener for magic, opener in _OPENERS.items() if start.startswith(magic)), None)
    if unpack is None:
        yield _files(file, name)
        return
    with tempfile.TemporaryFile() as plain:
        _unpack(file, unpack, plain, name)
        yield _files(plain, name)


def _unpack(file: BinaryIO, unpack: Callable[[BinaryIO], BinaryIO], plain: BinaryIO, name: str) -> None:
    packed = file.seek(0, os.SEEK_END)
    file.seek(0)
    size, allowed = 0, allowed_size(packed)
    try:
        with unpack(file) as unpacked:
            while chunk := unpacked.read(_CHUNK_BYTES):
                size += len(chunk)
                if size > allowed:
                    check_unpacked_size(size, packed, name)
                _write(plain, chunk, name)
    except (*_DAMAGES, OSError) as error:
        raise IngestError(_damaged(name)) from error


def _write(plain: BinaryIO, chunk: bytes, name: str) -> None:
    try:
        plain.write(chunk)
        plain.flush()
    except OSError as error:
        raise IngestError(
            _(
                "{name} could not be unpacked: {reason}. Free some space, or unpack it yourself and choose the folder."
            ).format(name=shown_name(name), reason=error)
        ) from error


def _files(file: BinaryIO, name: str) -> list[ImportedFile]:
    check_unpacked_size(file.seek(0, os.SEEK_END), file.tell(), name)
    file.seek(0)
    shared = SharedFile(file)
    members: list[_Member] = []
    try:
        with tarfile.open(fileobj=_Headers(file), mode="r:", encoding="utf-8") as archive:  # type: ignore[call-overload]
            while header := archive.next():
                # tarfile would keep the headers of all members in memory.
                archive.members.clear()
                if header.size < 0:
                    raise tarfile.ReadError("size below zero")
                if not header.isdir():
                    members.append(_member(header))
                    check_count(len(members))
    except (*_DAMAGES, OSError) as error:
        raise IngestError(_damaged(name)) from error
    return _named(shared, members, name)


class _Member(NamedTuple):
    """The facts of a header that are needed later.

    Args:
        name: As tarfile reads it: bytes that are not UTF-8 are halves of surrogate pairs.
        is_utf8: Whether its format says that the name is UTF-8.
        offset: Of its content in the tar, in bytes.
        size: Of its content in bytes.
        refusal: Why it is not read; empty if it is.
    """

    name: str
    is_utf8: bool
    offset: int
    size: int
    refusal: str


def _member(header: tarfile.TarInfo) -> _Member:
    refusal = ""
    if header.issym() or header.islnk():
        refusal = _("it is only a link to another file")
    elif not header.isreg() or header.issparse():
        refusal = _("it is not a plain file")
    return _Member(header.name, "path" in header.pax_headers, header.offset_data, header.size, refusal)


def _named(shared: SharedFile, members: list[_Member], tar_name: str) -> list[ImportedFile]:
    raw = [
        member.name.encode("utf-8", "surrogateescape") if not member.is_utf8 else b"" for member in members
    ]
    read = read_names(raw)
    notices = names_in_doubt(tar_name, read.names) if read.are_in_doubt else ()
    files = []
    for member, read_name in zip(members, read.names, strict=True):
        name = member.name if member.is_utf8 else read_name
        if member.refusal:
            files.append(refused_file(name, member.refusal, "unsafe"))
        else:
            content = partial(_read, shared, member.offset, member.size)
            files.append(member_file(name, content, () if read_name.isascii() else notices))
    return files


def _read(shared: SharedFile, offset: int, size: int) -> bytes:
    check_file_size(size)
    try:
        content = shared.read_at(offset, size)
    except OSError as error:
        raise UnreadableImageError(
            _("it cannot be read ({reason})").format(reason=error), "unreadable"
        ) from error
    if len(content) < size:
        raise UnreadableImageError(_("it is damaged inside the tar file"))
    return content


class _Headers:
    """Bounds the reads of tarfile, so that a header that claims any length cannot fill the memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek = file.seek
        self.tell = file.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _CHUNK_BYTES:
            raise tarfile.ReadError("header too long")
        return self._file.read(size)


def _damaged(name: str) -> str:
    return _(
        "{name} is not a tar file, or it is damaged. Pack the folder with the class folders again and "
        "choose the new file."
    ).format(name=shown_name(name))
