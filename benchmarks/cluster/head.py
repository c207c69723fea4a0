"""The head of a large cluster, simulated: events, queue, placement and memory, with the app's own parts and no Ray."""

from __future__ import annotations

import itertools
import json
import random
import resource
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

from benchmarks.cluster.load import (
    BATCHES_A_SECOND,
    BATCHES_OF_AN_EPOCH,
    Load,
    default_training,
    fine_tuning,
    photos_of,
    written,
)
from benchmarks.cluster.report import Report, Row
from transfer_core.config import TrainingConfig
from transfer_core.events import RunSnapshot, event_from_dict, snapshot_of
from transfer_core.runs.event_log import EventLog
from transfer_core.runs.run_folder import EVENTS_FILE
from transfer_core.runs.training_run import TrainingRun
from transfer_core.types import ShouldStop
from transfer_core.work.cluster.nodes import Need, Node
from transfer_core.work.cluster.placement import Placement
from transfer_core.work.execute import Emit
from transfer_core.work.queue import WorkQueue
from transfer_core.work.stored_queue import StoredTraining, write_queue
from transfer_core.work.task import Priority, Task
from transfer_core.work.trainings import Trainings
from transfer_core.workspace import Workspace, new_id

_CORES_OF_A_NODE = 4
_NUM_DATASETS = 50
_NUM_LOGS = 200
_BEGAN_AT = 1.8e9
# As late in a long training, where its curve is full.
_EPOCHS_BEFORE = 20
# A run that ends lets the first waiting one try, and so does its node.
_TRIES_OF_A_RUN = 2
# Queued and ended: that a remote run begins changes nothing in the stored queue.
_CHANGES_OF_A_RUN = 2
_MOST_WAITING = 100_000
_GIGABYTES = 4.0
_MOST_SECONDS_TO_FILL = 20.0


def measure_events(folder: Path, load: Load, seconds: float, report: Report) -> None:
    """Measure how many events the head can read from a driver, write and fold.

    Args:
        folder: On the disk that is measured.
        load: What they are compared with.
        seconds: To measure each kind of training for.
        report: Gets the figures.
    """
    whole = [written(event) for event in default_training(_BEGAN_AT)]
    early = snapshot_of(fine_tuning(_BEGAN_AT, _EPOCHS_BEFORE))
    epoch = [written(event) for event in fine_tuning(_BEGAN_AT, _EPOCHS_BEFORE + 1)][
        -BATCHES_OF_AN_EPOCH - 1 :
    ]
    logs: list[EventLog] = []
    for number in range(_NUM_LOGS):
        (folder / f"long-{number}").mkdir(parents=True)
        logs.append(EventLog(folder / f"long-{number}" / EVENTS_FILE))
        logs[-1].snapshot = early

    def follow_whole(number: int) -> int:
        (folder / f"{number}").mkdir()
        return _follow(EventLog(folder / f"{number}" / EVENTS_FILE), whole)

    for name, rate, needed in (
        (
            f"default trainings of {len(whole)} events",
            _rate(seconds, follow_whole),
            load.runs_a_second * len(whole),
        ),
        (
            f"fine-tuning with {BATCHES_A_SECOND} batches a second",
            _rate(seconds, lambda number: _follow(logs[number % len(logs)], epoch)),
            float(load.num_computers * BATCHES_A_SECOND),
        ),
    ):
        report.add(_of_computers(load, "events", "events written and folded", rate, needed, name))


def measure_queue(folder: Path, load: Load, sizes: Iterable[int], seconds: float, report: Report) -> None:
    """Measure the queue while some trainings wait in it.

    Args:
        folder: Empty folder.
        load: What the queue is compared with.
        sizes: Numbers of waiting trainings.
        seconds: To measure each operation for.
        report: Gets the figures.
    """
    for size in sizes:
        filled = _FilledQueue(folder / f"queue-{size}", load)
        num_waiting = filled.fill(size)
        if num_waiting < size:
            report.lost(f"Filling the queue with {size:,} trainings was given up at {num_waiting:,}.")
        when = f"{num_waiting:,} waiting"
        passed, stored = _rate(seconds, filled.pass_one), _rate(seconds, filled.store)
        subject, needed = "trainings queued, begun and ended", load.runs_a_second
        report.add(_of_computers(load, "queue", subject, passed, needed, when))
        needed *= _CHANGES_OF_A_RUN
        report.add(_of_computers(load, "queue", "changes of the queue stored on disk", stored, needed, when))
        looked_up, people = _rate(seconds, filled.look_up), load.num_people
        subject = "places in the queue looked up"
        report.add(Row("queue", subject, looked_up, people, "a second", True, people, "people", when))
        filled.close()


