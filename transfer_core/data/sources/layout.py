"""Give every file of a folder, archive or upload its class: from folders, a table, or file names.

Where there are two meanings, the person is asked: a label is never guessed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args

from transfer_core.data.records import Notice, ReadAs, Split
from transfer_core.data.sources.folder_layout import FolderReading, read_folders
from transfer_core.data.sources.folder_names import folded, is_number, is_photo_part
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.data.sources.layout_choice import LayoutChoice, LayoutQuestion, LayoutQuestionError
from transfer_core.data.sources.tables.columns import share_of_one_to_one
from transfer_core.data.sources.tables.table import MIN_AGREEMENT, TableReading, TablesFound, read_tables
from transfer_core.errors import IngestError
from transfer_core.language import _

# A table that names fewer of the photos than this was made for other photos.
_MIN_NAMED = 0.5
_NUM_SAMPLES = 4
_NUMBER = re.compile(r"[\d\s._\-]+")


@dataclass(frozen=True)
class Reading:
    """Files with their classes.

    Args:
        files: All files; those without a class say why when they are read.
        read_as: How they were understood.
        alternative: A question with another meaning that is less likely but possible.
    """

    files: list[ImportedFile]
    read_as: ReadAs
    alternative: LayoutQuestion | None = None


def read_layout(files: Sequence[ImportedFile], choice: LayoutChoice | None = None) -> Reading:
    """Return the files of a folder, archive or upload with their classes.

    Args:
        files: All files as they are listed, with their folders.
        choice: The meaning that a person chose, if they were asked.

    Raises:
        LayoutQuestionError: If the files have several meanings and there is no choice.
        IngestError: If the choice does not fit the files.
    """
    settled = [
        file for file in files if file.is_system_file or (file.label is not None and not file.is_refused)
    ]
    refused = [file for file in files if file.is_refused and not file.is_system_file]
    known = set(map(id, (*settled, *refused)))
    unlabelled = [file for file in files if id(file) not in known]
    # A table may name a file that cannot be read: its own reason says more than that it is missing.
    found = read_tables([*unlabelled, *refused], (choice.column or None) if choice else None)
    if choice and choice.layout == "table":
        if found.best is None:
            raise IngestError(
                _("No table names these photos. Expected was one with a column of names and one of classes.")
            )
        return _by_table(found.best, found, settled)
    if choice is None and (table := _decisive(found.best, unlabelled)):
        return _by_table(table, found, settled)
    folders = read_folders(unlabelled, choice)
    return _by_folders(folders, found, [*refused, *settled], is_chosen=choice is not None)


def labelled_files(files: Sequence[ImportedFile], choice: LayoutChoice | None = None) -> list[ImportedFile]:
    """Return files with their classes, as `read_layout` does.

    Raises:
        LayoutQuestionError: If the files have several meanings and there is no choice.
        IngestError: If the choice does not fit the files.
    """
    return read_layout(files, choice).files


def _decisive(table: TableReading | None, files: Sequence[ImportedFile]) -> TableReading | None:
    """Return a table that counts rather than the folders, or None; raise the question where they disagree."""
    if table is None:
        return None
    photos = [file for file in files if file.may_be_photo]
    names_most = table.num_named >= _MIN_NAMED * len(photos)
    try:
        folders = read_folders(files)
    except LayoutQuestionError:
        return table if names_most else None
    if len(folders.class_names) < 2 or (names_most and _are_numbered(folders.class_names)):
        return table
    if not names_most:
        return None
    of_folders = {
        file.parts: file.class_name for file in folders.files if file.class_name and not file.is_refused
    }
    pairs = Counter(
        (file.class_name, of_folders[file.parts])
        for file in table.files
        if file.class_name and not file.is_refused and file.parts in of_folders
    )
    if share_of_one_to_one(pairs) >= MIN_AGREEMENT:
        # The folders settle which of several columns holds the class.
        is_whole = not table.label_columns and table.num_named >= len(of_folders)
        return _with_names(table, pairs) if is_whole else None
    if not table.is_certain:
        return None
    raise LayoutQuestionError(_folders_or_table(folders, table))


def _with_names(table: TableReading, pairs: Counter[tuple[str, str]]) -> TableReading:
    """Return a table whose classes are numbers with the names of the folders, if those are none."""
    names = {label: folder for (label, folder), _count in reversed(pairs.most_common())}
    if not all(map(is_number, names)) or any(map(is_number, names.values())):
        return table
    files = [replace(file, label=names.get(file.class_name or "", file.label)) for file in table.files]
    return replace(table, files=files)


def _are_numbered(names: Sequence[str]) -> bool:
    """Return whether folders hold parts of the photos: `images_part_1` and `images_part_2`, not `c1` and `c2`."""
    is_one = len({_NUMBER.sub("", folded(name)).strip() for name in names}) == 1
    return is_one and all(map(is_photo_part, names))


def _folders_or_table(folders: FolderReading, table: TableReading) -> LayoutQuestion:
    names = tuple(folders.class_names)
    columns = (table.label_column, *table.label_columns) if table.label_columns else ("",)
    choices = (*(LayoutChoice("table", column=column) for column in columns), LayoutChoice("classes"))
    return LayoutQuestion("table", names, names, choices, table.name, _samples_of(folders))


def _by_table(table: TableReading, found: TablesFound, settled: list[ImportedFile]) -> Reading:
    if table.label_columns or not table.is_certain:
        columns = (table.label_column, *table.label_columns)
        choices = tuple(LayoutChoice("table", column=column) for column in columns)
        raise LayoutQuestionError(LayoutQuestion("columns", columns, (), choices, table.name))
    files = [*_with_notices(table.files, found.notices), *settled]
    num_classes = len({file.class_name for file in table.files if file.class_name and not file.is_refused})
    splits = _splits_of(table.files)
    return Reading(files, ReadAs("table", num_classes, table.name, table.label_column, splits))


def _by_folders(
    folders: FolderReading, found: TablesFound, settled: list[ImportedFile], *, is_chosen: bool
) -> Reading:
    notices = list(found.notices)
    if found.best:
        notices.append(Notice("unused_table", found.best.name, ("folders",)))
    alternative = None
    if folders.subfolders and not is_chosen:
        notices.append(Notice("subfolders", names=folders.subfolders))
        alternative = _classes_or_subfolders(folders)
    files = [*_with_notices(folders.files, notices), *settled]
    class_names = folders.class_names
    read_as = ReadAs(
        folders.labels_from, len(class_names), splits=_splits_of(folders.files), folders=folders.folders
    )
    return Reading(files, read_as, alternative)


def _classes_or_subfolders(folders: FolderReading) -> LayoutQuestion:
    names = tuple(folders.class_names)
    choices = (LayoutChoice("classes"), LayoutChoice("subfolders"))
    return LayoutQuestion("subfolders", names, folders.subfolders, choices, samples=_samples_of(folders))


def _samples_of(folders: FolderReading) -> dict[str, list[ImportedFile]]:
    """Return the first files of each class, found in one pass: there may be thousands of classes."""
    samples: dict[str, list[ImportedFile]] = {name: [] for name in folders.class_names}
    for file in folders.files:
        of_class = samples.get(file.class_name or "", [])
        if len(of_class) < _NUM_SAMPLES:
            of_class.append(file)
    return samples


def _splits_of(files: Sequence[ImportedFile]) -> tuple[Split, ...]:
    found = {file.split for file in files}
    return tuple(split for split in get_args(Split) if split in found)


def _with_notices(files: Sequence[ImportedFile], notices: Sequence[Notice]) -> list[ImportedFile]:
    return [replace(file, notices=(*file.notices, *notices)) for file in files] if notices else list(files)
