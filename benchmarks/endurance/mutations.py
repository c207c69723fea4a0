"""Random damage of files: flipped, overwritten or missing bytes, and JSON values of other types."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

_OTHER_JSON: tuple[object, ...] = ([], {}, None, "text", 7, -1.5, True, [[[]]], {"version": []}, 10**400)


def damaged(content: bytes, draws: np.random.Generator) -> bytes:
    """Return damaged bytes, in one of six random ways.

    Args:
        content: Undamaged bytes.
        draws: Source of all random choices.
    """
    way = draws.integers(6)
    if way == 0:
        return b""
    if way == 1:
        return content[: int(draws.integers(len(content) + 1))]
    if way == 2:
        return json.dumps(_OTHER_JSON[draws.integers(len(_OTHER_JSON))]).encode()
    if way == 3 and content[:1] == b"{":
        return _with_wrong_value(content, draws)
    changed = bytearray(content)
    for index in draws.integers(max(len(content), 1), size=int(draws.integers(1, 9))):
        if index < len(changed):
            changed[index] = (
                changed[index] ^ (1 << int(draws.integers(8))) if way == 4 else int(draws.integers(256))
            )
    return bytes(changed)


def _with_wrong_value(content: bytes, draws: np.random.Generator) -> bytes:
    """Replace one value anywhere in a JSON document, or in one line of JSON lines."""
    lines = content.splitlines()
    number = int(draws.integers(len(lines)))
    try:
        values = json.loads(lines[number] if len(lines) > 1 and lines[0].endswith(b"}") else content)
    except ValueError:
        return content[:-1]
    items = list(_items(values))
    if items:
        holder, key = items[int(draws.integers(len(items)))]
        holder[key] = _OTHER_JSON[int(draws.integers(len(_OTHER_JSON)))]
    replaced = json.dumps(values).encode()
    if len(lines) > 1 and lines[0].endswith(b"}"):
        return b"\n".join([*lines[:number], replaced, *lines[number + 1 :], b""])
    return replaced


def _items(values: Any) -> list[tuple[Any, Any]]:
    if isinstance(values, dict):
        pairs = list(values.items())
    elif isinstance(values, list):
        pairs = list(enumerate(values))
    else:
        return []
    return [(values, key) for key, _value in pairs] + [
        item for _key, value in pairs for item in _items(value)
    ]
