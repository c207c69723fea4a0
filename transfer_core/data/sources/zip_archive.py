"""List the files in a zip, without unpacking it to disk."""

from __future__ import annotations

import lzma
import os
import stat
import struct
import zipfile
import zlib
from functools import partial
from itertools import pairwise
from typing import BinaryIO

from transfer_core.data.limits import limits
from transfer_core.data.sources.imported_file import ImportedFile, check_count, check_file_size, clean_name
from transfer_core.data.sources.members import check_unpacked_size, member_file
from transfer_core.data.sources.tables.table import arranged
from transfer_core.errors import IngestError, UnreadableImageError
from transfer_core.language import _

# Errors of zipfile on damaged or hostile archives (found by feeding it mutated files).
UNPACKING_ERRORS = (
    zipfile.BadZipFile,
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
)
_END, _END_SIZE, _MAX_COMMENT = b"PK\5\6", 22, 65_535
_END_64, _END_64_SIZE, _LOCATOR_SIZE = b"PK\6\6", 56, 20
# One entry of the central directory: with the limit on files it bounds the memory for the list of members.
MAX_BYTES_PER_ENTRY = 1024
_LOCKED, _UTF8 = 1, 0x800


def zip_source(file: BinaryIO, name: str) -> list[ImportedFile]:
    """List the files of a zip. Nothing is unpacked to disk and no member's name becomes a path.

    Args:
        file: The open zip, which must stay open while the files are read.
        name: Of the zip, for messages.

    Raises:
        IngestError: If it is not a whole zip, or is larger than a zip of photos can be.
    """
    try:
        if size_of_list(file) > limits().files * MAX_BYTES_PER_ENTRY:
            check_count(limits().files + 1)
        archive = zipfile.ZipFile(file)
    except (OSError, ValueError, NotImplementedError, struct.error, zipfile.BadZipFile) as error:
        raise IngestError(_damaged(name)) from error
    # Not is_dir(), which fails on an empty name.
    members = [member for member in archive.infolist() if not member.filename.endswith(("/", "\\"))]
    check_count(len(members))
    unpacked, packed = (sum(sizes) for sizes in _sizes(members))
    check_unpacked_size(unpacked, packed, name)
    _check_overlaps(members, name)
    return arranged([member_file(_name_of(member), partial(_read, archive, member)) for member in members])


def size_of_list(file: BinaryIO) -> int:
    """Return the size in bytes of the central directory, which zipfile reads into memory as a whole."""
    size = file.seek(0, os.SEEK_END)
    start = max(0, size - _END_SIZE - _MAX_COMMENT - _LOCATOR_SIZE - _END_64_SIZE)
    file.seek(start)
    tail = file.read()
    end = tail.rfind(_END)
    if end < 0 or len(tail) - end < _END_SIZE:
        return 0
    (list_size,) = struct.unpack_from("<I", tail, end + 12)
    large_end = end - _LOCATOR_SIZE - _END_64_SIZE
    if large_end >= 0 and tail.startswith(_END_64, large_end):
        (list_size,) = struct.unpack_from("<Q", tail, large_end + 40)
    return int(list_size)


def _sizes(members: list[zipfile.ZipInfo]) -> tuple[list[int], list[int]]:
    return [member.file_size for member in members], [member.compress_size for member in members]


def lie_over_each_other(members: list[zipfile.ZipInfo]) -> bool:
    """Return whether members share compressed bytes, which lets a small file hold any amount."""
    ordered = sorted(members, key=lambda member: member.header_offset)
    return any(
        first.header_offset + first.compress_size > second.header_offset
        for first, second in pairwise(ordered)
    )


def _check_overlaps(members: list[zipfile.ZipInfo], name: str) -> None:
    if lie_over_each_other(members):
        raise IngestError(
            _(
                "{name} was not opened: files in it lie over each other, as in no archive of pictures. Pack only "
                "the pictures and choose the new file."
            ).format(name=clean_name(name))
        )


def _name_of(member: zipfile.ZipInfo) -> str:
    # zipfile cuts the name at a zero character; keep the rest, so that the check of names sees it.
    name = member.orig_filename
    if member.flag_bits & _UTF8:
        return name
    # Many programs write UTF-8 without its flag; zipfile then decodes the bytes as code page 437.
    try:
        return name.encode("cp437").decode("utf-8")
    except UnicodeError:
        return name


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.flag_bits & _LOCKED:
        raise UnreadableImageError(_("it is locked with a password"), "unreadable")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise UnreadableImageError(_("it is only a link to another file"), "unsafe")
    check_file_size(member.file_size)
    try:
        # zipfile returns no more than the size that was checked, whatever is packed.
        return archive.read(member)
    except UNPACKING_ERRORS as error:
        raise UnreadableImageError(_("it is damaged inside the zip file")) from error


def _damaged(name: str) -> str:
    return _(
        "{name} is not a zip file, or it is damaged. Pack the folder with the class folders again and "
        "choose the new file."
    ).format(name=clean_name(name))
