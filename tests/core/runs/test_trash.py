"""Deleted runs can be had back, for a while."""

from __future__ import annotations

import os
import time

import pytest

from transfer_core.config import TrainingConfig
from transfer_core.errors import NotFoundError, TrainingError
from transfer_core.runs.live_run import LiveRun
from transfer_core.runs.run_queue import RunQueue
from transfer_core.runs.training_run import TrainingRun

EIGHT_DAYS = 8 * 24 * 60 * 60


@pytest.fixture
def run(workspace, color_dataset) -> TrainingRun:
    return TrainingRun.create(workspace, color_dataset, TrainingConfig(backbone="tiny_random", epochs=7))


@pytest.fixture
def queue(workspace) -> RunQueue:
    return RunQueue(workspace)


def test_deleted_run_is_gone_and_comes_back_whole(queue, run, workspace) -> None:
    assert queue.status(run.id) == "interrupted"
    queue.delete(run.id)
    assert workspace.run_ids() == []
    with pytest.raises(NotFoundError):
        queue.status(run.id)
    queue.undo_delete(run.id)
    assert TrainingRun.load(workspace, run.id) == run
    assert queue.status(run.id) == "interrupted"


def test_what_was_written_after_the_deletion_does_not_stand_in_the_way(queue, run, workspace) -> None:
    queue.delete(run.id)
    leftover = workspace.run_dir(run.id) / "exports" / "late.zip"
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(b"PK")
    queue.undo_delete(run.id)
    assert TrainingRun.load(workspace, run.id) == run
    assert not leftover.exists()


def test_run_that_is_trained_cannot_be_deleted(queue, run, workspace) -> None:
    live = LiveRun(run)
    with pytest.raises(TrainingError, match="Stop it first"):
        queue.delete(run.id)
    live.release()
    assert workspace.run_ids() == [run.id]


@pytest.mark.parametrize("run_id", ["20200101-000000-0123456789abcdef", "../runs"])
def test_unknown_run(queue, workspace, run_id: str) -> None:
    workspace.runs_dir.mkdir(exist_ok=True)
    for act in (queue.delete, queue.undo_delete):
        with pytest.raises(NotFoundError):
            act(run_id)
    assert workspace.runs_dir.is_dir()


def test_old_ones_are_deleted_for_good(queue, run, workspace, color_dataset) -> None:
    queue.delete(run.id)
    long_ago = time.time() - EIGHT_DAYS
    os.utime(workspace.trash_dir / run.id, (long_ago, long_ago))
    another = TrainingRun.create(workspace, color_dataset, TrainingConfig())
    os.utime(another.folder, (long_ago, long_ago))
    queue.delete(another.id)
    assert [path.name for path in workspace.trash_dir.iterdir()] == [another.id]
    with pytest.raises(NotFoundError):
        queue.undo_delete(run.id)
