"""The server's side of a cluster, against a driver process that follows a script instead of speaking to Ray."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.core.work.cluster.conftest import wait_until
from transfer_core.config import TrainingConfig
from transfer_core.errors import TrainingError, WorkspaceError
from transfer_core.events import PlaceLost, RunEnded, RunPlaced, RunStarted, TrainingEvent
from transfer_core.language import said
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.features.feature_cache import FeaturesStoppedError
from transfer_core.work.cluster.cluster_executor import ClusterExecutor
from transfer_core.work.cluster.nodes import Need

# `script(request, attempt)` yields what the driver sends after each request of a job.
DRIVER = """
import json, os, sys, threading
from pathlib import Path
from transfer_core.events import BatchEnded, RunEnded, RunStarted, event_to_dict
from transfer_core.work.cluster.messages import *
from transfer_core.work.cluster.nodes import Node

folder = Path(sys.argv[1])
asked = {}

def line(event):
    return json.dumps(event_to_dict(event))

def note(name, text=""):
    with (folder / name).open("a") as file:
        file.write(text + "\\n")

STARTED = line(RunStarted(100.0, 18, 6, 1))
FINISHED = line(RunEnded(102.0, "finished"))
NODES = tuple(Node(f"id-{n}", f"lab-{n}", f"10.0.0.{n}", CORES, memory=8 * 10**9, processor="Xeon") for n in (1, 2))

def send(message):
    sys.stdout.buffer.write(encode(message) + b"\\n")
    sys.stdout.buffer.flush()

SCRIPT
sys.stderr.write("Ray says something\\n")
send(NodesChanged(NODES))
for request in sys.stdin.buffer:
    answer(decode_to_driver(request))
"""

FINISHES = """
def answer(request):
    if isinstance(request, StartJob):
        send(LinesCame(request.job, (STARTED,)))
    if isinstance(request, LinesWritten):
        send(JobEnded(request.job, FINISHED))
"""
LOSES_WORKERS = """
def answer(request):
    if isinstance(request, StartJob):
        send(JobLost(request.job, "worker"))
"""
LOSES_A_NODE = """
def answer(request):
    if isinstance(request, StartJob):
        note("nodes", request.node)
        is_first = len((folder / "nodes").read_text().split()) == 1
        send(JobLost(request.job, "node") if is_first else JobEnded(request.job, FINISHED))
"""
DIES = """
def answer(request):
    if isinstance(request, StartJob):
        note("starts")
        if len((folder / "starts").read_text().splitlines()) < 2:
            send(LinesCame(request.job, (STARTED,)))
            os._exit(1)
        send(JobEnded(request.job, FINISHED))
"""
FAILS = """
def answer(request):
    if isinstance(request, StartJob):
        send(JobFailed(request.job, "The disk of lab-1 is full."))
"""
IS_DEAF = """
def answer(request):
    note("requests", type(request).__name__ + " " + getattr(request, "state", ""))
"""
HAS_BEGUN = """
def answer(request):
    note("requests", type(request).__name__ + " " + getattr(request, "state", ""))
    if isinstance(request, StartJob):
        send(LinesCame(request.job, (STARTED,)))
    if isinstance(request, SetState) and request.state == "stop":
        send(JobEnded(request.job, line(RunEnded(102.0, "stopped"))))
"""
ARE_COPIES = (
    FINISHES
    + """
NODES = tuple(Node(f"id-{n}", "lab", f"10.0.0.{n}", 1.0, memory=8 * 10**9) for n in (1, 2))
"""
)
IS_REFUSED = """
NODES = ()
for _try in range(3):
    send(ClusterProblem("The cluster does not answer."))
send(ClusterProblem("The token is refused."))
"""
HAS_NO_NODES = """
NODES = ()
def answer(request):
    pass
"""
WORKS = """
def answer(request):
    if isinstance(request, StartJob):
        send(LinesCame(request.job, (json.dumps({"num_done": 1}),)))
    if isinstance(request, LinesWritten):
        kind = request.job.split()[0]
        ended = JobEnded(request.job, "", {"answer": 42})
        send(JobFailed(request.job, "The disk is full.") if kind == "bad" else ended)
