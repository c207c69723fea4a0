"""Words on screen that stand in one table."""

from __future__ import annotations

from typing import get_args

import pytest

from pages.ui.app.words import distinct_labels, status_words
from transfer_core.runs.run_status import RunStatus


@pytest.mark.parametrize("status", get_args(RunStatus))
def test_every_status_has_an_icon_and_words_of_its_own(status: RunStatus) -> None:
    found = status_words(status)
    assert found.icon.startswith(":material/")
    assert found.label and found.state
    others = [status_words(other) for other in get_args(RunStatus) if other != status]
    assert found.label not in [other.label for other in others]


def test_options_with_the_same_words_are_numbered() -> None:
    labels = {"a": "colors · 33%", "b": "flowers", "c": "colors · 33%", "d": "colors · 33%"}
    assert list(distinct_labels(labels).values()) == [
        "colors · 33%",
        "flowers",
        "colors · 33% (2)",
        "colors · 33% (3)",
    ]
