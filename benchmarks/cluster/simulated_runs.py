"""Very many runs at once through the real executor and driver, which emit events on the nodes without training.

`python -m benchmarks.cluster.simulated_runs SECONDS RUNS` is the driver process with these runs, RUNS on a node.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
import psutil

from benchmarks.classroom.report import percentile
from benchmarks.cluster.load import BATCHES_A_SECOND, BATCHES_OF_AN_EPOCH, fine_tuning, photos_of, written
from benchmarks.cluster.raylets import TooSlowError, executor_of, raylets
from benchmarks.cluster.report import Report, Row
from transfer_core.config import TrainingConfig
from transfer_core.events import BatchEnded, EpochEnded, RunEnded, TrainingEvent
from transfer_core.runs.event_log import EventLog
from transfer_core.runs.run_folder import EVENTS_FILE
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.cluster import driver
from transfer_core.work.cluster.actor import Batch, digest_of
from transfer_core.work.cluster.actor_pool import ActorPool
from transfer_core.work.cluster.nodes import Need
from transfer_core.workspace import Workspace

_NUM_NODES = 2
# The head of a small network, at each epoch.
_CHECKPOINT_BYTES = 200_000
_MOST_BYTES_OF_A_RUN = 2e6
_MOST_SECONDS_LATE = 2.0
_LEAST_SHARE_OF_EVENTS = 0.9
_SECONDS_TO_BEGIN = 120.0
# Of a node at once, beside a poll of each run.
_OTHER_CALLS = 8


def measure_head(folder: Path, num_runs: int, seconds: float, report: Report) -> None:
    """Measure memory and processor time of the head while very many runs emit events, and how late these come.

    Args:
        folder: Empty folder.
        num_runs: At once.
        seconds: That each of them lasts.
        report: Gets the figures.
    """
    workspace = Workspace(folder / "workspace")
    dataset = photos_of(workspace)
    runs_of_a_node = -(-num_runs // _NUM_NODES)
    command = (sys.executable, "-m", "benchmarks.cluster.simulated_runs", str(seconds), str(runs_of_a_node))
    with (
        raylets(folder / "cluster", _NUM_NODES, runs_of_a_node) as cluster,
        executor_of(cluster, _NUM_NODES, command=command) as executor,
    ):
        processes = [psutil.Process(), psutil.Process(executor.process_id)]
        memory, processor = [_memory(each) for each in processes], [_processor(each) for each in processes]
        runs = [
            _Followed(TrainingRun.create(workspace, dataset, TrainingConfig())) for _number in range(num_runs)
        ]
        threads = [
            threading.Thread(
                target=executor, args=(workspace, each.run, each.emit, lambda: False), daemon=True
            )
            for each in runs
        ]
        began_at = time.monotonic()
        for thread in threads:
            thread.start()
        grown = [0, 0]
        until = began_at + seconds + _SECONDS_TO_BEGIN
        while any(thread.is_alive() for thread in threads):
            grown = [
                max(most, _memory(each) - before)
                for most, each, before in zip(grown, processes, memory, strict=True)
            ]
            time.sleep(0.5)
            if time.monotonic() > until:
                raise TooSlowError(
                    f"{sum(thread.is_alive() for thread in threads)} runs had not ended in time."
                )
        took = time.monotonic() - began_at
        used = [_processor(each) - before for each, before in zip(processes, processor, strict=True)]
    arrivals = sorted(at for each in runs for at, _late in each.came)
    rate = len(arrivals) / max(arrivals[-1] - arrivals[0], 1e-9) if arrivals else 0.0
    when = f"{num_runs} runs at once"
    emitted = BATCHES_A_SECOND * (1 + 1 / BATCHES_OF_AN_EPOCH) * num_runs
    late = percentile([second for each in runs for _at, second in each.came] or [0.0], 95)
    for subject, measured, goal, unit, is_rate in (
        ("events written and folded", rate, emitted * _LEAST_SHARE_OF_EVENTS, "a second", True),
        ("of the events come late by, p95", late, _MOST_SECONDS_LATE, "s", False),
        (
            "memory of the server for a run",
            grown[0] / num_runs / 1e6,
            _MOST_BYTES_OF_A_RUN / 1e6,
            "MB",
            False,
        ),
        (
            "memory of the driver for a run",
            grown[1] / num_runs / 1e6,
            _MOST_BYTES_OF_A_RUN / 1e6,
            "MB",
            False,
        ),
        ("processor of the server", used[0] / took, 1.0, "cores", False),
        ("processor of the driver", used[1] / took, 1.0, "cores", False),
    ):
        report.add(Row("head", subject, measured, goal, unit, is_rate, num_runs, "runs at once", when))
    for each in runs:
        if each.log.snapshot.outcome != "finished":
            report.lost(f"A simulated run ended as {each.log.snapshot.outcome}: {each.log.snapshot.message}")


class _Followed:
    """A run on the head.

    Args:
        run: The run.
    """

    def __init__(self, run: TrainingRun) -> None:
        self.run = run
        self.log = EventLog(run.folder / EVENTS_FILE)
        self.came: list[tuple[float, float]] = []

    def emit(self, event: TrainingEvent) -> None:
        """Write and fold an event, and remember when it came and how late."""
        self.log.append(event)
        if isinstance(event, BatchEnded | EpochEnded):
            self.came.append((time.time(), time.time() - event.time))


def _memory(process: psutil.Process) -> int:
    return int(process.memory_info().rss)


def _processor(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


class SimulatedNode:
    """Stands for the workers of a node: one process with any number of runs that only emit events.

    Args:
        seconds: That each run lasts.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._runs: dict[str, _EmittedRun] = {}
        self._lock = threading.Lock()

    def begin(self, run_id: str) -> float:
        """Begin a run."""
        now = time.time()
        events = fine_tuning(now, max(round(self._seconds * BATCHES_A_SECOND / BATCHES_OF_AN_EPOCH), 1))
        with self._lock:
            self._runs[run_id] = _EmittedRun(iter(list(events)))
        return now

    def poll(self, run_id: str, seconds: float) -> dict[str, Any]:
        """Return what has happened in a run since the last call."""
        time.sleep(seconds)
        with self._lock:
            run = self._runs[run_id]
        return msgspec.structs.asdict(run.batch(time.time()))


