"""Checks that zip and tar share: unsafe names of members, and the unpacked size."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import islice

from transfer_core.data.limits import limits, setting_of
from transfer_core.data.records import Notice
from transfer_core.data.sources.imported_file import ImportedFile, refused_file, shown_name
from transfer_core.errors import IngestError
from transfer_core.language import _

# Below this size no archive is a bomb, however well it is packed: a white drawing is packed as well.
_HARMLESS_BYTES = 10 * 1024**2
_MAX_NAMES_IN_NOTICE = 5
_DRIVE = re.compile(r"[A-Za-z]:")

_ARCHIVES = {
    **{".zip": "zip", ".tar": "tar", ".tgz": "tar", ".tbz2": "tar", ".txz": "tar"},
    **{".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".rar": "RAR", ".7z": "7z", ".zst": "Zstandard"},
    **{".lz4": "LZ4", ".cab": "cabinet", ".iso": "ISO", ".dmg": "DMG", ".lzh": "LHA", ".sit": "StuffIt"},
}


def archive_kind(name: str) -> str:
    """Return the kind of archive that the ending of a file's name stands for; empty if it stands for none."""
    return next((kind for ending, kind in _ARCHIVES.items() if name.casefold().endswith(ending)), "")


def member_file(path: str, read: Callable[[], bytes], notices: tuple[Notice, ...] = ()) -> ImportedFile:
    """Return a member of an archive as a file. An unsafe name makes it a refused file.

    No file is ever written under the name of a member. Unsafe names come from people who hope that it is, so the
    content of such members is not read either.

    Args:
        path: Its name in the archive, with `/` or backslashes between folders.
        read: Returns its bytes.
        notices: Facts about how its name was read.
    """
    path = path.replace("\\", "/")
    reason = _unsafe_member_reason(path)
    if reason:
        return refused_file(path, reason, "unsafe")
    return ImportedFile(
        tuple(part for part in path.split("/") if part not in ("", ".")), read, notices=notices
    )


def names_in_doubt(archive: str, names: Iterable[str]) -> tuple[Notice, ...]:
    """Return the notice that the names in an archive may be read wrongly.

    Args:
        archive: Its name.
        names: Of its members, as they were read.
    """
    odd = (part for name in names for part in re.split(r"[/\\]", name) if not part.isascii())
    shown = tuple(islice(dict.fromkeys(map(shown_name, odd)), _MAX_NAMES_IN_NOTICE))
    return (Notice("names_in_doubt", shown_name(archive), shown),)


def unsafe_reason(path: str, *, is_on_disk: bool = True) -> str:
    """Return why a path may lead out of its folder; empty if it cannot.

    Args:
        path: Folders and name, with `/` between them.
        is_on_disk: Whether it will be opened. Otherwise `a: b/1.jpg` lies in a folder like any other.
    """
    if "\0" in path:
        return _("its name holds a zero character, which hides what follows")
    if path.startswith("/"):
        return _("its path starts at the top of a disk")
    if _DRIVE.match(path) and (is_on_disk or path[2:3] == "/"):
        return _("its path starts with a drive ({drive})").format(drive=path[:2])
    if ".." in path.split("/"):
        return _("its path leads out of the folder (..)")
    return ""


def _unsafe_member_reason(path: str) -> str:
    """Return why a name in an archive is unsafe; empty if it is not."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not parts:
        return _("it has no name")
    if reason := unsafe_reason(path, is_on_disk=False):
        return reason
    if len(parts) > limits().depth + 1:
        return _("it lies in more than {limit} folders within each other").format(limit=limits().depth)
    return ""


def allowed_size(packed: int) -> int:
    """Return how many bytes an archive of `packed` bytes may have when it is unpacked."""
    return min(limits().total_bytes, max(packed * limits().ratio, _HARMLESS_BYTES))


def check_unpacked_size(unpacked: int, packed: int, name: str) -> None:
    """Raise an error for an archive that is larger than one of photos can be.

    Args:
        unpacked: Bytes of its content, as far as known.
        packed: Bytes of the archive.
        name: Of the archive, for messages.

    Raises:
        IngestError: If it is too large.
    """
    if unpacked > limits().total_bytes:
        raise IngestError(
            _(
                "{name} was not opened: it has more than {limit:,} MB in it. Split it and add the parts. "
                "(The limit is the setting {setting}.)"
            ).format(name=shown_name(name), limit=limits().total_mb, setting=setting_of("total_mb"))
        )
    if unpacked > allowed_size(packed):
        raise IngestError(
            _(
                "{name} was not opened: unpacked it is more than {limit:,} times as large. "
                "Pack only the photos and choose the new file. (The limit is the setting {setting}.)"
            ).format(name=shown_name(name), limit=limits().ratio, setting=setting_of("ratio"))
        )
