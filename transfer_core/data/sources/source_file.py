"""One file that may become an image: where it lies in its source, its class, and a way to read it."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from transfer_core.data.limits import limits, setting_of
from transfer_core.errors import IngestError, UnreadableImageError, UnreadableKind
from transfer_core.language import _

if TYPE_CHECKING:
    from transfer_core.data.records import Split

SPLIT_FOLDERS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
_SYSTEM_NAMES = {"thumbs.db", "desktop.ini", "__macosx"}
MAX_NAME_LENGTH = 60


@dataclass(frozen=True)
class SourceFile:
    """A file that may become an image.

    Args:
        parts: Its folders below the top of the source, and its name.
        read: Returns its bytes; raises `UnreadableImageError` when it cannot.
        label: Its class where a table says so; without it the folder is the class.
        table_split: Its split where a table says so; without it the folder may tell.
        location: Where it lies when it is a file on this machine.
    """

    parts: tuple[str, ...]
    read: Callable[[], bytes]
    label: str | None = None
    table_split: Split | None = None
    location: Path | None = None

    @property
    def path(self) -> str:
        """Its place in the source, for people."""
        return clean_name("/".join(self.parts), max_length=200)

    @property
    def is_system_file(self) -> bool:
        """Whether an operating system put it there and nobody misses it."""
        # A name of dots alone is hidden from nobody: it leads elsewhere.
        return any(
            (part.startswith(".") and part.strip(".") != "") or part.casefold() in _SYSTEM_NAMES
            for part in self.parts
        )

    @property
    def class_name(self) -> str | None:
        """Its label, or the first folder that is not a split; None when there is neither."""
        if self.label is not None:
            return clean_name(self.label) or None
        folders = self.parts[:-1] if self._split_of_folder is None else self.parts[1:-1]
        return clean_name("".join(folders[:1])) or None

    @property
    def split(self) -> Split | None:
        """The side that its table, or a top folder such as `train` or `val`, puts it on, or None."""
        return self.table_split or self._split_of_folder

    @property
    def _split_of_folder(self) -> Split | None:
        # A folder "train" that holds pictures itself is the class of a vehicle.
        return split_named(self.parts[0]) if len(self.parts) > 2 else None


def refused_file(path: str, reason: str, kind: UnreadableKind, label: str | None = None) -> SourceFile:
    """Stand for a file that is not taken in, so that it is listed with its reason.

    Args:
        path: Its place in the source, with `/` between folders.
        reason: Why, in words that continue "left out because ...".
        kind: The sort of reason.
        label: Its class where a table says so.
    """

    def read() -> NoReturn:
        raise UnreadableImageError(reason, kind)

    # It always has a class: this reason is to be told, not that it lies in no class folder.
    return SourceFile(tuple(path.split("/")), read, clean_name(label or "") or "?")


def clean_name(name: str, max_length: int = MAX_NAME_LENGTH) -> str:
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


def split_named(name: str) -> Split | None:
    """Return the split that a folder or a cell of a table names, or None."""
    return SPLIT_FOLDERS.get(clean_name(name).casefold())


def without_common_root(files: list[SourceFile]) -> list[SourceFile]:
    """Drop the one folder around all class folders, if there is one.

    A folder that names a split stays, and so does one with pictures of its own and a single subfolder: that
    is a class.

    Args:
        files: All files of a folder or an archive.
    """
    wanted = [file for file in files if not file.is_system_file and file.label is None]
    roots = {file.parts[0] for file in wanted if len(file.parts) > 1}
    subfolders = {file.parts[1] for file in wanted if len(file.parts) > 2}
    has_own_files = any(len(file.parts) == 2 for file in wanted)
    if len(roots) != 1 or not subfolders or (has_own_files and len(subfolders) == 1):
        return files
    root = roots.pop()
    if split_named(root):
        return files
    return [
        replace(file, parts=file.parts[1:]) if file.parts[0] == root and len(file.parts) > 1 else file
        for file in files
    ]


def check_count(num_files: int) -> None:
    """Make sure that there are not more files than are taken at once.

    Args:
        num_files: Files found so far.

    Raises:
        IngestError: If there are too many.
    """
    if num_files > limits().files:
        raise IngestError(
            _(
                "There are more than {limit:,} files, the most that is taken at once. Split them and add the "
                "parts. (The limit is the setting {setting}.)"
            ).format(limit=limits().files, setting=setting_of("files"))
        )


def check_file_size(num_bytes: int) -> None:
    """Make sure that one file is not larger than a picture can be.

    Args:
        num_bytes: Its size.

    Raises:
        UnreadableImageError: If it is.
    """
    if num_bytes > limits().file_bytes:
        raise too_large()


def too_large() -> UnreadableImageError:
    """Say that one file is larger than a picture can be."""
    return UnreadableImageError(
        _("the file is larger than {limit} MB").format(limit=limits().file_mb), "too_large"
    )
