"""Rows of text cells, from delimited text: comma, semicolon, tab, pipe or spaces."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass

from transfer_core.data.limits import limits

# Between several values in one cell; no file of people holds it.
SEVERAL = "\x1f"
_DELIMITERS = (",", ";", "\t", "|")
_SAMPLE_LINES = 300
_MAX_CELLS = 10_000_000
MAX_COLUMNS = 2000


class TableError(Exception):
    """A file is no table that can be read.

    Args:
        reason: As a code of the notice `unused_table`; empty if it was never meant as a table of photos.
    """

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Grid:
    """Cells of a table as text, all rows of one length.

    Args:
        rows: The lines, without the headers if those are known.
        headers: Of the columns; None while it is not known whether the first row holds them.
    """

    rows: list[list[str]]
    headers: tuple[str, ...] | None = None

    @property
    def num_columns(self) -> int:
        """Number of columns."""
        return len(self.rows[0]) if self.rows else len(self.headers or ())


def max_rows() -> int:
    """Return how many rows a table may have: ten times the files that are taken at once."""
    return 10 * limits().files


def text_grids(text: str, *, has_spaces: bool) -> list[Grid]:
    """Return the ways to split lines into at least two columns, the likeliest first.

    Args:
        text: The content of the file.
        has_spaces: Whether spaces may separate columns, as in lists for Caffe.

    Raises:
        TableError: If it has more rows or cells than can be read.
    """
    text = text.replace("\0", "")
    first, _newline, rest = text.lstrip("\ufeff\r\n").partition("\n")
    named = first.strip().strip('"')
    if named.casefold().startswith("sep=") and len(named) == 5:
        grid = _delimited(rest, named[4])
        return [grid] if grid else []
    if text.count("\n") > max_rows():
        raise TableError("too_many_rows")
    shares = {delimiter: _regularity(text, delimiter) for delimiter in _DELIMITERS}
    likely = sorted((d for d in _DELIMITERS if shares[d] > 0), key=lambda d: -shares[d])
    grids = [grid for delimiter in likely if (grid := _delimited(text, delimiter))]
    if has_spaces and all(shares[delimiter] < 1 for delimiter in _DELIMITERS):
        grids += _spaced(text)
    return grids


def _regularity(text: str, delimiter: str) -> float:
    """Return the share of lines that have the usual number of columns, 0 if that is one."""
    lines = [line for line in text[: 2**20].splitlines()[:_SAMPLE_LINES] if line.strip()]
    try:
        counts = Counter(len(row) for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True))
    except csv.Error:
        counts = Counter(line.count(delimiter) + 1 for line in lines)
    if not counts:
        return 0.0
    usual, num_lines = counts.most_common(1)[0]
    return num_lines / counts.total() if usual > 1 else 0.0


def _delimited(text: str, delimiter: str) -> Grid | None:
    num_lines = text.count("\n")
    try:
        rows = _read(text, delimiter, csv.QUOTE_MINIMAL)
        # A lone quote swallows all lines up to the next one.
        is_swallowed = len(rows) * 2 < num_lines and any("\n" in cell for row in rows for cell in row)
    except csv.Error:
        is_swallowed = True
    if is_swallowed:
        try:
            rows = _read(text, delimiter, csv.QUOTE_NONE)
        except csv.Error:
            return None
    return even(rows)


def _read(text: str, delimiter: str, quoting: int) -> list[list[str]]:
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        skipinitialspace=True,
        quoting=quoting,  # type: ignore[arg-type]
    )
    rows, num_cells = [], 0
    for row in reader:
        num_cells += len(row)
        if num_cells > _MAX_CELLS:
            raise TableError("too_many_rows")
        cells = [cell.strip() for cell in row]
        if quoting == csv.QUOTE_NONE:
            cells = [cell.strip('"').strip() for cell in cells]
        if any(cells):
            rows.append(cells)
    return rows


def _spaced(text: str) -> list[Grid]:
    """Return columns between spaces: all of them, the last one alone, the first one alone."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if max(map(len, lines), default=0) > csv.field_size_limit():
        return []
    ways = (
        [line.split() for line in lines],
        [line.rsplit(None, 1) for line in lines],
        [line.split(None, 1) for line in lines],
    )
    usual = Counter(len(row) for row in ways[0]).most_common(1)
    kept = ways if usual and usual[0][1] == len(lines) and usual[0][0] > 2 else ways[1:]
    return [grid for way in kept if (grid := even(way))]


def even(rows: list[list[str]]) -> Grid | None:
    """Return rows of one length; None if there is no second column.

    Short rows get empty cells. Cells beyond the usual number join the last one as further values of it: a class with
    a comma and no quotes, or a second class.

    Args:
        rows: Of any length.
    """
    counts = Counter(len(row) for row in rows)
    width = max(len(rows[0]), counts.most_common(1)[0][0]) if rows else 0
    if not 2 <= width <= MAX_COLUMNS or width * len(rows) > _MAX_CELLS:
        return None
    return Grid([_even(row, width) for row in rows])


def _even(row: list[str], width: int) -> list[str]:
    if len(row) <= width:
        return [*row, *[""] * (width - len(row))]
    return [*row[: width - 1], SEVERAL.join(cell for cell in row[width - 1 :] if cell)]
