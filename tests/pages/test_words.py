"""Words on screen that stand in one table."""

from __future__ import annotations

from typing import get_args

import pytest

from pages.ui.app.words import distinct_labels, precision_words, short_names, status_words
from transfer_core.events import PrecisionChosen, PrecisionReason
from transfer_core.runs.run_status import RunStatus


@pytest.mark.parametrize("status", get_args(RunStatus))
def test_every_status_has_an_icon_and_words_of_its_own(status: RunStatus) -> None:
    found = status_words(status)
    assert found.icon.startswith(":material/")
    assert found.label and found.state
    others = [status_words(other) for other in get_args(RunStatus) if other != status]
    assert found.label not in [other.label for other in others]


@pytest.mark.parametrize("reason", get_args(PrecisionReason))
def test_every_precision_has_a_sentence_of_its_own(reason: PrecisionReason) -> None:
    sentence = precision_words(PrecisionChosen(1.0, "float32" if reason else "mixed_float16", reason))
    assert ("float32" in sentence) == bool(reason)
    assert len(sentence.split()) <= 15


def test_options_with_the_same_words_are_numbered() -> None:
    labels = {"a": "colors · 33%", "b": "flowers", "c": "colors · 33%", "d": "colors · 33%"}
    assert list(distinct_labels(labels).values()) == [
        "colors · 33%",
        "flowers",
        "colors · 33% (2)",
        "colors · 33% (3)",
    ]


def test_long_names_of_classes_are_short_and_distinct_where_they_are_drawn() -> None:
    path = "Animalia_Arthropoda_Insecta_Lepidoptera_Nymphalidae_Vanessa_"
    names = [
        f"{path}atalanta",
        f"{path}cardui",
        "a" * 99 + "x" + "a" * 99,
        "a" * 99 + "y" + "a" * 99,
        "cat",
        "Cat",
    ]
    labels = short_names(names)
    assert list(labels) == names
    assert list(labels.values()) == [
        "Animalia_Arthropod…_Vanessa_atalanta",
        "Animalia_Arthropod…ae_Vanessa_cardui",
        "a" * 18 + "…" + "a" * 17,
        "a" * 18 + "…" + "a" * 17 + " (2)",
        "cat",
        "Cat",
    ]
