"""Read labels from a table: lines of path and class, as spreadsheets save them (CSV)."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from transfer_core.data.sources.imported_file import (
    ImportedFile,
    check_count,
    clean_name,
    refused_file,
    shown_name,
    split_named,
    without_common_root,
)
from transfer_core.data.sources.members import unsafe_reason
from transfer_core.errors import UnreadableImageError
from transfer_core.language import _

if TYPE_CHECKING:
    from transfer_core.data.records import Split

TABLE_ENDINGS = (".csv", ".tsv")
_PATH_HEADERS = {
    *("path", "file", "filename", "file_name", "file name", "filepath", "file_path", "file path"),
    *("image", "image_path", "image path", "image_name", "image name", "img", "name"),
}
_LABEL_HEADERS = {"label", "labels", "class", "class_name", "class name", "classname", "category", "target"}
_SPLIT_HEADERS = {"split", "set", "subset", "partition"}


@dataclass(frozen=True)
class LabelRow:
    """One line of a table.

    Args:
        path: Of the image, below the folder of the table, with `/` between folders.
        label: Its class; may be empty.
        split: Its split, if the table has a column for it.
    """

    path: str
    label: str
    split: Split | None = None


def arranged(files: list[ImportedFile]) -> list[ImportedFile]:
    """Return the files of a folder or an archive with their classes.

    These come from a table at the top, if there is exactly one; otherwise from the folders, below the one folder around
    them all.

    Args:
        files: All files of the folder or archive.
    """
    tables = [found for file in files if (found := _table_in(file, files))]
    if len(tables) != 1:
        return without_common_root(files)
    table, rows, below = tables[0]
    return labelled([file for file in below if file.parts != table.parts], rows, table.parts[-1])


def read_table(content: bytes) -> list[LabelRow]:
    """Read lines of path, class and, if there is a third column, split.

    The columns may be separated by commas, semicolons or tabs, and may have headers such as `filename` and `class`.

    Args:
        content: The bytes of the file: UTF-8, UTF-16 as some spreadsheets write it, or Western European letters.

    Returns:
        Its lines; none if it is no such table.

    Raises:
        IngestError: If it names more files than the limit.
    """
    text = _decoded(content)
    first_line = text.lstrip().partition("\n")[0]
    delimiter = max(",;\t", key=first_line.count)
    try:
        lines = [line for line in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if any(line)]
    except csv.Error:
        return []
    check_count(len(lines))
    if any(len(line) < 2 for line in lines):
        return []
    return _rows(lines)


def labelled(files: Iterable[ImportedFile], rows: Iterable[LabelRow], table: str) -> list[ImportedFile]:
    """Return files with the labels of a table.

    Args:
        files: Files that may be named in it.
        rows: Its lines.
        table: Its name, for messages.

    Returns:
        The files that it names in the order of its lines; missing ones and those without one clear class are refused
        files. Then the files that it does not name, refused as well.
    """
    files = list(files)
    find = _finder(files)
    chosen: dict[int, ImportedFile] = {}
    absent: list[ImportedFile] = []
    for row in rows:
        file = find(row.path)
        if file is None:
            absent.append(_absent(row, table))
        elif id(file) in chosen:
            chosen[id(file)] = _with_second_label(file, chosen[id(file)], row, table)
        else:
            chosen[id(file)] = _with_label(file, row, table)
    others = [
        file if file.is_system_file else _refused(file, _("{table} does not name it"), table)
        for file in files
        if id(file) not in chosen
    ]
    return [*chosen.values(), *absent, *others]


def _table_in(
    file: ImportedFile, files: list[ImportedFile]
) -> tuple[ImportedFile, list[LabelRow], list[ImportedFile]] | None:
    """Return the table, its lines and all files relative to its folder, if the file is a table that names others."""
    if file.is_system_file or not file.parts[-1].casefold().endswith(TABLE_ENDINGS) or len(file.parts) > 2:
        return None
    root = file.parts[:-1]
    if root and any(other.parts[:1] != root for other in files if not other.is_system_file):
        return None
    try:
        rows = read_table(file.read())
    except UnreadableImageError:
        return None
    table = replace(file, parts=file.parts[-1:])
    below = [
        replace(other, parts=other.parts[len(root) :]) if other.parts[: len(root)] == root else other
        for other in files
    ]
    find = _finder(below)
    return (table, rows, below) if any(find(row.path) for row in rows) else None


def _rows(lines: list[list[str]]) -> list[LabelRow]:
    headers = [cell.strip().casefold() for cell in lines[0]] if lines else []
    path, label, split = (
        next((place for place, header in enumerate(headers) if header in names), None)
        for names in (_PATH_HEADERS, _LABEL_HEADERS, _SPLIT_HEADERS)
    )
    if path is None or label is None:
        path, label, split = 0, 1, 2
    else:
        lines = lines[1:]
    rows = []
    for line in lines:
        cells = [*line, *[""] * (max(path, label, split or 0) + 1 - len(line))]
        named_split = split_named(cells[split]) if split is not None else None
        rows.append(LabelRow(cells[path].strip().replace("\\", "/"), cells[label].strip(), named_split))
    return rows


def _decoded(content: bytes) -> str:
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _finder(files: list[ImportedFile]) -> Callable[[str], ImportedFile | None]:
    """Return a search for a path: as written, then without case, then by the name alone."""
    spellings: tuple[Callable[[str], str], ...] = (
        _normal,
        lambda path: _normal(path).casefold(),
        lambda path: _normal(path).casefold().rpartition("/")[2],
    )
    found: list[dict[str, ImportedFile | None]] = []
    for spell in spellings:
        by_path: dict[str, ImportedFile | None] = {}
        for file in files:
            spelled = spell("/".join(file.parts))
            by_path[spelled] = None if spelled in by_path else file
        found.append(by_path)

    def find(path: str) -> ImportedFile | None:
        usable = spellings if "/" not in path.strip("./") else spellings[:2]
        if unsafe_reason(path):
            return None
        hits = (by_path.get(spell(path)) for spell, by_path in zip(usable, found, strict=False))
        return next((file for file in hits if file), None)

    return find


def _normal(path: str) -> str:
    return unicodedata.normalize("NFC", "/".join(part for part in path.split("/") if part not in ("", ".")))


def _with_label(file: ImportedFile, row: LabelRow, table: str) -> ImportedFile:
    if not clean_name(row.label):
        return _refused(file, _("{table} gives it no class"), table)
    return replace(file, label=row.label, given_split=row.split)


def _with_second_label(file: ImportedFile, known: ImportedFile, row: LabelRow, table: str) -> ImportedFile:
    if known.class_name == clean_name(row.label):
        return known
    return _refused(file, _("{table} gives it more than one class"), table)


def _refused(file: ImportedFile, reason: str, table: str) -> ImportedFile:
    return refused_file("/".join(file.parts), reason.format(table=shown_name(table)), "no_class")


def _absent(row: LabelRow, table: str) -> ImportedFile:
    unsafe = unsafe_reason(row.path)
    reason = unsafe or _("{table} names it, but it is not there").format(table=shown_name(table))
    return refused_file(row.path, reason, "unsafe" if unsafe else "unreadable", row.label)
