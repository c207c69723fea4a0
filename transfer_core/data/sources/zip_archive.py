"""List the files in a zip, without unpacking it to disk."""

from __future__ import annotations

import lzma
import os
import re
import stat
import struct
import zipfile
import zlib
from contextlib import suppress
from functools import partial
from itertools import pairwise
from typing import BinaryIO

from transfer_core.data.limits import limits
from transfer_core.data.records import Notice
from transfer_core.data.sources.imported_file import ImportedFile, check_count, check_file_size, shown_name
from transfer_core.data.sources.members import check_unpacked_size, member_file, names_in_doubt
from transfer_core.data.sources.name_encoding import read_names
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
_LOCKED, _STRONGLY_LOCKED, _UTF8 = 1, 0x40, 0x800
_AES, _UNICODE_PATH = 99, 0x7075
_READABLE = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
_PACKINGS = {
    **{1: "Shrink", 6: "Implode", 9: "Deflate64", 20: "Zstandard", 93: "Zstandard"},
    **{94: "MP3", 95: "XZ", 96: "JPEG", 97: "WavPack", 98: "PPMd"},
}
# Of the first file of a zip in several files, and the names of all but the last.
_SPLIT = b"PK\7\x08"
_PART = re.compile(r"\.z\d\d$|\.zip\.\d{3}$", re.IGNORECASE)


def zip_source(file: BinaryIO, name: str) -> list[ImportedFile]:
    """List the files of a zip. Nothing is unpacked to disk and no member's name becomes a path.

    Args:
        file: The open zip, which must stay open while the files are read.
        name: Of the zip, for messages.

    Raises:
        IngestError: If it is not a whole zip, or is larger than a zip of photos can be.
    """
    _check_one_part(file, name)
    try:
        if size_of_list(file) > limits().files * MAX_BYTES_PER_ENTRY:
            check_count(limits().files + 1)
        archive = zipfile.ZipFile(file)
    except NotImplementedError as error:
        raise IngestError(_packed_otherwise(name, _("a newer one"))) from error
    except (OSError, ValueError, struct.error, zipfile.BadZipFile) as error:
        raise IngestError(_one_part(name) if _PART.search(name) else _damaged(name)) from error
    entries = archive.infolist()
    # A folder ends in a separator; is_dir() fails on an empty name.
    named = [
        (member, path, notices)
        for member, (path, notices) in zip(entries, _names(entries, name), strict=True)
        if not path.endswith(("/", "\\"))
    ]
    members = [member for member, _path, _notices in named]
    for member in members:
        member.orig_filename = _AnyName(member.orig_filename)
    check_count(len(members))
    unpacked, packed = (sum(sizes) for sizes in _sizes(members))
    check_unpacked_size(unpacked, packed, name)
    _check_overlaps(members, name)
    _check_any_readable(members, name)
    return [member_file(path, partial(_read, archive, member), notices) for member, path, notices in named]


def _check_one_part(file: BinaryIO, name: str) -> None:
    """Raise an error about a zip in several files, of which zipfile finds the last one damaged."""
    tail, end = _end_of(file)
    disk = struct.unpack_from("<H", tail, end + 4)[0] if end >= 0 else 0
    file.seek(0)
    if file.read(4) == _SPLIT or 0 < disk < 0xFFFF:
        raise IngestError(_one_part(name))


def _check_any_readable(members: list[zipfile.ZipInfo], name: str) -> None:
    """Raise one error where the same reason would be said of every file."""
    if members and all(map(_is_locked, members)):
        raise IngestError(
            _("{name} is locked with a password. Unpack it yourself, and choose the folder.").format(
                name=shown_name(name)
            )
        )
    if members and not any(member.compress_type in _READABLE for member in members):
        raise IngestError(_packed_otherwise(name, _packing(members[0])))


def size_of_list(file: BinaryIO) -> int:
    """Return the size in bytes of the central directory, which zipfile reads into memory as a whole."""
    tail, end = _end_of(file)
    if end < 0:
        return 0
    (list_size,) = struct.unpack_from("<I", tail, end + 12)
    large_end = end - _LOCATOR_SIZE - _END_64_SIZE
    if large_end >= 0 and tail.startswith(_END_64, large_end):
        (list_size,) = struct.unpack_from("<Q", tail, large_end + 40)
    return int(list_size)


