"""The types that facts on disk are declared with, and the one way from JSON values to a struct."""

from __future__ import annotations

import math
import re
import sys
import types
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

# JSON readers in other languages keep whole numbers exact up to here.
_LARGEST = 2**53
_MOST_LETTERS = 100_000

Text = Annotated[str, msgspec.Meta(max_length=_MOST_LETTERS)]
Count = Annotated[int, msgspec.Meta(ge=0, le=_LARGEST)]
Number = Annotated[float, msgspec.Meta(ge=-sys.float_info.max, le=sys.float_info.max)]
Positive = Annotated[float, msgspec.Meta(ge=0, le=sys.float_info.max)]
# A mean of float32 numbers can be a little above 1.
Share = Annotated[float, msgspec.Meta(ge=0, le=1 + 1e-6)]

# In an annotation: infinity and NaN fit as well, such as the loss of a training that diverged.
NOT_FINITE = "may be infinity or NaN"
# Control characters, marks that turn the direction of text, line separators and halves of surrogate pairs. The joiners
# of emoji and of Persian words are none of these.
_CONTROL = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
CONTROL_CHARACTERS = re.compile(f"[{_CONTROL}]")
CONTROL_CHARACTERS_AND_LINES = re.compile(f"[\t\n{_CONTROL}]")

_Check = Callable[[Any], bool]
_T = TypeVar("_T")


def decoded(values: object, kind: type[_T]) -> _T:
    """Return JSON values as a struct, checked against its declaration: types, ranges and unknown fields.

    Args:
        values: From `json.loads`.
        kind: A `msgspec.Struct`, declared with `forbid_unknown_fields` unless a later version may add fields.

    Raises:
        ValueError: If they do not fit, with the field and the reason in English, for the log.
    """
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error


def fits(value: object, kind: Any) -> bool:
    """Return whether a value and all its parts are of a type. Numbers have to be finite.

    Args:
        value: Made from JSON.
        kind: A dataclass, or a type as in annotations.
    """
    return _check_of(kind)(value)


@lru_cache(maxsize=256)
def _check_of(kind: Any) -> _Check:
    """Return the check of a type, built once: datasets have a hundred thousand facts."""
    if isinstance(kind, type) and is_dataclass(kind):
        return _check_of_dataclass(kind)
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _is_number if NOT_FINITE in parts[1:] else _check_of(parts[0])
    if origin is Literal:
        known = {(type(choice), choice) for choice in parts}
        return lambda value: isinstance(value, str | int | None) and (type(value), value) in known
    if origin in (Union, types.UnionType):
        checks = tuple(map(_check_of, parts))
        return lambda value: any(check(value) for check in checks)
    if origin is tuple:
        return _check_of_tuple(parts)
    if origin is dict:
        of_key, of_value = map(_check_of, parts)
        return lambda value: (
            isinstance(value, dict) and all(map(of_key, value)) and all(map(of_value, value.values()))
        )
    return _PLAIN.get(kind) or (lambda value: isinstance(value, kind))


def _check_of_dataclass(kind: type[Any]) -> _Check:
    hints = get_type_hints(kind, include_extras=True)
    checks = tuple((field.name, _check_of(hints[field.name])) for field in fields(kind))
    return lambda value: (
        isinstance(value, kind) and all(check(getattr(value, name)) for name, check in checks)
    )


def _check_of_tuple(parts: tuple[Any, ...]) -> _Check:
    if parts[-1:] == (Ellipsis,):
        check = _check_of(parts[0])
        return lambda value: isinstance(value, tuple) and all(map(check, value))
    checks = tuple(map(_check_of, parts))
    return lambda value: (
        isinstance(value, tuple)
        and len(value) == len(checks)
        and all(check(part) for check, part in zip(checks, value, strict=True))
    )


def _is_count(value: object) -> bool:
    return type(value) is int and -_LARGEST <= value <= _LARGEST


def _is_number(value: object) -> bool:
    return type(value) is float or _is_count(value)


def _is_finite(value: object) -> bool:
    return math.isfinite(value) if type(value) is float else _is_count(value)


_PLAIN: dict[Any, _Check] = {
    float: _is_finite,
    int: _is_count,
    str: lambda value: isinstance(value, str) and len(value) <= _MOST_LETTERS,
    bool: lambda value: type(value) is bool,
    types.NoneType: lambda value: value is None,
}
