"""Tables among photos that have only a path, as they come first from a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NoReturn, TypeAlias

import pytest

from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.data.sources.tables.table import TablesFound, read_tables
from transfer_core.errors import UnreadableImageError

Read: TypeAlias = Callable[..., TablesFound]


def not_arrived() -> NoReturn:
    raise UnreadableImageError("not arrived")


@pytest.fixture
def read() -> Read:
    """Return a function that reads the tables among photos."""

    def read_among(
        photos: Iterable[str], tables: Mapping[str, str | bytes], label_column: str | None = None
    ) -> TablesFound:
        files = [ImportedFile(tuple(path.split("/")), not_arrived) for path in photos]
        for path, content in tables.items():
            data = content.encode() if isinstance(content, str) else content
            files.append(ImportedFile(tuple(path.split("/")), lambda data=data: data))
        return read_tables(files, label_column)

    return read_among


@pytest.fixture
def labels() -> Callable[[TablesFound], dict[str, str]]:
    """Return a function that lists the class of each labelled photo, with its split after a slash if it has one."""

    def list_labels(found: TablesFound) -> dict[str, str]:
        assert found.best is not None, found.notices
        return {
            file.path: f"{file.label}/{file.split}" if file.split else str(file.label)
            for file in found.best.files
            if file.read is not_arrived
        }

    return list_labels


@pytest.fixture
def reasons() -> Callable[[TablesFound], dict[str, tuple[str, str]]]:
    """Return a function that lists the kind and the reason of each refused file."""

    def list_reasons(found: TablesFound) -> dict[str, tuple[str, str]]:
        assert found.best is not None, found.notices
        refused = {}
        for file in found.best.files:
            if file.read is not not_arrived:
                with pytest.raises(UnreadableImageError) as caught:
                    file.read()
                refused[file.path] = (caught.value.kind, str(caught.value))
        return refused

    return list_reasons
