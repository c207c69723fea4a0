"""What facts from files have to be, down to the last number and letter."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pytest

from transfer_core.schema import (
    CONTROL_CHARACTERS,
    CONTROL_CHARACTERS_AND_LINES,
    NOT_FINITE,
    fits,
)


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
