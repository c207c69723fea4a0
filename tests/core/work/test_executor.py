"""The worker process: same events, same answers, and its death harms nobody."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.conftest import ROOT
from transfer_core.config import TrainingConfig
from transfer_core.errors import InvalidConfigError
from transfer_core.events import EpochEnded, PhotosLeftOut, RunEnded, RunStarted
from transfer_core.language import said
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work import executor as executor_module
from transfer_core.work.execute import execute_run_safely
from transfer_core.work.executor import (
    EXECUTOR_VARIABLE,
    ProcessExecutor,
    chosen_executor,
    offers_mixed_precision,
)
from transfer_core.work.trainings import Trainings

PATIENCE = 300  # seconds until a test gives up; nothing waits that long
# A poll without a pause would take the core of the training that it waits for.
PAUSE = 0.02  # seconds
# A worker whose training ends when it is stopped, without TensorFlow.
SCRIPTED_WORKER = """
import os, sys, time
from transfer_core.events import PhotosLeftOut, RunEnded, RunStarted
from transfer_core.work import worker

def execute(workspace, run, emit, should_stop):
    print("a library prints")
    emit(RunStarted(float(os.getpid()), 18, 6, run.config.epochs))
    emit(PhotosLeftOut(101.0, ("a1",), ("rose.jpg",), ("roses",)))
    while not should_stop() and run.config.epochs > 1:
        time.sleep(0.02)
    emit(RunEnded(102.0, "finished"))

