"""Dates, separators and the order of names are those of the visitor's language."""

from __future__ import annotations

from datetime import datetime

import pytest

from transfer_core.language import (
    date_time_words,
    date_words,
    language_tag,
    number_separators,
    sort_key,
    speaking,
    time_words,
)

MOMENT = datetime(2026, 11, 28, 14, 2)


@pytest.mark.parametrize(
    ("code", "date", "moment", "separators"),
    [
        ("en", "28 Nov 2026", "28 Nov, 14:02", ".,"),
        ("de", "28. Nov. 2026", "28. Nov., 14:02", ",."),
        ("fr", "28 nov. 2026", "28 nov., 14:02", ",\u202f"),
        ("es", "28 nov 2026", "28 nov, 14:02", ",."),
        ("pt_BR", "28 de nov. de 2026", "28 de nov. 14:02", ",."),
        ("zh_CN", "2026年11月28日", "11月28日 14:02", ".,"),
    ],
)
def test_a_moment_is_written_as_in_the_language(code: str, date: str, moment: str, separators: str) -> None:
    with speaking(code):
        assert (date_words(MOMENT), date_time_words(MOMENT), time_words(MOMENT)) == (date, moment, "14:02")
        assert number_separators() == separators


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("de", ["Apfel", "äpfel", "Apfelmus", "Zebra"]),
        ("fr", ["Côte", "cote", "côté", "coteau"]),
        ("es", ["nube", "nzz", "ñandú", "oso"]),
        ("zh_CN", ["Äpfel", "apple", "安徽", "北京", "上海"]),
        ("en", ["a", "B", "c"]),
    ],
)
def test_names_are_sorted_as_people_expect(code: str, names: list[str]) -> None:
    with speaking(code):
        assert sorted(names[1:] + names[:1], key=sort_key) == names


def test_a_language_is_named_to_browsers_with_a_hyphen() -> None:
    with speaking("pt_BR"):
        assert language_tag() == "pt-BR"
    assert language_tag("zh_CN") == "zh-CN"