class _FilledQueue:
    """A queue in which trainings wait, and some that end when they are let.

    Args:
        folder: Gets the stored queue.
        load: Says whose trainings they are, and how many run.
    """

    def __init__(self, folder: Path, load: Load) -> None:
        self._server = Workspace(folder)
        self._people = [new_id() for _person in range(load.num_people)]
        self._queue = WorkQueue()
        self._placement = Placement()
        self._placement.update(_nodes(load.num_computers, 1))
        self._numbers = itertools.count()
        self._may_end, self._has_ended = threading.Semaphore(0), threading.Semaphore(0)
        self._is_closing = False
        self._draw = random.Random(1)
        self._waiting: list[Task[None]] = []
        self._stored: list[StoredTraining] = []

    def fill(self, size: int) -> int:
        """Queue trainings, and return how many wait then: fewer if it takes too long."""
        began_at = time.perf_counter()
        for _number in range(size + len(self._placement.nodes)):
            self._start_one()
            if time.perf_counter() - began_at > _MOST_SECONDS_TO_FILL:
                break
        self._waiting = [task for task in self._queue.in_order("training") if task.state == "waiting"]
        self._stored = [StoredTraining(task.owner, new_id()) for task in self._waiting]
        return len(self._waiting)

    def pass_one(self, _number: int) -> int:
        """Queue one, and let one end and another begin."""
        self._start_one()
        self._may_end.release()
        self._has_ended.acquire()
        return 1

    def look_up(self, _number: int) -> int:
        """Look up what is before one of those that wait."""
        self._queue.ahead_of(self._draw.choice(self._waiting))
        return 1

    def store(self, _number: int) -> int:
        """Store all of them on disk."""
        write_queue(self._server, self._stored)
        return 1

    def close(self) -> None:
        """Let all end."""
        self._is_closing = True
        for task in reversed(self._queue.in_order("training")):
            task.request_stop()
        self._may_end.release()

    def _start_one(self) -> None:
        number = next(self._numbers)
        owner = self._people[number % len(self._people)]
        self._queue.start(_Training(number, self._run, self._placement, owner))

    def _run(self, task: Task[None]) -> None:
        while not self._is_closing and not self._may_end.acquire(timeout=1):
            pass
        self._placement.release(task.key)
        self._has_ended.release()


class _Training(Task[None]):
    """A training that waits for room on a node.

    Args:
        number: Of the training.
        run: Its work.
        placement: Gives the room.
        owner: Id of a person.
    """

    def __init__(
        self, number: int, run: Callable[[Task[None]], None], placement: Placement, owner: str
    ) -> None:
        super().__init__("training", number, run, lane="remote", priority=Priority.TRAINING, owner=owner)
        self._placement = placement

    def may_begin(self) -> bool:
        """Reserve room."""
        return self._placement.reserve(self.key, Need()) is not None


def measure_placement(load: Load, seconds: float, report: Report) -> None:
    """Measure how quickly runs are given nodes, on a full cluster with nodes of four cores."""
    placement = Placement()
    placement.update(_nodes(load.num_computers, _CORES_OF_A_NODE))
    num_cores = load.num_computers * _CORES_OF_A_NODE
    began_at = time.perf_counter()
    for number in range(num_cores):
        if time.perf_counter() - began_at > _MOST_SECONDS_TO_FILL:
            report.lost(f"Filling {num_cores:,} cores was given up at {number:,}.")
            break
        placement.reserve(number, Need(memory=10**9), number % _NUM_DATASETS)
    when = f"{load.num_computers:,} nodes with {num_cores:,} runs"
    needed = load.runs_a_second * _CORES_OF_A_NODE

    def move(number: int) -> int:
        placement.release(number % num_cores)
        placement.reserve(number % num_cores, Need(memory=10**9), number % _NUM_DATASETS)
        return 1

    def refuse(_number: int) -> int:
        return placement.reserve("another", Need(memory=10**9)) is None

    moved, refused = _rate(seconds, move), _rate(seconds, refuse)
    report.add(_of_computers(load, "placement", "runs given another node", moved, needed, when))
    needed *= _TRIES_OF_A_RUN
    report.add(_of_computers(load, "placement", "runs refused for lack of room", refused, needed, when))


