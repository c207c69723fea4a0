"""A file of an upload or import: its path and class, and a way to read it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, NoReturn

from transfer_core.data.limits import limits, setting_of
from transfer_core.errors import IngestError, UnreadableImageError, UnreadableKind
from transfer_core.language import _
from transfer_core.schema import CONTROL_CHARACTERS

if TYPE_CHECKING:
    from transfer_core.data.records import Notice, Split

# Files that lie beside photos. They say nothing about the structure, whatever folder they are in.
_OTHER_ENDINGS = {
    *(".txt", ".md", ".rst", ".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".xml", ".yaml"),
    *(".yml", ".xls", ".xlsx", ".ods", ".pdf", ".doc", ".docx", ".html", ".htm", ".css", ".js", ".py"),
    *(".ipynb", ".sh", ".bat", ".m", ".mat", ".npy", ".npz", ".pkl", ".pickle", ".h5", ".hdf5", ".pt"),
    *(".pth", ".onnx", ".tflite", ".db", ".ini", ".log", ".lst", ".names", ".data", ".cfg", ".rtf", ".tex"),
    *(".url", ".lnk", ".torrent", ".sha256", ".md5", ".xmp", ".aae", ".cache"),
}
# Of Windows, macOS, storage devices, cameras and programs that show photos; compared without case.
_SYSTEM_NAMES = {
    *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "$recycle.bin", "recycler"),
    *("system volume information", "found.000", "zbthumbnail.info", "picasa.ini", "lost+found", "lost.dir"),
    *("__macosx", "icon\r", "network trash folder", "temporary items", "thevolumesettingsfolder"),
    *("_ds_store", "@eadir", "#recycle", "@recycle", "@recently-snapshot", "#snapshot", "@tmp"),
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
        label: Its class; empty if it has none. None before the layout was read: its first folder is then the class.
        split: Its part of the person's own split, if there is one.
        series: Names the recording, session or file that it comes from; files of one series stay on one side of the
            split. Empty if it comes from none.
        notices: Facts about how it was read; each is kept once for the dataset.
        location: Its path if it is a file on this machine.
        is_refused: Whether it is only listed with a reason, which reading it raises.
    """

    parts: tuple[str, ...]
    read: Callable[[], bytes]
    label: str | None = None
    split: Split | None = None
    series: str = ""
    notices: tuple[Notice, ...] = ()
    location: Path | None = None
    is_refused: bool = False

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
    def may_be_photo(self) -> bool:
        """Whether its ending is none of a file that lies beside photos. A photo may have no ending."""
        return PurePath(self.parts[-1]).suffix.casefold() not in _OTHER_ENDINGS

    @property
    def class_name(self) -> str | None:
        """Its label, or its first folder before the layout was read; None when there is neither."""
        label = "".join(self.parts[:-1][:1]) if self.label is None else self.label
        return clean_name(label) or None


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

    return ImportedFile(tuple(path.split("/")), read, label, is_refused=True)


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
    """Return the class with the name of a folder, else the only class whose name differs just in case.

    Args:
        name: Of the folder.
        class_names: How the model spells its classes.

    Returns:
        The name itself if there is no such class.
    """
    alike = [known for known in class_names if known.casefold() == name.casefold()]
    return alike[0] if name not in class_names and len(alike) == 1 else name


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
