"""Check the JSON in a project that may be hostile: sizes before it is parsed, nesting and characters afterwards.

A list or an object takes thirty times as much memory as its characters, so 95 MB of `[],` would take 2.5 GB.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transfer_core.data.limits import limits
from transfer_core.errors import ProjectError
from transfer_core.language import _
from transfer_core.runs.event_log import LONGEST_LINE
from transfer_core.schema import CONTROL_CHARACTERS

# These grow with the photos or with the length of the training; all other files are short.
_LARGE_FILES = ("project.json", "dataset.json", "evaluation.json", "split.json", "events.jsonl")
_MOST_BYTES = 2**20
_MOST_BYTES_OF_LARGE, _MOST_BYTES_PER_PHOTO = 2**24, 1000
_MOST_VALUES, _MOST_VALUES_PER_PHOTO = 400_000, 100
_MOST_EVENTS = 200_000
# Ten events a second and up to 300 bytes each.
_MOST_BYTES_OF_EVENTS = 300 * _MOST_EVENTS
_DEEPEST = 20
# Written by a person: control characters are removed whenever it is read.
_WRITTEN_BY_HAND = "notes.json"


def most_bytes(name: str, num_photos: int) -> int:
    """Return the largest size of a JSON file in a project, in bytes.

    Args:
        name: Of the file, with or without its folders.
        num_photos: In the project.
    """
    kind = name.rpartition("/")[2]
    if kind not in _LARGE_FILES:
        return _MOST_BYTES
    if kind == "events.jsonl":
        return min(_MOST_BYTES_OF_EVENTS, limits().file_bytes)
    return min(_MOST_BYTES_OF_LARGE + _MOST_BYTES_PER_PHOTO * num_photos, limits().file_bytes)


def check_text(path: Path, num_photos: int) -> None:
    """Raise an error for a JSON file that is larger or deeper than this app writes, or has control characters.

    Args:
        path: Of the workspace, or unpacked.
        num_photos: In the project.

    Raises:
        OSError: If it cannot be read.
        ProjectError: If it is not what this app writes.
    """
    if path.stat().st_size > most_bytes(path.name, num_photos):
        raise ProjectError(_too_large(path.name))
    if path.name.endswith(".jsonl"):
        _check_lines(path)
    else:
        parse_text(path.read_bytes(), path.name, num_photos)


def parse_text(content: bytes, name: str, num_photos: int) -> dict[str, Any]:
    """Return the values of a JSON file whose size, nesting and characters are harmless.

    Args:
        content: Of the file; not larger than `most_bytes`.
        name: Of the file, for messages.
        num_photos: In the project.

    Raises:
        ProjectError: If a value is not what this app writes.
    """
    num_values = sum(content.count(mark) for mark in (b",", b"[", b"{"))
    if num_values > _MOST_VALUES + _MOST_VALUES_PER_PHOTO * num_photos:
        raise ProjectError(_too_large(name))
    try:
        values = json.loads(content, object_pairs_hook=_without_duplicates)
        _look_through(values, has_any_character=name == _WRITTEN_BY_HAND)
    except (ValueError, TypeError, RecursionError) as error:
        raise ProjectError(_("The content of {file} is not valid.").format(file=name)) from error
    facts: dict[str, Any] = values
    return facts


def _check_lines(path: Path) -> None:
    with path.open("rb") as file:
        num_lines = 0
        while line := file.readline(LONGEST_LINE):
            num_lines += 1
            if num_lines > _MOST_EVENTS or (len(line) == LONGEST_LINE and not line.endswith(b"\n")):
                raise ProjectError(_too_large(path.name))


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a name is there twice")
    return values


def _look_through(values: object, has_any_character: bool) -> None:
    """Raise an error for control characters, and for values nested more deeply than this app writes them."""
    if not isinstance(values, dict):
        raise TypeError("no object")
    layer: list[Any] = [values]
    for _depth in range(_DEEPEST):
        below: list[Any] = []
        for value in layer:
            if isinstance(value, dict):
                below += value
                below += value.values()
            elif isinstance(value, list):
                below += value
            elif isinstance(value, str) and not has_any_character and CONTROL_CHARACTERS.search(value):
                raise ValueError("a control character")
        layer = below
    if layer:
        raise ValueError("nested too deeply")


def _too_large(name: str) -> str:
    return _("{file} is too large for this number of photos.").format(file=name)