"""

Start = Callable[..., ClusterExecutor]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """`start(script)` returns an executor whose driver follows a script."""
    monkeypatch.setenv("TRANSFER_STUDIO_RAY_ADDRESS", "127.0.0.1:1")
    monkeypatch.setattr("transfer_core.work.cluster.settings.check_ray", lambda: None)
    started = []

    def start(script: str, num_cores: float = 1.0) -> ClusterExecutor:
        path = tmp_path / "driver.py"
        code = DRIVER.replace("SCRIPT", script).replace("CORES", str(num_cores))
        path.write_text(f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}")
        executor = ClusterExecutor((sys.executable, str(path), str(tmp_path)))
        started.append(executor)
        return executor

    yield start
    for executor in started:
        executor.close()
        assert executor.process_id is None


@pytest.fixture
def run(workspace, color_dataset) -> TrainingRun:
    return TrainingRun.create(workspace, color_dataset, TrainingConfig(backbone="tiny_random"))


def events_of(executor, workspace, run, should_stop=lambda: False) -> list[TrainingEvent]:
    events: list[TrainingEvent] = []
    executor(workspace, run, events.append, should_stop)
    return events


def test_events_come_in_order_and_what_ray_says_goes_to_the_log(start, workspace, run, caplog) -> None:
    caplog.set_level("INFO")
    placed, started, ended = events_of(start(FINISHES), workspace, run)
    assert isinstance(placed, RunPlaced)
    assert (placed.node, placed.address, placed.processor) == ("lab-1", "10.0.0.1", "Xeon")
    assert started == RunStarted(100.0, 18, 6, 1)
    assert ended == RunEnded(102.0, "finished")
    wait_until(lambda: "Ray says something" in caplog.text)


def test_computers_of_the_same_name_are_told_apart_by_their_address(start, workspace, run) -> None:
    placed, _started, _ended = events_of(executor := start(ARE_COPIES), workspace, run)
    assert [node.name for node in executor.nodes] == ["lab (10.0.0.1)", "lab (10.0.0.2)"]
    assert placed.node == "lab (10.0.0.1)"


def test_problem_that_is_met_again_at_each_try_is_written_once(start, caplog) -> None:
    executor = start(IS_REFUSED)
    executor.connect()
    wait_until(lambda: "The token is refused." in caplog.text)
    assert caplog.text.count("The cluster does not answer.") == 1


def test_run_that_loses_its_worker_too_often_is_interrupted(start, workspace, run) -> None:
    *events, ended = events_of(start(LOSES_WORKERS), workspace, run)
    assert [event.reason for event in events if isinstance(event, PlaceLost)] == ["worker"] * 6
    assert (ended.outcome, said(ended.message)) == (
        "interrupted",
        "The training lost its computer 6 times. Continue from the last checkpoint.",
    )


def test_run_that_loses_its_node_goes_to_another(start, workspace, run, tmp_path) -> None:
    placed, lost, again, ended = events_of(start(LOSES_A_NODE), workspace, run)
    assert lost.reason == "node"
    assert placed.node != again.node
    assert len(set((tmp_path / "nodes").read_text().split())) == 2
    assert ended.outcome == "finished"


def test_run_goes_on_by_itself_when_a_new_driver_answers(start, workspace, run) -> None:
    _placed, _started, lost, _again, ended = events_of(start(DIES), workspace, run)
    assert lost.reason == "cluster"
    assert ended.outcome == "finished"


def test_sentence_of_a_node_ends_the_run(start, workspace, run) -> None:
    _placed, ended = events_of(start(FAILS), workspace, run)
    assert (ended.outcome, said(ended.message)) == ("interrupted", "The disk of lab-1 is full.")


def test_run_waits_for_a_node_until_it_is_stopped(start, workspace, run) -> None:
    executor = start(HAS_NO_NODES)
    stop = threading.Event()
    events: list[TrainingEvent] = []
    waiting = threading.Thread(target=executor, args=(workspace, run, events.append, stop.is_set))
    executor.prepare(workspace, run)
    assert executor.reserve(workspace, run) is False
    waiting.start()
    stop.set()
    waiting.join(2)
    assert [type(event) for event in events] == [RunEnded]
    assert events[0].outcome == "stopped"


@pytest.mark.parametrize(("script", "is_dropped"), [(IS_DEAF, True), (HAS_BEGUN, False)])
def test_stop_ends_a_run_even_if_its_node_does_not_answer(
    start, workspace, run, tmp_path, script, is_dropped
) -> None:
    executor = start(script)
    executor.connect()
    wait_until(lambda: executor.nodes)
    stop = threading.Event()
    events: list[TrainingEvent] = []
    training = threading.Thread(target=executor, args=(workspace, run, events.append, stop.is_set))
    training.start()
    wait_until((tmp_path / "requests").exists)
    stop.set()
    training.join(2)
    assert events[-1].outcome == "stopped"
    requests = (tmp_path / "requests").read_text().split("\n")
    wait_until(lambda: "SetState stop" in (tmp_path / "requests").read_text())
    if is_dropped:
        wait_until(lambda: "DropJob" in (tmp_path / "requests").read_text())
    else:
        assert "DropJob " not in requests


def test_pause_reaches_the_driver_while_the_question_blocks(start, workspace, run, tmp_path) -> None:
    executor = start(HAS_BEGUN)
    may_go_on, is_asked, stops = threading.Event(), threading.Event(), [False, True]

    def should_stop() -> bool:
        is_asked.set()
        may_go_on.wait()
        return stops.pop(0)

    training = threading.Thread(target=events_of, args=(executor, workspace, run, should_stop))
    training.start()
    is_asked.wait()
    wait_until(lambda: "SetState pause" in read(tmp_path / "requests"))
    may_go_on.set()
    training.join(5)
    states = [line.split()[1] for line in read(tmp_path / "requests").splitlines() if "SetState" in line]
    assert states[0] == "pause"
    assert states[-1] == "stop"


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def test_log_that_cannot_be_written_ends_the_run_and_its_work_on_the_node(
    start, workspace, run, tmp_path
) -> None:
    executor = start(HAS_BEGUN)
    ended = []

    def emit(event: TrainingEvent) -> None:
        if isinstance(event, RunStarted):
            raise WorkspaceError("The disk is full.")
        ended.append(event)

    executor(workspace, run, emit, lambda: False)
    assert (ended[-1].outcome, said(ended[-1].message)) == ("interrupted", "The disk is full.")
    wait_until(lambda: "DropJob" in read(tmp_path / "requests"))


def test_two_hundred_runs_at_once_all_end(start, workspace, color_dataset) -> None:
    executor = start(FINISHES, num_cores=100.0)
    config = TrainingConfig(backbone="tiny_random")
    run = TrainingRun.create(workspace, color_dataset, config)
    executor._need_of = lambda _workspace, _run: Need(1.0)
    outcomes = []

    def carry_out(number: int) -> None:
        own = replace(run, id=f"{run.id[:-3]}{number:03d}")
        outcomes.extend(
            event.outcome for event in events_of(executor, workspace, own) if isinstance(event, RunEnded)
        )

    threads = [threading.Thread(target=carry_out, args=(number,)) for number in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert outcomes == ["finished"] * 200


def test_work_beside_trainings_reports_and_returns_its_result(start, workspace) -> None:
    executor = start(WORKS)
    reports: list[dict] = []
    assert executor.carry_out("good", workspace, "photos", {}, on_report=reports.append) == {"answer": 42}
    assert reports == [{"num_done": 1}]
    with pytest.raises(TrainingError, match="disk"):
        executor.carry_out("bad", workspace, "photos", {})
    with pytest.raises(FeaturesStoppedError):
        start(HAS_NO_NODES).carry_out("good", workspace, "photos", {}, should_stop=lambda: True)
