"""The meanings that a folder may have: the person's choice, and the question when there are several."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.errors import IngestError
from transfer_core.language import _, names_list, plural

if TYPE_CHECKING:
    from transfer_core.data.records import Split

LayoutName = Literal["classes", "split", "together", "subfolders", "folder", "names", "table"]
LAYOUTS: tuple[LayoutName, ...] = get_args(LayoutName)
Ambiguity = Literal[
    "same_folders", "versions", "split_or_classes", "flat_parts", "names", "table", "columns", "subfolders"
]

_MAX_NAMES = 5


@dataclass(frozen=True)
class LayoutChoice:
    """The meaning that a person chose for a folder.

    Args:
        layout: `"classes"`: each top folder is a class. `"split"`: the top folders are training, validation and test
            photos. `"together"`: the classes of all top folders are put together. `"subfolders"`: the folders below
            the top ones are the classes. `"folder"`: only one top folder counts. `"names"`: the file names hold the
            classes. `"table"`: a table holds the classes.
        folder: Of `"folder"`.
        column: Of `"table"`: the column with the classes; found by its content if empty.
    """

    layout: LayoutName
    folder: str = ""
    column: str = ""


@dataclass(frozen=True)
class LayoutQuestion:
    """Two or more meanings of the same folder.

    Args:
        kind: What is ambiguous.
        folders: The folders in question; columns of a table for `"columns"`.
        class_names: The classes of the first choice; of the second for `"subfolders"`.
        choices: The meanings, the likeliest first.
        table: Name of the table, where there is one.
        samples: A few photos of each folder or class, to be shown with the question.
        parts: The part of the split that each folder would be, if a split is one of the choices.
    """

    kind: Ambiguity
    folders: tuple[str, ...]
    class_names: tuple[str, ...]
    choices: tuple[LayoutChoice, ...]
    table: str = ""
    samples: Mapping[str, Sequence[ImportedFile]] = field(default_factory=dict)
    parts: Mapping[str, Split] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """The question in words."""
        folders, classes = names_list(self.folders, has_and=True), listed(self.class_names)
        match self.kind:
            case "same_folders":
                return _("{folders} hold the same folders: {classes}. Are they parts of a split?").format(
                    folders=folders, classes=classes
                )
            case "versions":
                return _(
                    "{folders} seem to hold the same photos in different versions. Which ones do you want?"
                ).format(folders=folders)
            case "split_or_classes":
                return _("{folders} could be parts of a split, or classes. Which is right?").format(
                    folders=folders
                )
            case "flat_parts":
                return _("The photos in {folders} are not in class folders. Where are their classes?").format(
                    folders=folders
                )
            case "names":
                return _("All photos are in one folder. Are their classes in their names: {classes}?").format(
                    classes=classes
                )
            case "table":
                return _("The folders and the table {table} give different classes. Which are right?").format(
                    table=self.table
                )
            case "subfolders":
                return _("The class folders have folders in them. Which ones are your classes?")
            case "columns":
                return _("Several columns of {table} could hold the class. Which one is it?").format(
                    table=self.table
                )

    def answer(self, choice: LayoutChoice) -> str:
        """Return the words for one of the choices."""
        match choice.layout:
            case "split":
                return _("Yes: {parts}").format(
                    parts=names_list(map(self._part, self.parts.items()), has_and=True)
                )
            case "together":
                return _("Put them together: {classes}").format(classes=listed(self.class_names))
            case "subfolders":
                return plural(
                    "{count} class: {classes}",
                    "{count} classes: {classes}",
                    len(self.class_names),
                    classes=listed(self.class_names),
                )
            case "folder":
                return _("Only {folder}").format(folder=choice.folder)
            case "names":
                return _("Yes, take them from the names")
            case "table" if choice.column:
                return _("The column {column}").format(column=choice.column)
            case "table":
                return _("The table {table}").format(table=self.table)
            case "classes":
                return plural(
                    "{count} class: {classes}",
                    "{count} classes: {classes}",
                    len(self.folders),
                    classes=listed(self.folders),
                )

    def _part(self, part: tuple[str, Split]) -> str:
        folder, split = part
        match split:
            case "train":
                return _("{folder} for training").format(folder=folder)
            case "validation":
                return _("{folder} for validation").format(folder=folder)
            case "test":
                return _("{folder} for testing").format(folder=folder)


class LayoutQuestionError(IngestError):
    """A folder has several meanings, and only the person knows which is right.

    Args:
        question: The meanings.
    """

    def __init__(self, question: LayoutQuestion) -> None:
        super().__init__(question.sentence)
        self.question = question


def listed(names: Collection[str]) -> str:
    """Return the first names in one line, and the number of the others."""
    if len(names) <= _MAX_NAMES:
        return names_list(names)
    return _("{names} and {count:,} more").format(
        names=names_list(list(names)[:_MAX_NAMES]), count=len(names) - _MAX_NAMES
    )
