"""Ways in which bytes get damaged: flipped, cut, emptied, overwritten, or another kind of JSON in their place."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

_OTHER_JSON: tuple[object, ...] = ([], {}, None, "text", 7, -1.5, True, [[[]]], {"version": []}, 10**400)


def damaged(content: bytes, draws: np.random.Generator) -> bytes:
    """Damage bytes in one of several ways.

    Args:
        content: What is whole.
        draws: Decides how.
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
    for place in draws.integers(max(len(content), 1), size=int(draws.integers(1, 9))):
        if place < len(changed):
            changed[place] = (
                changed[place] ^ (1 << int(draws.integers(8))) if way == 4 else int(draws.integers(256))
            )
    return bytes(changed)


def _with_wrong_value(content: bytes, draws: np.random.Generator) -> bytes:
    """Replace one value anywhere in the JSON, line by line where there are several."""
    lines = content.splitlines()
    number = int(draws.integers(len(lines)))
    try:
        values = json.loads(lines[number] if len(lines) > 1 and lines[0].endswith(b"}") else content)
    except ValueError:
        return content[:-1]
    places = list(_places(values))
    if places:
        holder, key = places[int(draws.integers(len(places)))]
        holder[key] = _OTHER_JSON[int(draws.integers(len(_OTHER_JSON)))]
    replaced = json.dumps(values).encode()
    if len(lines) > 1 and lines[0].endswith(b"}"):
        return b"\n".join([*lines[:number], replaced, *lines[number + 1 :], b""])
    return replaced


def _places(values: Any) -> list[tuple[Any, Any]]:
    if isinstance(values, dict):
        pairs = list(values.items())
    elif isinstance(values, list):
        pairs = list(enumerate(values))
    else:
        return []
    return [(values, key) for key, _value in pairs] + [
        place for _key, value in pairs for place in _places(value)
    ]
