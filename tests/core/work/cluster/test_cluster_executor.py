"""Trainings on a real cluster of two nodes."""

from __future__ import annotations

from transfer_core.events import RunEnded, RunPlaced
from transfer_core.runs.training_run import TrainingRun


def test_run_trains_on_a_node(executor, session_workspace, color_dataset, tiny_config) -> None:
    run = TrainingRun.create(session_workspace, color_dataset, tiny_config)
    events: list = []
    executor(session_workspace, run, events.append, lambda: False)
    assert isinstance(events[-1], RunEnded)
    assert events[-1].outcome == "finished", events[-1].message
    assert isinstance(events[0], RunPlaced)
    assert run.has_model
    assert run.evaluation().num_images == 6
