"""A file of an upload or import: its path and class, and a way to read it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from transfer_core.data.limits import limits, setting_of
from transfer_core.errors import IngestError, UnreadableImageError, UnreadableKind
from transfer_core.language import _
from transfer_core.schema import CONTROL_CHARACTERS

if TYPE_CHECKING:
    from transfer_core.data.records import Notice, Split

SPLIT_FOLDERS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
# Of Windows, macOS, storage devices, cameras and programs that show photos; compared without case.
_SYSTEM_NAMES = {
    *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "$recycle.bin", "recycler"),
    *("system volume information", "found.000", "zbthumbnail.info", "picasa.ini", "lost+found", "lost.dir"),
    *("__macosx", "icon\r", "network trash folder", "temporary items", "thevolumesettingsfolder"),
    *("@eadir", "#recycle", "@recycle", "@recently-snapshot", "#snapshot", "@tmp"),
}
_SYSTEM_STARTS = ("synophoto_thumb", "synoindex_", "~$")
# Nothing but joiners, marks without width and variants of a letter that is not there.
_INVISIBLE = re.compile(
    r"[\s\u00ad\u180b-\u180e\u200b-\u200d\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e0fff]*"
)
# The most that disks take for a file or a folder.
MAX_NAME_LENGTH = 255
_SHOWN_LENGTH = 60


@dataclass(frozen=True)
class ImportedFile:
    """A file of an upload or import, which may become an image.

    Args:
        parts: Its folders below the top of the folder or archive, and its name.
        read: Returns its bytes; raises `UnreadableImageError` when it cannot.
        label: Its class from a table; without one the folder is the class.
        given_split: Its split from a table; without one a top folder such as `train` is the split.
        series: Names the recording, session or file that it comes from; files of one series stay on one side of the
            split. Empty if it comes from none.
        notices: Facts about how it was read; each is kept once for the dataset.
        location: Its path if it is a file on this machine.
    """

    parts: tuple[str, ...]
    read: Callable[[], bytes]
    label: str | None = None
    given_split: Split | None = None
    series: str = ""
    notices: tuple[Notice, ...] = ()
    location: Path | None = None

    @property
    def path(self) -> str:
        """Its folders and name, cleaned and shortened for messages."""
        return shown_name("/".join(self.parts), max_length=200)

    @property
    def name(self) -> str:
        """Its name without folders, cleaned, at most 255 letters."""
        return clean_name(self.parts[-1])[:MAX_NAME_LENGTH]

    @property
    def is_system_file(self) -> bool:
        """Whether it belongs to an operating system."""
        return any(map(_is_of_the_system, self.parts))

    @property
    def class_name(self) -> str | None:
        """Its label, or the first folder that is not a split; None when there is neither."""
        if self.label is not None:
            return clean_name(self.label) or None
        folders = self.parts[:-1] if self._split_of_folder is None else self.parts[1:-1]
        return clean_name("".join(folders[:1])) or None

    @property
    def split(self) -> Split | None:
        """The split from a table or a top folder such as `train` or `val`, or None."""
        return self.given_split or self._split_of_folder

    @property
    def _split_of_folder(self) -> Split | None:
        # A folder "train" that holds pictures itself is the class of a vehicle.
        return split_named(self.parts[0]) if len(self.parts) > 2 else None


def refused_file(path: str, reason: str, kind: UnreadableKind, label: str | None = None) -> ImportedFile:
    """Return a file that fails when it is read, so that it is listed with its reason.

    Args:
        path: Its folders and name, with `/` between them.
        reason: In words that continue "left out because ...".
        kind: The reason as a code.
        label: Its class from a table.
    """

    def read() -> NoReturn:
        raise UnreadableImageError(reason, kind)

    # Always with a class: this reason must be shown, not that it is in no class folder.
    return ImportedFile(tuple(path.split("/")), read, clean_name(label or "") or "?")


def clean_name(name: str) -> str:
    """Return a name as it identifies a class: composed Unicode on one line, without control characters.

    Joiners of emoji and of Persian words, and letters that are newer than this Python, are part of a name.

    Args:
        name: From a file, a folder or a person.

    Returns:
        The whole name; empty when nothing in it is visible.
    """
    # White space first: tabs and line ends are control characters that separate words.
    words = (CONTROL_CHARACTERS.sub("", word) for word in name.split())
    composed = " ".join(unicodedata.normalize("NFC", " ".join(words)).split())
    return "" if _INVISIBLE.fullmatch(composed) else composed


def shown_name(name: str, max_length: int = _SHOWN_LENGTH) -> str:
    """Return a cleaned name for a message, with an ellipsis in its middle if it is long.

    Args:
        name: From a file, a folder or a person.
        max_length: In letters, at least 3.
    """
    cleaned = clean_name(name)
    if len(cleaned) <= max_length:
        return cleaned
    end = (max_length - 1) // 2
    return f"{cleaned[: max_length - 1 - end]}…{cleaned[-end:]}"


def matching_class(name: str, class_names: Collection[str]) -> str:
    """Return the class that a folder means: of the very same name, else the only one that differs in case.

    Args:
        name: Of the folder.
        class_names: How the model spells its classes.

    Returns:
        The name itself if there is no such class.
    """
    alike = [known for known in class_names if known.casefold() == name.casefold()]
    return alike[0] if name not in class_names and len(alike) == 1 else name


def split_named(name: str) -> Split | None:
    """Return the split that a folder or a cell of a table names, or None."""
    return SPLIT_FOLDERS.get(clean_name(name).casefold())


def without_common_root(files: list[ImportedFile]) -> list[ImportedFile]:
    """Drop the one folder around all class folders, if there is one.

    A folder that names a split is kept, and so is a folder with photos of its own and a single subfolder: that is a
    class.

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
    """Raise an error for more files than the limit.

    Args:
        num_files: Found so far.

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
    """Raise an error for a file that is larger than the limit.

    Raises:
        UnreadableImageError: If it is too large.
    """
    if num_bytes > limits().file_bytes:
        raise too_large()


def too_large() -> UnreadableImageError:
    """Return the error about a file that is larger than the limit."""
    return UnreadableImageError(
        _("the file is larger than {limit} MB").format(limit=limits().file_mb), "too_large"
    )


def _is_of_the_system(part: str) -> bool:
    name = part.casefold()
    # A name of dots alone is no hidden file: it leads to another folder.
    is_hidden = name.startswith(".") and name.strip(".") != ""
    return is_hidden or name in _SYSTEM_NAMES or name.startswith(_SYSTEM_STARTS)
