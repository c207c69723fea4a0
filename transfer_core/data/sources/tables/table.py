"""Labels from one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transfer_core.data.records import Notice
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.data.sources.table import arranged


@dataclass(frozen=True)
class TableReading:
    name: str
    label_column: str
    files: list[ImportedFile]
    num_named: int
    label_columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class TablesFound:
    best: TableReading | None
    notices: tuple[Notice, ...] = ()


def read_tables(files: Sequence[ImportedFile], label_column: str | None = None) -> TablesFound:
    found = arranged(list(files))
    if not found:
        return TablesFound(None)
    named = sum(not file.is_refused for file in found)
    return TablesFound(TableReading("labels.csv", "label", found, named))