@dataclass
class _EmittedRun:
    events: Iterator[TrainingEvent]
    following: TrainingEvent | None = None
    is_over: bool = False

    def batch(self, now: float) -> Batch:
        lines: list[str] = []
        num_epochs = 0
        while not self.is_over:
            self.following = self.following or next(self.events, None)
            if self.following is None:
                self.is_over = True
            elif self.following.time > now:
                break
            else:
                lines.append(written(self.following).decode())
                num_epochs += isinstance(self.following, EpochEnded)
                self.following = None
        files: dict[str, bytes | None] = {}
        if num_epochs and not self.is_over:
            files["checkpoints/head.weights.h5"] = bytes(_CHECKPOINT_BYTES)
        end = written(RunEnded(now, "finished")).decode() if self.is_over else ""
        return Batch(
            lines=tuple(lines),
            files=files,
            digest=digest_of(files),
            is_over=self.is_over,
            end=end,
            result=None,
            failure="",
        )


class _Method:
    """A method of an actor, called as Ray's handles are."""

    def __init__(self, call: Any) -> None:
        self.remote = call


class _Handle:
    """Behaves as the handle of a `NodeWorker` that has all photos.

    Args:
        node: Handle of the `SimulatedNode`.
    """

    def __init__(self, node: Any) -> None:
        self._node = node
        self._run_id = ""
        self.__ray_ready__ = node.__ray_ready__
        self.missing = _Method(self._missing)
        self.begin = _Method(self._begin)
        self.poll = _Method(lambda _state, seconds: node.poll.remote(self._run_id, seconds))

    def _missing(self, _parcel: bytes) -> Any:
        import ray

        return ray.put([])

    def _begin(self, _parcel: bytes, _kind: str, arguments: str) -> Any:
        self._run_id = json.loads(arguments)["run_id"]
        return self._node.begin.remote(self._run_id)


class _SimulatedPool(ActorPool):
    """Gives runs of a node to its one `SimulatedNode`."""

    seconds = 0.0
    runs_of_a_node = 1

    def __init__(self, is_beside_app: bool) -> None:
        super().__init__(is_beside_app)
        self._nodes: dict[str, Any] = {}

    def end(self, actor: Any) -> None:
        """Leave the process to the other runs; the next run gets a new one, since this one may have died."""
        with self._lock:
            self._nodes.pop(actor.node, None)

    def _new(self, node: str, need: Need) -> Any:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        with self._lock:
            if node not in self._nodes:
                options = ray.remote(SimulatedNode).options(
                    num_cpus=0,
                    # Ray starts as many threads at once; with ten times as many, nodes did not begin in time.
                    max_concurrency=self.runs_of_a_node + _OTHER_CALLS,
                    scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
                )
                self._nodes[node] = options.remote(self.seconds)
        return _Handle(self._nodes[node])


def _main() -> None:
    import ray.cloudpickle

    import benchmarks

    _SimulatedPool.seconds, _SimulatedPool.runs_of_a_node = float(sys.argv[1]), int(sys.argv[2])
    # Workers do not have this package: only the engine travels to them.
    ray.cloudpickle.register_pickle_by_value(benchmarks)  # type: ignore[no-untyped-call]
    with patch.object(driver, "ActorPool", _SimulatedPool):
        driver.main()


if __name__ == "__main__":
    # Under this name, workers can import the class.
    from benchmarks.cluster import simulated_runs

    simulated_runs._main()
