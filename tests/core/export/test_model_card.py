"""The card that says where a model comes from."""

from __future__ import annotations

from dataclasses import replace

from tests.core.conftest import FinishedRun
from transfer_core.export.model_card import model_card


def test_a_model_that_was_taught_names_its_teacher(finished_run: FinishedRun) -> None:
    run = finished_run.run
    taught = replace(run, config=run.config.with_changes(teacher="20260101-000000-0123456789abcdef"))
    card = model_card(taught, finished_run.dataset, ())
    assert "taught by the run 20260101-000000-0123456789abcdef" in card
    assert "taught by" not in model_card(run, finished_run.dataset, ())
