"""Trainings on a real cluster of two nodes: the same bits, several at once, stopped and paused."""

from __future__ import annotations

import importlib.metadata
import threading
from pathlib import Path

import numpy as np
import psutil

from tests.core.work.cluster.conftest import one_thread_executor, wait_until, weights_of
from transfer_core.events import EpochEnded, RunEnded, RunPlaced, RunStarted, TrainingEvent
from transfer_core.language import said
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.cluster.nodes import Need
from transfer_core.work.trainings import Trainings


def trained(executor, workspace, run: TrainingRun) -> list[TrainingEvent]:
    events: list[TrainingEvent] = []
    executor(workspace, run, events.append, lambda: False)
    assert isinstance(events[-1], RunEnded)
    assert events[-1].outcome == "finished", said(events[-1].message)
    return events


def test_run_on_a_node_gives_the_same_bits_as_one_in_a_worker(
    executor, session_workspace, color_dataset, tiny_config, keras_module
) -> None:
    config = tiny_config.with_changes(num_unfrozen_blocks=1)
    there, here = (TrainingRun.create(session_workspace, color_dataset, config) for _number in range(2))
    events = trained(executor, session_workspace, there)
    with one_thread_executor() as worker:
        trained(worker, session_workspace, here)
    placed, started = events[:2]
    assert isinstance(placed, RunPlaced)
    assert (placed.address, placed.num_threads) == ("127.0.0.1", 1)
    assert isinstance(started, RunStarted)
    assert [event.epoch for event in events if isinstance(event, EpochEnded)] == [1, 2, 3, 4, 5]
    pairs = zip(weights_of(there), weights_of(here), strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs)
    assert there.evaluation().accuracy == here.evaluation().accuracy
    assert not there.has_checkpoint
    names = [sorted(path.name for path in run.folder.glob("[!.]*")) for run in (there, here)]
    assert names[0] == names[1]


def test_two_runs_train_at_once_and_a_third_waits(executor, workspace, dataset, tiny_config) -> None:
    trainings = Trainings(workspace, executor)
    # Small batches make the trainings outlast the waits.
    long = tiny_config.with_changes(epochs=1000, batch_size=1)
    runs = [trainings.submit(dataset, long) for _number in range(3)]
    first, second, third = runs
    wait_until(lambda: all(trainings.snapshot(run).epochs for run in (first, second)))
    assert [trainings.status(run) for run in runs] == ["running", "running", "queued"]
    trainings.request_stop(first)
    wait_until(lambda: trainings.snapshot(third).started_at)
    for run in runs:
        trainings.request_stop(run)
    wait_until(lambda: all(trainings.status(run) == "stopped" for run in runs))
    assert all(TrainingRun.load(workspace, run).has_model for run in (first, second))


def test_pause_and_stop_reach_the_node(executor, workspace, dataset, tiny_config) -> None:
    trainings = Trainings(workspace, executor)
    run_id = trainings.submit(dataset, tiny_config.with_changes(epochs=500))
    wait_until(lambda: trainings.snapshot(run_id).epochs)
    trainings.pause(run_id)
    wait_until(lambda: trainings.status(run_id) == "paused")
    num_epochs = -1
    still = threading.Event()

    def stands_still() -> bool:
        nonlocal num_epochs
        before, num_epochs = num_epochs, len(trainings.snapshot(run_id).epochs)
        still.wait(1.2)
        return before == num_epochs

    wait_until(stands_still)
    trainings.go_on(run_id)
    wait_until(lambda: len(trainings.snapshot(run_id).epochs) > num_epochs)
    trainings.request_stop(run_id)
    wait_until(lambda: trainings.status(run_id) == "stopped")
    assert TrainingRun.load(workspace, run_id).has_model


def test_run_that_no_node_could_hold_ends_with_the_reason(
    executor, workspace, dataset, tiny_config, monkeypatch
) -> None:
    run = TrainingRun.create(workspace, dataset, tiny_config)
    events: list[TrainingEvent] = []
    monkeypatch.setattr(executor, "_need_of", lambda _workspace, _run: Need(8.0, 2**31))
    executor(workspace, run, events.append, lambda: False)
    (ended,) = events
    assert ended.outcome == "interrupted"
    assert said(ended.message).startswith("This training needs 8 cores and 2.2 GB. The largest computer of")
    assert " has 1 and " in said(ended.message)


def test_node_with_another_version_is_refused_with_the_reason(cluster, executor, tmp_path) -> None:
    facts = tmp_path / "keras-1.9.dist-info" / "METADATA"
    facts.parent.mkdir()
    facts.write_text("Metadata-Version: 2.1\nName: keras\nVersion: 1.9\n")
    cluster.add(PYTHONPATH=str(tmp_path))
    wait_until(lambda: len(executor.nodes) == 3)
    (refused,) = (node for node in executor.nodes if node.problem)
    own = importlib.metadata.version("keras")
    assert said(refused.problem) == f"{refused.name} has Keras 1.9; this computer has {own}."
    cluster.raylets()[-1].kill()
    wait_until(lambda: len(executor.nodes) == 2)


def test_deleted_run_ends_with_the_reason(executor, workspace, dataset, tiny_config) -> None:
    run = TrainingRun.create(workspace, dataset, tiny_config)
    (run.folder / "config.json").unlink()
    events: list[TrainingEvent] = []
    executor(workspace, run, events.append, lambda: False)
    assert "does not exist any more" in said(events[-1].message)


def test_driver_lends_no_folder_to_the_nodes(executor) -> None:
    """Workers look for modules in the folder of the driver first, where another copy of the app may be."""
    assert psutil.Process(executor.process_id).cwd() == Path.home().anchor
