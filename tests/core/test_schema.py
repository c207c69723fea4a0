"""The types of facts from files, down to the last number and character."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest

from transfer_core.schema import (
    CONTROL_CHARACTERS,
    CONTROL_CHARACTERS_AND_LINES,
    NOT_FINITE,
    Count,
    Number,
    Positive,
    Share,
    Text,
    decoded,
    fits,
)


class Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    count: Count = 0
    number: Number = 0.0
    positive: Positive = 0.0
    share: Share = 0.0
    text: Text = ""


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"count": 2**53, "number": -1e308, "positive": 1e308, "share": 1.0, "text": "a" * 100_000},
        {"number": 1, "share": 1.0000005},
    ],
)
def test_values_in_range_are_decoded(values: dict[str, Any]) -> None:
    assert msgspec.structs.asdict(decoded(values, Facts)).items() >= values.items()


@pytest.mark.parametrize(
    "values",
    [
        {"count": -1},
        {"count": 2**53 + 1},
        {"count": 1.0},
        {"count": True},
        *({name: math.nan} for name in ("number", "positive", "share")),
        *({name: math.inf} for name in ("number", "positive", "share")),
        {"number": 10**400},
        {"number": "1"},
        {"positive": -1.0},
        {"share": 1.1},
        {"text": "a" * 100_001},
        {"text": None},
        {"unknown": 1},
        [],
        None,
    ],
    ids=lambda values: str(values)[:40],
)
def test_other_values_are_refused(values: Any) -> None:
    with pytest.raises(ValueError, match=r"Expected|unknown field|out of range"):
        decoded(values, Facts)


@dataclass(frozen=True)
class Inner:
    share: float
    loss: Annotated[float, NOT_FINITE] | None = None


@dataclass(frozen=True)
class Outer:
    name: str
    inner: tuple[Inner, ...]
    place: Path = Path()


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (1, int),
        (2**53, int),
        (1, float),
        (0.5, float),
        ("Füchse", str),
        (True, bool),
        (None, int | None),
        ("a", Literal["a", 1]),
        (("a", 1), tuple[str, int]),
        ((), tuple[int, ...]),
        ({"a": 1.5}, dict[str, float]),
        (math.nan, Annotated[float, NOT_FINITE]),
        (Outer("a", (Inner(0.5), Inner(1, math.inf))), Outer),
        (Path("a"), Path | None),
    ],
)
def test_what_fits(value: object, kind: object) -> None:
    assert fits(value, kind)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, int),
        (1.0, int),
        (2**53 + 1, int),
        (10**400, float),
        (math.nan, float),
        (math.inf, float),
        ("1", float),
        (True, float),
        ("a" * 100_001, str),
        (1, bool),
        (True, Literal["a", 1]),
        ([], Literal["a", 1]),
        (["a"], tuple[str, ...]),
        (("a",), tuple[str, int]),
        ({1: 1.0}, dict[str, float]),
        ({"a": math.nan}, dict[str, float]),
        (True, Annotated[float, NOT_FINITE]),
        (Outer("a", (Inner(math.nan),)), Outer),
        (Outer("a", ({"share": 1},)), Outer),  # type: ignore[arg-type]
        (Inner(1), Outer),
        ("a", Path | None),
    ],
)
def test_what_does_not_fit(value: object, kind: object) -> None:
    assert not fits(value, kind)


@pytest.mark.parametrize(
    "character", ["\0", "\x1b", "\r", "\x7f", "\x9b", "\u2028", "\u202e", "\u2066", "\ud800"]
)
def test_control_characters_are_found(character: str) -> None:
    assert CONTROL_CHARACTERS.search(f"a{character}b")


def test_characters_of_words_emoji_and_paragraphs_are_none() -> None:
    text = "می‌خواهم 👩‍🌾 e\u0301\tone\ntwo"
    assert not CONTROL_CHARACTERS.search(text)
    assert CONTROL_CHARACTERS_AND_LINES.findall(text) == ["\t", "\n"]
