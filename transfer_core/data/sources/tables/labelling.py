"""Give files the labels of the rows of one table, or of the tables of a split together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from transfer_core.data.limits import limits
from transfer_core.data.sources.folder_names import is_evaluation, split_named
from transfer_core.data.sources.imported_file import ImportedFile, clean_name, refused_file, shown_name
from transfer_core.data.sources.members import unsafe_reason
from transfer_core.data.sources.tables.columns import is_no_class, is_unassigned, split_of
from transfer_core.data.sources.tables.grid import SEVERAL
from transfer_core.data.sources.tables.matching import leads_out
from transfer_core.language import _

if TYPE_CHECKING:
    from transfer_core.data.records import Split


@dataclass(frozen=True)
class LabelRow:
    """What one row of a table says of one photo.

    Args:
        table: Name of the file of the table, for messages.
        path: Of the photo, as it stands in the table.
        file: Place of the photo in the list of files; None if it is missing, -1 if several have this name.
        label: Its class; several with `SEVERAL` between them.
        split: Of the folder or name of the table.
        split_word: The cell of the split column.
        series: The patient or lesion that it shows, if the table says so.
        folder: Of the table.
    """

    table: str
    path: str
    file: int | None
    label: str
    split: Split | None
    split_word: str
    series: str
    folder: tuple[str, ...]


def labelled(files: Sequence[ImportedFile], rows: Iterable[LabelRow]) -> list[ImportedFile]:
    """Return files with the labels of rows.

    Args:
        files: Files that may be named in them.
        rows: Of one reading.

    Returns:
        The files that are named in the order of the rows; missing ones and those without one clear class are refused
        files. Then the files that are not named, refused as well.
    """
    chosen: dict[int, ImportedFile] = {}
    labels: dict[int, str] = {}
    absent: dict[str, ImportedFile] = {}
    tables: dict[str, None] = {}
    is_given = False
    max_absent = limits().files - len(files)
    for row in _with_evaluation_for_the_test(list(rows)):
        tables[row.table] = None
        is_given = is_given or not is_unassigned(row.split_word)
        if row.file is None or row.file < 0:
            # Of a table of a whole data set a part may be there; its other photos fill no list.
            if row.path not in absent and len(absent) < max_absent:
                absent[row.path] = _absent(row)
        elif row.file not in chosen:
            chosen[row.file] = _with_label(files[row.file], row)
            labels[row.file] = clean_name(row.label)
        elif labels[row.file] != clean_name(row.label):
            chosen[row.file] = _refused(files[row.file], _("{table} gives it more than one class"), row.table)
    table = ", ".join(tables)
    others = [
        file if file.is_system_file else _refused(file, _("{table} does not name it"), table)
        for place, file in enumerate(files)
        if place not in chosen
    ]
    return [*_without_lone_part(chosen.values(), is_given), *absent.values(), *others]


def _with_evaluation_for_the_test(rows: list[LabelRow]) -> list[LabelRow]:
    """Return rows in which photos for evaluation are test photos, if others are for validation."""
    words = {row.split_word for row in rows}
    if not any(split_of(word) == "validation" and not is_evaluation(word) for word in words):
        return rows
    return [replace(row, split_word="test") if is_evaluation(row.split_word) else row for row in rows]


def _without_lone_part(files: Iterable[ImportedFile], is_given: bool) -> list[ImportedFile]:
    """Return files without their split, if folders alone say that all are for validation or all for the test."""
    files = list(files)
    splits = {file.split for file in files if file.split}
    if is_given or len(splits) != 1 or "train" in splits:
        return files
    return [replace(file, split=None) for file in files]


def unknown_split_words(rows: Iterable[LabelRow]) -> dict[str, tuple[str, ...]]:
    """Return the words of split columns that are not known, by table, in their order."""
    words: dict[str, dict[str, None]] = {}
    for row in rows:
        if not is_unassigned(row.split_word) and split_of(row.split_word) is None:
            words.setdefault(row.table, {})[clean_name(row.split_word)] = None
    return {table: tuple(found) for table, found in words.items()}


def _with_label(file: ImportedFile, row: LabelRow) -> ImportedFile:
    label = clean_name(row.label.replace(SEVERAL, " "))
    if not label or is_no_class(row.label):
        return _refused(file, _("{table} gives it no class"), row.table)
    if SEVERAL in row.label:
        return _refused(file, _("{table} gives it more than one class"), row.table)
    word_split = split_of(row.split_word)
    if word_split is None and not is_unassigned(row.split_word):
        # Never a training photo by default: the word may mean that it is kept for a test.
        reason = _("{table} puts it into “{word}”, which is no known part of a split")
        return _refused(file, reason, row.table, clean_name(row.split_word))
    folders = (part for part in file.parts[:-1] if part.casefold() != row.label.casefold())
    folder_split = next((split for part in folders if (split := split_named(part))), None)
    split = word_split or row.split or folder_split
    return replace(file, label=row.label, split=split, series=row.series or file.series)


def _refused(file: ImportedFile, reason: str, table: str, word: str = "") -> ImportedFile:
    if not file.may_be_photo:
        return refused_file("/".join(file.parts), _("it is not a photo"), "not_an_image")
    sentence = reason.format(table=shown_name(table, 200), word=word)
    return refused_file("/".join(file.parts), sentence, "no_class")


def _absent(row: LabelRow) -> ImportedFile:
    table = shown_name(row.table)
    if row.file == -1:
        reason = _("{table} names it, but several photos have this name").format(table=table)
        return refused_file(row.path, reason, "no_class", row.label)
    unsafe = unsafe_reason(row.path) if leads_out(row.path, row.folder) else ""
    if unsafe and not row.path.startswith("/") and ":" not in row.path[:2]:
        return refused_file(row.path, unsafe, "unsafe", row.label)
    missing = _("{table} names it, but it is not there").format(table=table)
    return refused_file(row.path, unsafe or missing, "missing", row.label)