def _end_of(file: BinaryIO) -> tuple[bytes, int]:
    """Return the last bytes of a file, and where in them the record at the end of a zip starts; -1 without one."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _END_SIZE - _MAX_COMMENT - _LOCATOR_SIZE - _END_64_SIZE))
    tail = file.read()
    end = tail.rfind(_END)
    return tail, end if len(tail) - end >= _END_SIZE else -1


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
                "{name} was not opened: files in it overlap, which may be harmful. "
                "Pack only the photos and choose the new file."
            ).format(name=shown_name(name))
        )


def _names(entries: list[zipfile.ZipInfo], zip_name: str) -> list[tuple[str, tuple[Notice, ...]]]:
    """Return the name of each member, and the notice if it is in doubt.

    Its UTF-8 flag or its Unicode Path field decide; all names without them have one encoding.
    """
    # zipfile cuts `filename` at a zero character; keep the rest, so that the check of names sees it.
    names = [entry.orig_filename if entry.flag_bits & _UTF8 else _unicode_path(entry) for entry in entries]
    unknown = [place for place, name in enumerate(names) if not name]
    read = read_names([_raw_name(entries[place]) for place in unknown])
    for place, name in zip(unknown, read.names, strict=True):
        names[place] = name
    notices = names_in_doubt(zip_name, read.names) if read.are_in_doubt else ()
    return [(name, () if name.isascii() else notices) for name in names]


def _raw_name(entry: zipfile.ZipInfo) -> bytes:
    # zipfile reads bytes without the UTF-8 flag as code page 437, in which every byte is a letter.
    return entry.orig_filename.encode("cp437")


def _unicode_path(entry: zipfile.ZipInfo) -> str:
    """Return the name in the Unicode Path field of Info-ZIP; empty if there is none that fits the member's name."""
    extra = entry.extra
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        content, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == _UNICODE_PATH and len(content) > 5:
            version, checksum = struct.unpack_from("<BL", content)
            # A program that renames the member without knowing the field leaves an outdated checksum.
            if version == 1 and checksum == zlib.crc32(_raw_name(entry)):
                with suppress(UnicodeDecodeError):
                    return content[5:].decode("utf-8")
    return ""


class _AnyName(str):
    """The name of a member that zipfile finds equal to its second copy, whatever that says.

    A member is read by its place, and some programs write the two copies in different encodings.
    """

    __slots__ = ()
    __hash__ = str.__hash__

    def __ne__(self, other: object) -> bool:
        return not isinstance(other, str)


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if _is_locked(member):
        raise UnreadableImageError(_("it is locked with a password"), "unreadable")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise UnreadableImageError(_("it is only a link to another file"), "unsafe")
    if member.compress_type not in _READABLE:
        reason = _("its compression ({way}) cannot be read here; pack it as an ordinary zip")
        raise UnreadableImageError(reason.format(way=_packing(member)), "packing")
    check_file_size(member.file_size)
    try:
        # zipfile returns no more than the size that was checked, whatever is packed.
        return archive.read(member)
    except UNPACKING_ERRORS as error:
        raise UnreadableImageError(_("it is damaged inside the zip file")) from error


def _is_locked(member: zipfile.ZipInfo) -> bool:
    return bool(member.flag_bits & (_LOCKED | _STRONGLY_LOCKED)) or member.compress_type == _AES


def _packing(member: zipfile.ZipInfo) -> str:
    return _PACKINGS.get(member.compress_type, str(member.compress_type))


def _packed_otherwise(name: str, way: str) -> str:
    if way == "Deflate64":
        return _(
            "{name} is packed in a way that cannot be read here (Deflate64). Windows writes large zips so. "
            "Unpack it and choose the folder."
        ).format(name=shown_name(name))
    return _(
        "{name} is packed in a way that cannot be read here ({way}). Unpack it and choose the folder, or pack it again "
        "as an ordinary zip."
    ).format(name=shown_name(name), way=way)


def _one_part(name: str) -> str:
    return _(
        "{name} is one part of a zip in several parts. Unpack all parts together and choose the folder, or pack it "
        "again as one zip."
    ).format(name=shown_name(name))


def _damaged(name: str) -> str:
    return _(
        "{name} is not a zip file, or it is damaged. Pack the folder with the class folders again and "
        "choose the new file."
    ).format(name=shown_name(name))
