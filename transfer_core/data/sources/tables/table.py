"""Find the tables among files, and read the labels of the one that names most photos."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import takewhile
from typing import TYPE_CHECKING

from transfer_core.data.records import Notice
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.data.sources.tables import columns
from transfer_core.data.sources.tables.class_names import class_names, named_numbers
from transfer_core.data.sources.tables.columns import share_of_one_to_one
from transfer_core.data.sources.tables.grid import SEVERAL, Grid, TableError, text_grids
from transfer_core.data.sources.tables.json_grid import json_grid
from transfer_core.data.sources.tables.labelling import LabelRow, labelled, unknown_split_words
from transfer_core.data.sources.tables.letters import decoded
from transfer_core.data.sources.tables.matching import (
    Match,
    PhotoFinder,
    Place,
    is_image_name,
    path_parts,
)
from transfer_core.data.sources.tables.parquet import ParquetTable
from transfer_core.errors import UnreadableImageError

if TYPE_CHECKING:
    from transfer_core.data.records import Split

_JSON_ENDINGS = (".json", ".jsonl", ".ndjson")
_LIST_ENDINGS = (".txt", ".lst")
_PARQUET = ".parquet"
TABLE_ENDINGS = (".csv", ".tsv", *_LIST_ENDINGS, *_JSON_ENDINGS, _PARQUET)
# Named with advice, never read: a library for them would be a large one for a step that saves as CSV.
_SPREADSHEET_ENDINGS = (".xlsx", ".xls", ".ods", ".numbers")
_SPREADSHEET_MAGIC = (b"PK\3\4", b"\xd0\xcf\x11\xe0")
MAX_TABLE_BYTES = 32 * 1024**2
_MAX_TABLES = 20
_MAX_PARQUET_FILES = 500
_MAX_DEPTH = 3
_SAMPLE_ROWS = 1000
_PART = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
# Share of photos on which two sources of labels must agree to count as the same classes.
MIN_AGREEMENT = 0.99


@dataclass(frozen=True)
class TableReading:
    """The labels that one table gives, or the tables of a split together.

    Args:
        name: Path of the table; of several tables all, with commas between them.
        label_column: Header of the column of the class, or `column 2`; of a one-hot table the first classes.
        files: Every file that is no table: labelled, or refused with the reason; and those that are missing.
        num_named: How many of the files it names.
        label_columns: Other columns that could as well hold the class: more than one reading when not empty. Where
            they stand in other tables, all are named with their table: `animals.csv: label`.
        is_certain: Whether the column was found by more than values that repeat.
    """

    name: str
    label_column: str
    files: list[ImportedFile]
    num_named: int
    label_columns: tuple[str, ...] = ()
    is_certain: bool = True


@dataclass(frozen=True)
class TablesFound:
    """What the tables among files say.

    Args:
        best: Of several tables the one that names most files; None if none names any with a class.
        notices: Tables that are not used, with the reason; split words that are not known; letters in doubt.
    """

    best: TableReading | None
    notices: tuple[Notice, ...] = ()


@dataclass
class _Table:
    """One file that is a table: its rows, and where the paths stand in it."""

    file: ImportedFile
    grids: list[Grid]
    parquet: ParquetTable | None = None
    is_in_doubt: bool = False
    grid: Grid = field(default_factory=lambda: Grid([]))
    headers: tuple[str, ...] = ()
    path: int = -1
    is_loose: bool = False

    @property
    def name(self) -> str:
        return self.file.parts[-1]

    @cached_property
    def split(self) -> Split | None:
        """The split that its folders or its name state."""
        words = [
            word
            for part in reversed(self.file.parts)
            for word in _PART.findall(_CAMEL.sub(" ", part.rpartition(".")[0] or part))
        ]
        return next((split for word in words if (split := columns.split_of(word))), None)

    @property
    def kind(self) -> tuple[object, ...]:
        """Shared by the tables of the parts of one split: their paths differ by a word of the split alone."""
        path = "/".join(self.file.parts[:-1]) + "/" + self.name.casefold()
        pattern = _PART.sub(lambda word: "*" if columns.split_of(word[0]) else word[0], path.casefold())
        if self.parquet:
            pattern = re.sub(r"\d+", "#", pattern)
        headers = frozenset(self.headers) if any(self.headers) else len(self.headers)
        return pattern, headers, self.path < 0 or self.headers[self.path], bool(self.parquet)


def read_tables(files: list[ImportedFile], label_column: str | None = None) -> TablesFound:
    """Read the labels that tables among files give.

    Tables are looked for at the top and at most two folders deep, below the folders around everything. Only their
    content is read. No table makes this fail: one that cannot be used is named in a notice.

    Args:
        files: All files of a folder, an archive or an upload. Photos need no content yet.
        label_column: Name of the column of the class, where the person chose it; with a table in front, such as
            `animals.csv: label`, that table counts.
    """
    candidates = _candidates(files)
    places = {id(file) for file in candidates}
    finder = PhotoFinder([file for file in files if id(file) not in places])
    names = {part for file in finder.files for part in (*file.parts[:-1], file.parts[-1].rpartition(".")[0])}
    tables, lists, unused = _read_all(candidates, finder, names)
    sets: dict[tuple[object, ...], list[_Table]] = defaultdict(list)
    for table in tables:
        sets[table.kind].append(table)
    table_name, column = _table_and_column(label_column or "", {file.path for file in candidates})
    readings = []
    for members in sets.values():
        try:
            readings.append(_Set(members, finder, column or None, lists))
        except TableError as error:
            unused += [(table.file, error.reason) for table in members]
    readings.sort(key=lambda reading: (reading.name == table_name, reading.rank), reverse=True)
    readings = _joined(readings)
    best = readings[0] if readings else None
    rivals = [] if label_column else [other for other in readings[1:] if other.contradicts(readings[0])]
    unused += [(table.file, "fewer") for reading in readings[1:] for table in reading.tables]
    notices = [*_unused_notices(unused), *(_notices(best) if best else [])]
    if best is None:
        return TablesFound(None, tuple(notices))
    read = {id(table.file) for table in best.tables} | {id(file) for file, _reason in unused}
    read |= {id(file) for file in best.lists}
    others = [file for file in candidates if id(file) not in read]
    return TablesFound(best.reading(others, rivals), tuple(notices))


def _table_and_column(wanted: str, paths: Collection[str]) -> tuple[str, str]:
    """Return the tables and the column that a person chose; no table if the name of a column holds a colon."""
    for colon in re.finditer(": ", wanted):
        tables = wanted[: colon.start()]
        if all(path in paths for path in tables.split(", ")):
            return tables, wanted[colon.end() :]
    return "", wanted


def _joined(readings: list[_Set]) -> list[_Set]:
    """Join to the first reading those of the same columns that name other photos, such as one table per class."""
    rest = []
    for other in readings[1:]:
        if not readings[0].join(other):
            rest.append(other)
    return [*readings[:1], *rest]


def columns_of(file: ImportedFile) -> Iterator[list[tuple[str, ...]]]:
    """Yield the cells of each column of a table as paths: folders and name.

    Args:
        file: The table.

    Raises:
        UnreadableImageError: If the file cannot be read.
    """
    try:
        table, _text = _read(file, ())
    except TableError:
        return
    for grid in table.grids:
        for place in range(grid.num_columns):
            yield [path_parts(row[place]) for row in grid.rows if len(row[place]) <= 4096]


def _candidates(files: Sequence[ImportedFile]) -> list[ImportedFile]:
    """Return the files that may be tables. Files of one photo each, such as boxes, have the name of a photo."""
    wanted = [file for file in files if not file.is_system_file]
    top = len(_folders_around(wanted))
    stems, found = set(), []
    for file in wanted:
        name = file.parts[-1].casefold()
        if not name.endswith(TABLE_ENDINGS):
            stems.add(name.rpartition(".")[0])
            if not name.endswith(_SPREADSHEET_ENDINGS):
                continue
        if len(file.parts) - top <= _MAX_DEPTH and file.label is None:
            found.append(file)
    sheets = [file for file in found if file.parts[-1].casefold().endswith(_SPREADSHEET_ENDINGS)]
    packed = [file for file in found if file.parts[-1].casefold().endswith(_PARQUET)]
    others = [
        file
        for file in found
        if file.parts[-1].casefold().endswith(TABLE_ENDINGS)
        and not file.parts[-1].casefold().endswith(_PARQUET)
        and file.parts[-1].casefold().rpartition(".")[0] not in stems
    ]
    weak = (*_LIST_ENDINGS, ".json")
    others.sort(key=lambda file: (len(file.parts), file.parts[-1].casefold().endswith(weak)))
    return [*others[:_MAX_TABLES], *packed[:_MAX_PARQUET_FILES], *sheets[:_MAX_TABLES]]


def _folders_around(files: Sequence[ImportedFile]) -> tuple[str, ...]:
    """Return the folders around all files, each the only one in the other."""
    folders = [file.parts[:-1] for file in files]
    pairs = zip(min(folders, default=()), max(folders, default=()), strict=False)
    return tuple(first for first, _last in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _read_all(
    candidates: Sequence[ImportedFile], finder: PhotoFinder, names: Collection[str]
) -> tuple[list[_Table], list[tuple[ImportedFile, dict[int, str]]], list[tuple[ImportedFile, str]]]:
    """Return the tables with paths of photos or with photos, lists of class names, and tables of no use."""
    tables, lists, unused = [], [], []
    for file in candidates:
        try:
            table, text = _read(file, names)
            listed = class_names(file.parts[-1], text) if text else {}
            if listed:
                lists.append((file, listed))
            if (table.parquet and table.parquet.image_column) or _locate(table, finder, is_list=bool(listed)):
                tables.append(table)
            elif not listed and _is_of_photos(table):
                unused.append((file, "no_files" if table.grids else "no_label"))
        except TableError as error:
            is_meant = error.reason and not (
                error.reason == "damaged" and file.parts[-1].casefold().endswith(_LIST_ENDINGS)
            )
            if is_meant:
                unused.append((file, error.reason))
        except UnreadableImageError as error:
            unused.append((file, "too_large" if error.kind == "too_large" else "damaged"))
    return tables, lists, unused


def _read(file: ImportedFile, names: Collection[str]) -> tuple[_Table, str]:
    """Return a file as a table, and its text.

    Raises:
        TableError: If it is none, or too large.
        UnreadableImageError: If the file cannot be read.
    """
    name = file.parts[-1].casefold()
    if name.endswith(_SPREADSHEET_ENDINGS):
        raise TableError("spreadsheet")
    if "submission" in name:
        raise TableError("answers")
    if name.endswith(_PARQUET):
        parquet = ParquetTable(file)
        table = _Table(file, [parquet.grid], parquet, grid=parquet.grid, headers=parquet.grid.headers or ())
        return table, ""
    content = file.read()
    if content.startswith(_SPREADSHEET_MAGIC):
        raise TableError("spreadsheet")
    if len(content) > MAX_TABLE_BYTES:
        raise TableError("too_large")
    letters = decoded(content, names)
    is_json = name.endswith(_JSON_ENDINGS)
    if is_json or (
        name.endswith(_LIST_ENDINGS) and letters.text.lstrip("\ufeff \r\n").startswith(("{", "["))
    ):
        try:
            grids = [json_grid(letters.text)]
        except TableError as error:
            if error.reason and not class_names(name, letters.text):
                raise
            grids = []
    else:
        grids = text_grids(letters.text, has_spaces=name.endswith(_LIST_ENDINGS))
    return _Table(file, grids, is_in_doubt=letters.is_in_doubt), letters.text


def _locate(table: _Table, finder: PhotoFinder, *, is_list: bool) -> bool:
    """Find the rows and the column that name photos; return whether there is one.

    Args:
        table: Gets them.
        finder: Of the photos.
        is_list: Whether it reads as a list of numbered classes: its numbers name no photos such as `1.jpg`.
    """
    place = Place(table.file.parts[:-1], table.split)
    for is_loose in (False, True):
        best: tuple[int, bool, int, int] | None = None
        for number, grid in enumerate(table.grids):
            rows = grid.rows[:: max(1, len(grid.rows) // _SAMPLE_ROWS)]
            headers = grid.headers or tuple(grid.rows[0] if grid.rows else ())
            for column in range(grid.num_columns):
                score = _score(rows, column, finder, place, is_loose=is_loose, needs_ending=is_list)
                is_named = columns.has_word(headers[column], columns.PATH_WORDS)
                found = (score, is_named, -number, -column)
                if score and (best is None or found > best):
                    best = found
        if best:
            table.path, table.is_loose = -best[3], is_loose
            _find_headers(table, table.grids[-best[2]], finder, place)
            return True
    return False


def _score(
    rows: Sequence[Sequence[str]],
    column: int,
    finder: PhotoFinder,
    place: Place,
    *,
    is_loose: bool,
    needs_ending: bool,
) -> int:
    """Return how many photos a column names, twice where with their ending; 0 where it may be by chance."""
    exact: set[int] = set()
    without: set[int] = set()
    cells = {row[column] for row in rows}
    num_found = 0
    for cell in cells:
        if match := finder.find(cell, place, is_loose=is_loose):
            num_found += 1
            (exact if match.is_exact else without).add(match.file)
    if not exact and (needs_ending or num_found < min(2, len(cells)) or num_found < min(len(cells) / 2, 10)):
        return 0
    return 2 * len(exact) + len(without - exact)


def _find_headers(table: _Table, grid: Grid, finder: PhotoFinder, place: Place) -> None:
    """Set the headers of a table, and its rows without them."""
    if grid.headers is not None:
        table.grid, table.headers = grid, grid.headers
        return
    first, rows = grid.rows[0], grid.rows
    cell = first[table.path]
    is_photo = finder.find(cell, place, is_loose=table.is_loose) or is_image_name(cell)
    if is_photo or (len(rows) < 3 and not columns.looks_like_headers(first)):
        table.grid, table.headers = grid, ("",) * grid.num_columns
        return
    num_named = max((number for number, header in enumerate(first, 1) if header), default=0)
    table.headers = tuple(first)
    table.grid = Grid([_without_surplus(row, num_named) for row in rows[1:]])


def _without_surplus(row: list[str], num_named: int) -> list[str]:
    """Return a row whose cells beyond the last header are further values of the last column."""
    surplus = [cell for cell in row[num_named:] if cell]
    if not surplus:
        return row
    joined = SEVERAL.join([row[num_named - 1], *surplus])
    return [*row[: num_named - 1], joined, *[""] * (len(row) - num_named)]


def _is_of_photos(table: _Table) -> bool:
    """Return whether a table that names no photo was meant to: a list of image names, or a file of a spreadsheet."""
    if table.name.casefold().endswith((".csv", ".tsv")):
        return True
    for grid in table.grids:
        rows = grid.rows[:_SAMPLE_ROWS]
        for column in range(grid.num_columns):
            if rows and sum(is_image_name(row[column]) for row in rows) * 2 >= len(rows):
                return True
    return False


class _Set:
    """A table, or the tables of the parts of one split, read together.

    Raises:
        TableError: If no column holds a class.
    """

    def __init__(
        self,
        tables: list[_Table],
        finder: PhotoFinder,
        label_column: str | None,
        lists: Sequence[tuple[ImportedFile, dict[int, str]]],
    ) -> None:
        self.tables = tables
        self._finder = finder
        self.lists: list[ImportedFile] = []
        self._photos = list(finder.files)
        self._headers = tables[0].headers
        for table in tables[1:]:
            _reorder(table, self._headers)
        grid = Grid([row for table in tables for row in table.grid.rows])
        path = tables[0].path
        self._split = columns.split_column(grid, self._headers, path)
        self._series = columns.series_column(grid, self._headers, path)
        found = [match for table in tables for match in self._matches(table)]
        there = [row for row, match in zip(grid.rows, found, strict=True) if match and match.file >= 0]
        used = {path, self._split, self._series, *self._other_paths()} - {None}
        self.columns = columns.label_columns(
            Grid(there or grid.rows),
            self._headers,
            [place for place in used if place is not None],
            label_column,
        )
        self.num_named = len({match.file for match in found if match and match.file >= 0})
        if not self.num_named:
            raise TableError("ambiguous" if any(found) else "no_files")
        self.rows = list(self._label_rows(found, path, lists))

    @property
    def rank(self) -> tuple[bool, int, bool, bool]:
        labels = {row.label for row in self.rows if row.file is not None}
        is_of_split = self._split is not None or len(self.tables) > 1
        return len(labels) > 1, self.num_named, self.columns.is_certain, is_of_split

    @property
    def name(self) -> str:
        return ", ".join(table.file.path for table in self.tables)

    def contradicts(self, best: _Set) -> bool:
        """Return whether it sorts at least half of the photos of a better reading into other classes."""
        mine, theirs = ({row.file: row.label for row in rows.rows if row.label} for rows in (self, best))
        pairs = Counter(
            (label, mine[file]) for file, label in theirs.items() if file is not None and file in mine
        )
        is_meant = self.columns.is_certain and len(set(mine.values())) > 1
        return is_meant and pairs.total() * 2 >= best.num_named and share_of_one_to_one(pairs) < MIN_AGREEMENT

    def join(self, other: _Set) -> bool:
        """Add the rows of other tables with the same headers in the same folder, if they name none of the photos."""
        mine, theirs = self.tables[0], other.tables[0]
        is_like = mine.headers == theirs.headers and mine.file.parts[:-1] == theirs.file.parts[:-1]
        named = ({row.file for row in rows if row.file is not None} for rows in (self.rows, other.rows))
        if (
            not is_like
            or mine.parquet
            or self.columns != other.columns
            or not next(named).isdisjoint(next(named))
        ):
            return False
        self.tables += other.tables
        self.rows += other.rows
        self.lists += other.lists
        self.num_named += other.num_named
        return True

    def reading(self, others: list[ImportedFile], rivals: Sequence[_Set]) -> TableReading:
        """Return the files with their labels.

        Args:
            others: Files that were read in search of tables and are none.
            rivals: Readings of other tables with other classes.
        """
        files = labelled([*self._photos, *others], self.rows)
        names = (self.columns.name, *self.columns.others)
        if rivals:
            names = tuple(f"{one.name}: {one.columns.name}" for one in (self, *rivals))
        return TableReading(self.name, names[0], files, self.num_named, names[1:], self.columns.is_certain)

    def _other_paths(self) -> list[int]:
        headers = self._headers
        return [
            place
            for place, header in enumerate(headers)
            if header.endswith(".path") and self.tables[0].parquet
        ]

    def _matches(self, table: _Table) -> list[Match | None]:
        if table.parquet and table.parquet.image_column:
            return self._stored(table, table.parquet)
        places: dict[Split | None, Place] = {}
        matches: list[Match | None] = []
        for row in table.grid.rows:
            split = (columns.split_of(row[self._split]) if self._split is not None else None) or table.split
            place = places.setdefault(split, Place(table.file.parts[:-1], split))
            matches.append(self._finder.find(row[table.path], place, is_loose=table.is_loose))
        if table.is_loose:
            cells = [row[table.path] for row in table.grid.rows]
            return self._finder.moved_folders(cells, matches)
        return matches

    def _stored(self, table: _Table, parquet: ParquetTable) -> list[Match | None]:
        """Add the photos that a parquet file holds to the files, and return a match for each row."""
        first = len(self._photos)
        stem = table.name.rpartition(".")[0]
        count = len(table.grid.rows)
        self._photos += [parquet.image(row, (*table.file.parts[:-1], stem)) for row in range(count)]
        return [Match(first + row, True) for row in range(count)]

    def _label_rows(
        self,
        found: Sequence[Match | None],
        path: int,
        lists: Sequence[tuple[ImportedFile, dict[int, str]]],
    ) -> Iterator[LabelRow]:
        pairs = [(table, row) for table in self.tables for row in table.grid.rows]
        labels = columns.clear_labels([self._label(row) for _table, row in pairs])
        numbers = {label for label in labels if not columns.is_no_class(label)}
        own = {id(table.file) for table in self.tables}
        other_lists = [(file, listed) for file, listed in lists if id(file) not in own]
        names = named_numbers(numbers, [listed for _file, listed in other_lists])
        if names:
            self.lists = [file for file, _listed in other_lists]
        for (table, row), match, label in zip(pairs, found, labels, strict=True):
            cell = row[path] if path >= 0 else ""
            yield LabelRow(
                table.name,
                cell.replace("\\", "/"),
                match.file if match else None,
                names.get(label, label),
                table.split,
                row[self._split] if self._split is not None else "",
                row[self._series] if self._series is not None else "",
                table.file.parts[:-1],
            )

    def _label(self, row: Sequence[str]) -> str:
        places = self.columns.places
        if len(places) > 1:
            return columns.one_hot_label(row, self._headers, places)
        return row[places[0]]


def _reorder(table: _Table, headers: tuple[str, ...]) -> None:
    """Bring the columns of a table into the order of another one with the same headers."""
    if table.headers == headers or not any(headers):
        return
    order = [table.headers.index(header) for header in headers]
    rows = [[row[place] for place in order] for row in table.grid.rows]
    table.grid, table.headers = Grid(rows, headers), headers
    table.path = order.index(table.path) if table.path >= 0 else -1


def _unused_notices(unused: Sequence[tuple[ImportedFile, str]]) -> list[Notice]:
    return [Notice("unused_table", name=file.path, names=(reason,)) for file, reason in unused]


def _notices(best: _Set) -> list[Notice]:
    words = unknown_split_words(best.rows)
    notices = [Notice("unknown_split_words", name=table, names=found) for table, found in words.items()]
    notices += [
        Notice("letters_in_doubt", name=table.file.path, names=_letters_shown(best))
        for table in best.tables
        if table.is_in_doubt
    ]
    return notices


def _letters_shown(best: _Set) -> tuple[str, ...]:
    labels = dict.fromkeys(row.label for row in best.rows if not row.label.isascii())
    return tuple(label[:60] for label in list(labels)[:3])
