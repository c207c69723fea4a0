"""Deleted runs can be had back, for a while."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from transfer_core.config import TrainingConfig
from transfer_core.errors import NotFoundError, TrainingError, TransferStudioError
from transfer_core.runs import trash
from transfer_core.runs.deletion import delete_expired
from transfer_core.runs.training_run import TrainingRun
from transfer_core.runs.trash import TrashKind, move_to_trash, take_from_trash
from transfer_core.work.live_run import LiveRun
from transfer_core.work.trainings import Trainings
from transfer_core.workspace import Workspace

PATIENCE = 30  # seconds until a test gives up; nothing waits that long
EIGHT_DAYS = 8 * 24 * 60 * 60


@pytest.fixture
def run(workspace, color_dataset) -> TrainingRun:
    return TrainingRun.create(workspace, color_dataset, TrainingConfig(backbone="tiny_random", epochs=7))


@pytest.fixture
def queue(workspace) -> Trainings:
    return Trainings(workspace)


def test_deleted_run_is_not_listed_and_is_restored_whole(queue, run, workspace) -> None:
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
    delete_expired(workspace)
    assert [path.name for path in workspace.trash_dir.iterdir()] == [another.id]
    with pytest.raises(NotFoundError):
        queue.undo_delete(run.id)


def test_a_run_that_two_windows_delete_and_take_back_at_once_is_not_lost(
    queue, run, workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each window waits for the other just before it deletes what stands in its way."""
    real_remove, both_are_there = trash.remove, threading.Barrier(2)

    def wait_for_the_other(path: Path) -> None:
        with suppress(threading.BrokenBarrierError):
            both_are_there.wait(0.05)
        real_remove(path)

    monkeypatch.setattr(trash, "remove", wait_for_the_other)

    def act(change: Callable[[Workspace, TrashKind, str], None], refused: list[Exception]) -> None:
        try:
            change(workspace, "run", run.id)
        except TransferStudioError as error:
            refused.append(error)

    for change in (move_to_trash, take_from_trash):
        refused: list[Exception] = []
        windows = [threading.Thread(target=act, args=(change, refused)) for _number in range(2)]
        for window in windows:
            window.start()
        for window in windows:
            window.join(PATIENCE)
        assert [type(error) for error in refused] == [NotFoundError]
        both_are_there.reset()
    assert TrainingRun.load(workspace, run.id) == run
