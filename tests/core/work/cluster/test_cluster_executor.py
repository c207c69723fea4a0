"""Trainings, folds and auditions on a real cluster of two nodes, which share its start and its workers.

The same bits, several at once, stopped and paused, elsewhere or here when nodes are lost.
"""

from __future__ import annotations

import importlib.metadata
import sys
import threading
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.core.work.cluster.conftest import wait_until, weights_of
from transfer_core.backbones.registry import get_backbone
from transfer_core.evaluation.audition import audition
from transfer_core.events import EpochEnded, FoldEnded, RunEnded, RunPlaced, RunStarted, TrainingEvent
from transfer_core.files import write_json
from transfer_core.language import said
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.stages import RATES_FILE
from transfer_core.work.cluster.cluster_executor import ClusterExecutor
from transfer_core.work.cluster.job_kinds import FOLD
from transfer_core.work.cluster.messages import JobEnded
from transfer_core.work.cluster.nodes import Need
from transfer_core.work.cluster.spread_audition import spread_audition_task
from transfer_core.work.queue import WorkQueue
from transfer_core.work.task import Task
from transfer_core.work.trainings import Trainings

NAMES = ("tiny_random", "efficientnet_lite0")


def trained(executor, workspace, run: TrainingRun) -> list[TrainingEvent]:
    events: list[TrainingEvent] = []
    executor(workspace, run, events.append, lambda: False)
    assert isinstance(events[-1], RunEnded)
    assert events[-1].outcome == "finished", said(events[-1].message)
    return events


def test_run_on_a_node_gives_the_same_bits_as_one_in_a_worker(
    executor, one_thread_executor, session_workspace, color_dataset, tiny_config, keras_module
) -> None:
    config = tiny_config.with_changes(num_unfrozen_blocks=1)
    there, here = (TrainingRun.create(session_workspace, color_dataset, config) for _number in range(2))
    events = trained(executor, session_workspace, there)
    trained(one_thread_executor, session_workspace, here)
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


def test_folds_are_trained_on_another_node_with_the_same_accuracies(
    executor, one_thread_executor, cluster, workspace, in_folds, tiny_config, monkeypatch
) -> None:
    # As if earlier runs had been slow, so that giving folds away pays.
    for number in range(1, 9):
        rates = {"head tiny_random": 40.0, "fine_tune tiny_random": 40.0}
        write_json(cluster.folder / f"node-{number}" / "cache" / RATES_FILE, {"factors": rates})
    config = tiny_config.with_changes(num_unfrozen_blocks=1)
    there, here = (TrainingRun.create(workspace, in_folds, config) for _number in range(2))
    given: list[int] = []
    follow = executor._follow

    def spy(job, *arguments):
        ended = follow(job, *arguments)
        if job.kind == FOLD and isinstance(ended, JobEnded) and ended.result:
            given.append(job.arguments["number"])
        return ended

    monkeypatch.setattr(executor, "_follow", spy)
    events: list[TrainingEvent] = []
    executor(workspace, there, events.append, lambda: False)
    others: list[TrainingEvent] = []
    one_thread_executor(workspace, here, others.append, lambda: False)
    ended = events[-1]
    assert isinstance(ended, RunEnded) and ended.outcome == "finished", ended
    assert given
    assert folds_of(events) == folds_of(others)
    assert [number for number, _accuracy in folds_of(events)] == [1, 2, 3, 4, 5, 6]
    for number in range(2, 7):
        name = f"folds/{number}/fold.json"
        assert (there.folder / name).read_bytes() == (here.folder / name).read_bytes()


def folds_of(events: list[TrainingEvent]) -> list[tuple[int, float]]:
    return [(event.fold, event.val_accuracy) for event in events if isinstance(event, FoldEnded)]


@pytest.fixture
def queue(executor) -> WorkQueue:
    queue = WorkQueue()
    executor.on_room(queue.begin_waiting)
    return queue


def start(executor, queue, workspace, dataset, names=NAMES) -> Task:
    backbones = [get_backbone(name) for name in names]
    return queue.start(spread_audition_task(executor, queue, workspace, dataset, backbones))


def test_candidates_are_tried_on_nodes_at_once_with_the_accuracies_of_this_computer(
    executor, queue, session_workspace, color_dataset, tmp_path
) -> None:
    progress: list[tuple[str, float]] = []
    most_at_once = 0
    task = start(executor, queue, session_workspace, color_dataset)
    while not task.is_over:
        parts = [part for part in queue.tasks("candidate") if part.progress.part]
        most_at_once = max(most_at_once, len(parts))
        progress.append((task.progress.part, task.progress.share))
        task.wait(0.05)
    assert task.error is None
    here = audition(color_dataset, [get_backbone(name) for name in NAMES], tmp_path)
    assert [score.backbone_name for score in task.result] == list(NAMES)
    assert [score.accuracies for score in task.result] == [score.accuracies for score in here]
    assert [score.num_images for score in task.result] == [score.num_images for score in here]
    assert {score.processor for score in task.result} == {executor.nodes[0].processor}
    assert all(score.seconds_per_100_images > 0 for score in task.result)
    assert sorted(share for _part, share in progress) == [share for _part, share in progress]
    assert not queue.tasks("candidate")
    assert most_at_once == 2


def test_candidates_go_before_trainings_that_wait_and_a_stop_ends_them(
    executor, queue, workspace, dataset, tiny_config
) -> None:
    trainings = Trainings(workspace, executor, queue)
    running = [trainings.submit(dataset, tiny_config.with_changes(epochs=1000)) for _number in range(2)]
    wait_until(lambda: all(trainings.status(run) == "running" for run in running))
    waiting = trainings.submit(dataset, tiny_config)
    task = start(executor, queue, workspace, dataset)
    wait_until(lambda: len(queue.tasks("candidate")) == 2)
    first, second = queue.tasks("candidate")
    assert all(trainings.status(run) == "running" for run in running)
    trainings.request_stop(running[0])
    wait_until(lambda: first.progress.part or second.progress.part)
    assert trainings.status(waiting) == "queued"
    task.request_stop()
    assert task.wait(20)
    assert task.result is None and task.error is None
    for run in (*running, waiting):
        trainings.request_stop(run)
    wait_until(lambda: not queue.in_order("training"))


def test_candidate_that_loses_its_worker_is_tried_again(executor, queue, cluster, workspace, dataset) -> None:
    task = start(executor, queue, workspace, dataset, NAMES[:1])
    wait_until(cluster.workers)
    for worker in cluster.workers():
        worker.kill()
    assert task.wait(100)
    assert task.error is None
    assert task.result[0].processor == executor.nodes[0].processor


def test_what_no_node_can_do_is_done_here(workspace, dataset, monkeypatch) -> None:
    pytest.importorskip("ray", reason="needs Ray: pip install -r requirements-cluster.txt")
    monkeypatch.setenv("TRANSFER_STUDIO_RAY_ADDRESS", "local")
    executor = ClusterExecutor((sys.executable, "-c", "raise SystemExit(1)"))
    monkeypatch.setattr("transfer_core.work.cluster.spread_audition._SECONDS_UNTIL_CONNECTED", 0.1)
    task = start(executor, WorkQueue(), workspace, dataset, NAMES[:1])
    assert task.wait(60)
    executor.close()
    assert task.error is None
    assert [(score.backbone_name, score.processor) for score in task.result] == [(NAMES[0], "")]
