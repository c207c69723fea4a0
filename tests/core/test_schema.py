"""The types of facts from files, down to the last number and character."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from transfer_core.schema import (
    CONTROL_CHARACTERS,
    CONTROL_CHARACTERS_AND_LINES,
    Count,
    Number,
    Positive,
    Share,
    Text,
    decoded,
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


@pytest.mark.parametrize(
    "character", ["\0", "\x1b", "\r", "\x7f", "\x9b", "\u2028", "\u202e", "\u2066", "\ud800"]
)
def test_control_characters_are_found(character: str) -> None:
    assert CONTROL_CHARACTERS.search(f"a{character}b")


def test_characters_of_words_emoji_and_paragraphs_are_none() -> None:
    text = "می‌خواهم 👩‍🌾 e\u0301\tone\ntwo"
    assert not CONTROL_CHARACTERS.search(text)
    assert CONTROL_CHARACTERS_AND_LINES.findall(text) == ["\t", "\n"]
