"""Whether facts from outside are of the kinds that the app's own dataclasses say they are."""

from __future__ import annotations

import types
from dataclasses import fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

_LARGEST = 2**53
_MOST_LETTERS = 20_000


def fits(value: object, kind: Any) -> bool:
    """Say whether a value is of a kind, down to the last part of it.

    Args:
        value: Made from JSON.
        kind: A dataclass, a plain type, or what is written in the annotations of the dataclasses.
    """
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        return isinstance(value, kind) and all(
            fits(getattr(value, field.name), hints[field.name]) for field in fields(kind)
        )
    origin = get_origin(kind)
    if origin is Literal:
        return any(type(value) is type(known) and value == known for known in get_args(kind))
    if origin in (Union, types.UnionType):
        return any(fits(value, one) for one in get_args(kind))
    if origin is tuple:
        return isinstance(value, tuple) and _items_fit(value, get_args(kind))
    if origin is dict:
        of_key, of_value = get_args(kind)
        return isinstance(value, dict) and all(
            fits(key, of_key) and fits(one, of_value) for key, one in value.items()
        )
    return _is_plain(value, kind)


def _is_plain(value: object, kind: Any) -> bool:
    if kind is float:
        return type(value) is float or _is_plain(value, int)
    if kind is int:
        return type(value) is int and abs(value) <= _LARGEST
    if kind is str:
        return isinstance(value, str) and len(value) <= _MOST_LETTERS
    if kind in (bool, types.NoneType):
        return type(value) is kind
    return kind is Path and isinstance(value, Path)


def _items_fit(values: tuple[object, ...], kinds: tuple[Any, ...]) -> bool:
    if kinds[-1:] == (Ellipsis,):
        return all(fits(value, kinds[0]) for value in values)
    return len(values) == len(kinds) and all(map(fits, values, kinds))


@lru_cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