worker.execute_run_safely = execute
worker.load_keras = lambda num_threads: None
worker.main()
"""


@pytest.fixture
def executor(tmp_path: Path):
    script = tmp_path / "worker.py"
    script.write_text(f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{SCRIPTED_WORKER}")
    executor = ProcessExecutor((sys.executable, str(script)), runs_in_one_process=2)
    yield executor
    executor.close()


@pytest.mark.parametrize(
    ("name", "is_loaded", "reason", "is_offered"),
    [
        ("thread", False, "", False),
        ("thread", True, "no_gpu", False),
        ("thread", True, "", True),
        ("ray", False, "no_gpu", True),
    ],
)
def test_mixed_precision_is_offered_on_a_cluster_and_beside_a_gpu(
    name: str, is_loaded: bool, reason: str, is_offered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(EXECUTOR_VARIABLE, name)
    monkeypatch.setattr(executor_module, "is_keras_loaded", lambda: is_loaded)
    monkeypatch.setattr(executor_module, "reason_against_mixed_precision", lambda: reason)
    assert offers_mixed_precision() == is_offered


def new_run(workspace, dataset, epochs: int) -> TrainingRun:
    """With one epoch the scripted training ends at once, with more it waits to be stopped."""
    return TrainingRun.create(workspace, dataset, TrainingConfig(backbone="tiny_random", epochs=epochs))


def wait_for(queue: Trainings, run_id: str, *statuses: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while queue.status(run_id) not in statuses:
        assert time.monotonic() < deadline, queue.status(run_id)
        time.sleep(PAUSE)


def test_events_come_through_in_order(executor, workspace, color_dataset, capfd) -> None:
    events: list = []
    executor(workspace, new_run(workspace, color_dataset, 1), events.append, lambda: False)
    started, left_out, ended = events
    assert started == RunStarted(float(executor.process_id), 18, 6, 1)
    assert left_out == PhotosLeftOut(101.0, ("a1",), ("rose.jpg",), ("roses",))
    assert ended == RunEnded(102.0, "finished")
    assert started.time != os.getpid()
    assert "a library prints" in capfd.readouterr().err


def test_worker_is_replaced_after_a_few_runs(executor, workspace, color_dataset) -> None:
    process_ids = []
    for _number in range(5):
        executor(
            workspace,
            new_run(workspace, color_dataset, 1),
            lambda event: process_ids.append(event.time) if isinstance(event, RunStarted) else None,
            lambda: False,
        )
    first, second, third, fourth, fifth = process_ids
    assert first == second != third == fourth != fifth


def test_warm_worker_is_there_before_the_first_run_and_replaced_before_the_next(
    executor, workspace, color_dataset
) -> None:
    executor.warm_up()
    warm = executor.process_id
    executor.warm_up()
    assert executor.process_id == warm
    started: list[tuple[float, int]] = []

    def count_workers(event) -> None:
        if isinstance(event, RunStarted):
            workers = psutil.Process().children()
            started.append((event.time, len([worker for worker in workers if worker.is_running()])))

    num_others = len(psutil.Process().children()) - 1
    for _number in range(3):
        executor(workspace, new_run(workspace, color_dataset, 1), count_workers, lambda: False)
    # During the last run of a worker the next one starts.
    assert [count - num_others for _id, count in started] == [1, 2, 1]
    first, second, third = (process_id for process_id, _count in started)
    assert first == second == warm != third == executor.process_id
    executor.close()
    assert executor.process_id is None
    assert len(psutil.Process().children()) == num_others


def test_worker_that_dies_is_replaced_warm(executor, workspace, color_dataset) -> None:
    executor.warm_up()
    dead, ended = executor.process_id, []

    def kill_at_the_start(event) -> None:
        if isinstance(event, RunStarted):
            os.kill(dead, signal.SIGKILL)
        ended.extend([event] if isinstance(event, RunEnded) else [])

    executor(workspace, new_run(workspace, color_dataset, 2), kill_at_the_start, lambda: False)
    assert [event.outcome for event in ended] == ["interrupted"]
    assert executor.process_id not in (None, dead)


@pytest.mark.skipif(sys.platform != "linux", reason="priorities have other names there")
def test_worker_leaves_processor_and_memory_to_the_app(executor, workspace, color_dataset) -> None:
    facts = []

    def look(event) -> None:
        if isinstance(event, RunStarted):
            worker = psutil.Process(executor.process_id)
            score = Path(f"/proc/{worker.pid}/oom_score_adj").read_text()
            facts.append((worker.nice() > psutil.Process().nice(), int(score)))

    executor(workspace, new_run(workspace, color_dataset, 1), look, lambda: False)
    assert facts == [(True, 500)]


def test_stop_of_the_server_reaches_the_worker_through_the_server_alone(
    executor, workspace, color_dataset
) -> None:
    ended = []

    def stop_all(event) -> None:
        if isinstance(event, RunStarted):
            # As a service manager does, which stops all processes of a service at once.
            os.kill(executor.process_id, signal.SIGTERM)
        ended.extend([event] if isinstance(event, RunEnded) else [])

    executor(workspace, new_run(workspace, color_dataset, 1), stop_all, lambda: False)
    assert [event.outcome for event in ended] == ["finished"]


def test_stop_and_pause_reach_the_worker(executor, workspace, color_dataset) -> None:
    queue = Trainings(workspace, executor)
    run_id = queue.submit(color_dataset, TrainingConfig(backbone="tiny_random", epochs=2))
    queue.pause(run_id)
    wait_for(queue, run_id, "paused")
    queue.go_on(run_id)
    wait_for(queue, run_id, "running")
    queue.request_stop(run_id)
    wait_for(queue, run_id, "finished")
    # Only a worker that got the stop ends at this time.
    assert queue.snapshot(run_id).ended_at == 102.0


def test_killed_worker_leaves_the_run_interrupted_and_the_next_run_gets_a_new_one(
    executor, workspace, color_dataset
) -> None:
    queue = Trainings(workspace, executor)
    killed = queue.submit(color_dataset, TrainingConfig(backbone="tiny_random", epochs=2))
    following = queue.submit(color_dataset, TrainingConfig(backbone="tiny_random", epochs=1))
    while queue.snapshot(killed).started_at is None:
        assert queue.status(killed) == "running"
        time.sleep(PAUSE)
    os.kill(executor.process_id, signal.SIGKILL)
    wait_for(queue, killed, "interrupted")
    message = said(queue.snapshot(killed).message)
    assert "ended unexpectedly (code -9)" in message
    assert "the computer ran out of memory" in message
    wait_for(queue, following, "finished")


def test_worker_that_died_between_two_runs_is_replaced(executor, workspace, color_dataset) -> None:
    outcomes = []
    for _number in range(2):
        executor(
            workspace,
            new_run(workspace, color_dataset, 1),
            lambda event: outcomes.append(event.outcome) if isinstance(event, RunEnded) else None,
            lambda: False,
        )
        if executor.process_id:
            os.kill(executor.process_id, signal.SIGKILL)
            os.waitid(os.P_PID, executor.process_id, os.WEXITED | os.WNOWAIT)
    assert outcomes == ["finished", "finished"]


def test_worker_that_cannot_start_leaves_the_run_interrupted(workspace, color_dataset) -> None:
    events: list = []
    executor = ProcessExecutor((sys.executable, "-c", "raise SystemExit(3)"))
    executor(workspace, new_run(workspace, color_dataset, 1), events.append, lambda: False)
    (ended,) = events
    assert ended.outcome == "interrupted"
    assert "(code 3)" in said(ended.message)


BROKEN_WORKER = """
import json, sys

broken = sys.argv[1]
for line in sys.stdin:
    request = json.loads(line)
    if request["run_id"] == sys.argv[2]:
        print(broken, flush=True)
        # Unread by now, this would be taken for an answer about the next run.
        print(json.dumps({"event": {"event": "RunEnded", "time": 1.0, "outcome": "finished"}}), flush=True)
        print(json.dumps({"done": True}), flush=True)
    else:
        print(json.dumps({"event": {"event": "RunEnded", "time": 2.0, "outcome": "stopped"}}), flush=True)
        sys.stdin.readline()
        print(json.dumps({"done": True}), flush=True)
