"""The model card names the teacher of a distilled model."""

from __future__ import annotations

from dataclasses import replace

from tests.core.conftest import FinishedRun
from transfer_core.export.model_card import model_card


def test_a_distilled_model_names_its_teacher(finished_run: FinishedRun) -> None:
    run = finished_run.run
    distilled = replace(run, config=run.config.with_changes(teacher="20260101-000000-0123456789abcdef"))
    card = model_card(distilled, finished_run.dataset, ())
    assert "taught by the run 20260101-000000-0123456789abcdef" in card
    assert "taught by" not in model_card(run, finished_run.dataset, ())