def measure_memory(folder: Path, load: Load, num_runs: int, report: Report) -> None:
    """Measure what trainings cost the head on disk and in memory while they wait and while they run.

    Args:
        folder: Empty folder.
        load: What they are compared with.
        num_runs: Number of trainings to queue.
        report: Gets the figures.
    """
    workspace = Workspace(folder)
    dataset = photos_of(workspace)
    workers: list[Callable[[], None]] = []
    trainings = Trainings(workspace, _never, WorkQueue(workers.append))
    process = psutil.Process()
    memory, num_files = process.memory_info().rss, process.num_fds()
    config = TrainingConfig()
    began_at = time.perf_counter()
    for _number in range(num_runs):
        trainings.submit(dataset, config)
    seconds = time.perf_counter() - began_at
    submitted = num_runs / seconds
    report.add(
        _of_computers(load, "memory", "trainings put on disk and queued", submitted, load.runs_a_second)
    )
    grown = (process.memory_info().rss - memory) / num_runs * _MOST_WAITING
    num_files = (process.num_fds() - num_files) * _MOST_WAITING // num_runs
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    at, noun, when = _MOST_WAITING, "waiting", f"counted up to {_MOST_WAITING:,}"
    report.add(
        Row("memory", "memory of waiting trainings", grown / 1e9, _GIGABYTES, "GB", False, at, noun, when)
    )
    report.add(
        Row("memory", "open files of waiting trainings", num_files, limit, "files", False, at, noun, when)
    )
    _measure_running(load, min(num_runs, load.num_computers), report)
    for worker in workers:
        worker()


def _measure_running(load: Load, num_runs: int, report: Report) -> None:
    """Measure the memory of a thread with the fold of a long training."""
    process, may_end = psutil.Process(), threading.Event()
    memory = process.memory_info().rss
    events = list(fine_tuning(_BEGAN_AT, _EPOCHS_BEFORE))
    folds: list[RunSnapshot] = []

    def follow() -> None:
        folds.append(snapshot_of(events))
        may_end.wait(60)

    threads = [threading.Thread(target=follow) for _number in range(num_runs)]
    for thread in threads:
        thread.start()
    while len(folds) < num_runs and any(thread.is_alive() for thread in threads):
        time.sleep(0.05)
    grown = (process.memory_info().rss - memory) / num_runs
    may_end.set()
    for thread in threads:
        thread.join()
    grown *= load.num_computers
    subject, at = "memory of trainings that run", load.num_computers
    report.add(
        Row("memory", subject, grown / 1e9, _GIGABYTES, "GB", False, at, "computers", "one a computer")
    )


def _nodes(count: int, num_cores: int) -> list[Node]:
    return [
        Node(
            f"{number:056x}",
            f"lab-{number}",
            f"10.0.{number // 250}.{number % 250}",
            num_cores,
            memory=10**10,
        )
        for number in range(count)
    ]


def _of_computers(load: Load, part: str, subject: str, measured: float, needed: float, when: str = "") -> Row:
    """Return a row of something that the head does so many times a second for all computers together."""
    return Row(part, subject, measured, needed, "a second", True, load.num_computers, "computers", when)


def _follow(log: EventLog, lines: Iterable[bytes]) -> int:
    """Append events as they come from the process that drives the cluster, and return their number."""
    count = 0
    for line in lines:
        log.append(event_from_dict(json.loads(line)))
        count += 1
    return count


def _rate(seconds: float, work: Callable[[int], int]) -> float:
    """Call something for some seconds, at least once, and return the sum of its results a second."""
    began_at = time.perf_counter()
    count = number = 0
    while not number or time.perf_counter() - began_at < seconds:
        count += work(number)
        number += 1
    return count / (time.perf_counter() - began_at)


def _never(_workspace: Workspace, _run: TrainingRun, _emit: Emit, _should_stop: ShouldStop) -> None:
    """Stand for an executor that has no room."""
