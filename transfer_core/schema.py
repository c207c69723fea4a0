"""The types that facts on disk are declared with, and the one way from JSON values to a struct."""

from __future__ import annotations

import re
import sys
from typing import Annotated, Any, TypeVar

import msgspec

from transfer_core.language import Message

# JSON readers in other languages keep whole numbers exact up to here.
_LARGEST = 2**53
_MOST_LETTERS = 100_000

Text = Annotated[str, msgspec.Meta(max_length=_MOST_LETTERS)]
Count = Annotated[int, msgspec.Meta(ge=0, le=_LARGEST)]
Number = Annotated[float, msgspec.Meta(ge=-sys.float_info.max, le=sys.float_info.max)]
Positive = Annotated[float, msgspec.Meta(ge=0, le=sys.float_info.max)]
# A mean of float32 numbers can be a little above 1.
Share = Annotated[float, msgspec.Meta(ge=0, le=1 + 1e-6)]

# Control characters, marks that turn the direction of text, line separators and halves of surrogate pairs. The joiners
# of emoji and of Persian words are none of these.
_CONTROL = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
CONTROL_CHARACTERS = re.compile(f"[{_CONTROL}]")
CONTROL_CHARACTERS_AND_LINES = re.compile(f"[\t\n{_CONTROL}]")

_T = TypeVar("_T")


def encoded(facts: object) -> Any:
    """Return a struct as JSON values. A name that the app has given, in some language, is the person's from then on."""
    return msgspec.to_builtins(facts, enc_hook=_finished)


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


def _finished(value: object) -> str:
    if isinstance(value, Message):
        return str.__str__(value)
    raise NotImplementedError
