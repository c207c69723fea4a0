"""Rows of text cells, from JSON and JSON lines as annotation tools and data hubs write them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from transfer_core.data.sources.folder_names import split_named
from transfer_core.data.sources.tables.grid import MAX_COLUMNS, SEVERAL, Grid, TableError, max_rows

Json: TypeAlias = Any
_FILE, _LABEL, _SPLIT = "file", "label", "split"
_MAX_DEPTH = 12


def json_grid(text: str) -> Grid:
    """Return the rows of a JSON document or of JSON lines; nested values get headers such as `data.image`.

    Raises:
        TableError: If it is no JSON, holds no rows, or more than can be read.
    """
    try:
        document = _parsed(text)
        records = list(_records(document))
        if len(records) > max_rows():
            raise TableError("too_many_rows")
        return _grid(records)
    except (ValueError, RecursionError, MemoryError) as error:
        raise TableError("damaged") from error


def _parsed(text: str) -> Json:
    try:
        return json.loads(text)
    except ValueError:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2 or not lines[0].lstrip().startswith(("{", "[")):
            raise
        return [json.loads(line) for line in lines]


def _records(document: Json) -> Iterator[dict[str, str]]:
    if isinstance(document, list):
        yield from _rows(document)
    elif isinstance(document, dict):
        known = _by_index(document) or _coco(document) or _datumaro(document) or _columns(document)
        yield from known if known is not None else _mapping(document)
    else:
        raise TableError


def _rows(rows: list[Json]) -> Iterator[dict[str, str]]:
    for row in rows:
        if isinstance(row, dict):
            yield _flat(row)
        elif isinstance(row, list):
            yield {f"column {number}": _text(cell) for number, cell in enumerate(row, 1)}
        else:
            raise TableError


def _by_index(document: dict[str, Json]) -> list[dict[str, str]] | None:
    """Read the classes and the index of the class of each photo (FiftyOne)."""
    classes, labels = document.get("classes"), document.get("labels")
    if not isinstance(classes, list) or not isinstance(labels, dict):
        return None
    return [{_FILE: file, _LABEL: _class_at(classes, label)} for file, label in labels.items()]


def _class_at(classes: list[Json], index: Json) -> str:
    if isinstance(index, int) and not isinstance(index, bool):
        return _text(classes[index]) if 0 <= index < len(classes) else ""
    return _text(index)


def _coco(document: dict[str, Json]) -> list[dict[str, str]] | None:
    """Read images, their annotations and the categories (COCO), if each image shows one category."""
    images, annotations, categories = (document.get(key) for key in ("images", "annotations", "categories"))
    if not (isinstance(images, list) and isinstance(annotations, list) and isinstance(categories, list)):
        return None
    names = {_text(item.get("id")): _text(item.get("name")) for item in _dicts(categories)}
    found: dict[str, dict[str, None]] = {}
    for item in _dicts(annotations):
        found.setdefault(_text(item.get("image_id")), {})[names.get(_text(item.get("category_id")), "")] = (
            None
        )
    rows = [
        {
            _FILE: _text(item.get("file_name") or item.get("path")),
            _LABEL: SEVERAL.join(found.get(_text(item.get("id")), {})),
        }
        for item in _dicts(images)
    ]
    if any(SEVERAL in row[_LABEL] or not row[_LABEL] for row in rows):
        raise TableError("several_labels")
    return rows


def _datumaro(document: dict[str, Json]) -> list[dict[str, str]] | None:
    """Read items with labels by number (Datumaro, one of the formats of CVAT)."""
    items, categories = document.get("items"), document.get("categories")
    if not isinstance(items, list) or not isinstance(categories, dict):
        return None
    labels = categories.get("label")
    listed = labels.get("labels") if isinstance(labels, dict) else None
    names = [_text(item.get("name")) for item in _dicts(listed if isinstance(listed, list) else [])]
    rows = []
    for item in _dicts(items):
        image = item.get("image")
        path = image.get("path") if isinstance(image, dict) else None
        annotations = item.get("annotations")
        found = dict.fromkeys(
            _class_at(names, one.get("label_id"))
            for one in _dicts(annotations if isinstance(annotations, list) else [])
            if one.get("type", "label") == "label"
        )
        row = {_FILE: _text(path or item.get("id")), _LABEL: SEVERAL.join(found)}
        rows.append({**row, _SPLIT: _text(item.get("subset"))} if item.get("subset") else row)
    return rows


def _columns(document: dict[str, Json]) -> list[dict[str, str]] | None:
    """Read a data frame as pandas writes it: by columns, or as columns and data."""
    headers, data = document.get("columns"), document.get("data")
    if isinstance(headers, list) and isinstance(data, list) and all(isinstance(row, list) for row in data):
        names = [_text(header) for header in headers]
        return [dict(zip(names, map(_text, row), strict=False)) for row in data]
    values = list(document.values())
    if len(values) < 2 or not all(isinstance(value, dict) and value for value in values):
        return None
    keys = list(values[0])
    if not all(key.isdigit() for key in keys) or any(value.keys() != values[0].keys() for value in values):
        return None
    return [{header: _text(column[key]) for header, column in document.items()} for key in keys]


def _mapping(document: dict[str, Json]) -> Iterator[dict[str, str]]:
    """Read file to label, label to files, file to facts, split to rows, or the longest list of rows in it."""
    values = list(document.values())
    if values and all(_is_scalar(value) or _is_scalars(value) for value in values):
        for key, value in document.items():
            for one in value if isinstance(value, list) else [value]:
                yield {"column 1": key, "column 2": _text(one)}
    elif values and all(isinstance(value, dict) for value in values):
        is_split = all(split_named(key) for key in document)
        for key, value in document.items():
            inner = _mapping(value) if is_split else [{"": key, **_flat(value)}]
            yield from ({_SPLIT: key, **row} for row in inner) if is_split else inner
    else:
        yield from _nested(document)


def _nested(document: dict[str, Json]) -> Iterator[dict[str, str]]:
    lists = {
        key: value
        for key, value in document.items()
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value)
    }
    if not lists:
        raise TableError
    if all(split_named(key) for key in lists):
        for key, rows in lists.items():
            yield from ({_SPLIT: key, **_flat(row)} for row in rows)
    else:
        yield from _rows(max(lists.values(), key=len))


def _flat(record: Mapping[str, Json]) -> dict[str, str]:
    """Return the values of a record as text; lists give each value once, so that two classes stay visible."""
    found: dict[str, dict[str, None]] = {}

    def add(path: str, value: Json, depth: int) -> None:
        if depth > _MAX_DEPTH:
            return
        if isinstance(value, dict):
            for key, inner in value.items():
                add(f"{path}.{key}" if path else key, inner, depth + 1)
        elif isinstance(value, list):
            for inner in value:
                add(path, inner, depth + 1)
        else:
            found.setdefault(path, {}).update({text: None} if (text := _text(value)) else {})

    add("", record, 0)
    return {path: SEVERAL.join(texts) for path, texts in found.items()}


def _grid(records: list[dict[str, str]]) -> Grid:
    headers = tuple(dict.fromkeys(header for record in records for header in record))
    if not 2 <= len(headers) <= MAX_COLUMNS:
        raise TableError
    return Grid([[record.get(header, "") for header in headers] for record in records], headers)


def _text(value: Json) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return ""
    return str(value).strip()


def _dicts(items: Iterable[Json]) -> Iterator[dict[str, Json]]:
    return (item for item in items if isinstance(item, dict))


def _is_scalar(value: Json) -> bool:
    return not isinstance(value, dict | list)


def _is_scalars(value: Json) -> bool:
    return isinstance(value, list) and all(_is_scalar(one) for one in value)