"""


@pytest.mark.parametrize(
    "broken",
    [
        '{"event": {"event": "EventOfTomorrow", "time": 1.0}}',
        '{"event": 3}',
        '{"request": "the time"}',
        '{"send": "nothing"}',
        "no JSON",
        "3",
    ],
)
def test_worker_that_is_not_understood_is_ended_and_the_next_run_is_right(
    workspace, color_dataset, broken: str
) -> None:
    first, second = (new_run(workspace, color_dataset, 1) for _number in range(2))
    executor = ProcessExecutor((sys.executable, "-c", BROKEN_WORKER, broken, first.id))
    events: list = []
    executor(workspace, first, events.append, lambda: False)
    assert executor.process_id is None
    (ended,) = events
    assert ended.outcome == "interrupted"
    assert "The training process failed and was ended" in said(ended.message)
    executor(workspace, second, events.append, lambda: False)
    assert events[1:] == [RunEnded(2.0, "stopped")]
    executor.close()


def test_error_of_the_app_ends_the_worker_as_well(executor, workspace, color_dataset) -> None:
    events: list = []

    def emit(event) -> None:
        if isinstance(event, RunStarted):
            raise RuntimeError("a bug")
        events.append(event)

    executor(workspace, new_run(workspace, color_dataset, 1), emit, lambda: False)
    executor(workspace, new_run(workspace, color_dataset, 1), events.append, lambda: False)
    assert [type(event) for event in events] == [RunEnded, RunStarted, PhotosLeftOut, RunEnded]
    assert [events[0].outcome, events[-1].outcome] == ["interrupted", "finished"]
    assert "RuntimeError: a bug" in said(events[0].message)


def test_worker_that_dies_after_the_end_changes_nothing(workspace, color_dataset) -> None:
    ended = '{"event": {"event": "RunEnded", "time": 2.0, "outcome": "finished"}}'
    executor = ProcessExecutor((sys.executable, "-c", f"print('{ended}', flush=True); input(); input()"))
    events: list = []
    executor(workspace, new_run(workspace, color_dataset, 1), events.append, lambda: False)
    assert events == [RunEnded(2.0, "finished")]


def test_process_that_cannot_be_started_leaves_the_run_interrupted(workspace, color_dataset) -> None:
    events: list = []
    executor = ProcessExecutor(("/nowhere/python",))
    executor(workspace, new_run(workspace, color_dataset, 1), events.append, lambda: False)
    assert [event.outcome for event in events] == ["interrupted"]
    assert "No such file or directory" in said(events[0].message)


def test_deleted_run_is_reported_by_the_worker(executor, workspace, color_dataset) -> None:
    run = new_run(workspace, color_dataset, 1)
    (run.folder / "config.json").unlink()
    events: list = []
    executor(workspace, run, events.append, lambda: False)
    assert "does not exist any more" in said(events[-1].message)


def test_worker_ends_when_the_app_dies(executor, workspace, color_dataset) -> None:
    run = new_run(workspace, color_dataset, 2)
    worker = subprocess.Popen(
        executor._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    worker.stdin.write(json.dumps({"workspace": str(workspace.root), "run_id": run.id}).encode() + b"\n")
    worker.stdin.flush()
    assert b"RunStarted" in worker.stdout.readline()
    worker.stdin.close()  # what the system does when the app is killed
    assert worker.wait(PATIENCE) == 1
    worker.stdout.close()


def test_the_environment_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(EXECUTOR_VARIABLE, raising=False)
    assert chosen_executor() is execute_run_safely
    monkeypatch.setenv(EXECUTOR_VARIABLE, "thread")
    assert chosen_executor() is execute_run_safely
    monkeypatch.setenv(EXECUTOR_VARIABLE, "process")
    assert isinstance(chosen_executor(), ProcessExecutor)
    monkeypatch.setenv(EXECUTOR_VARIABLE, "cluster")
    with pytest.raises(InvalidConfigError, match="TRANSFER_STUDIO_EXECUTOR is cluster"):
        chosen_executor()


@pytest.fixture
def real_executor():
    executor = ProcessExecutor()
    yield executor
    executor.close()


def test_real_training_in_a_worker_dies_and_goes_on(
    real_executor, session_workspace, color_dataset, tiny_config
) -> None:
    killed: list[int] = []

    def kill_after_the_first_epoch(workspace, run, emit, should_stop) -> None:
        def emit_and_kill(event) -> None:
            emit(event)
            # The worker waits for the answer to this event, so that it cannot end first.
            if isinstance(event, EpochEnded) and not killed:
                killed.append(real_executor.process_id)
                os.kill(real_executor.process_id, signal.SIGKILL)

        real_executor(workspace, run, emit_and_kill, should_stop)

    queue = Trainings(session_workspace, kill_after_the_first_epoch)
    run_id = queue.submit(color_dataset, tiny_config)
    wait_for(queue, run_id, "interrupted", "finished", "failed")
    assert queue.status(run_id) == "interrupted", said(queue.snapshot(run_id).message)
    queue.resume(run_id)
    wait_for(queue, run_id, "finished")
    assert real_executor.process_id not in killed
    epochs = [epoch.epoch for epoch in queue.snapshot(run_id).epochs]
    assert epochs == list(range(1, tiny_config.epochs + 1))
    assert TrainingRun.load(session_workspace, run_id).evaluation().num_images == 6
