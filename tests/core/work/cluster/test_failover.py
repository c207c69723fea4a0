"""Whatever dies under a training, it goes on from its last checkpoint and ends with the same weights."""

from __future__ import annotations

import os
import signal
import socket
import threading

import numpy as np
import psutil

from tests.core.work.cluster.conftest import (
    cluster_environment,
    two_nodes,
    wait_until,
    weights_of,
)
from transfer_core.events import EpochEnded, PlaceLost, RunPlaced, RunResumed, TrainingEvent
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.cluster.cluster_executor import ClusterExecutor
from transfer_core.work.trainings import Trainings


def test_worker_driver_and_node_die_and_the_weights_are_the_same(
    cluster, executor, one_thread_executor, session_workspace, color_dataset, tiny_config, keras_module
) -> None:
    # The first checkpoint is written after five seconds of work. Small batches make the training outlast the kills.
    config = tiny_config.with_changes(epochs=1000, batch_size=4)
    run, undisturbed = (TrainingRun.create(session_workspace, color_dataset, config) for _number in range(2))
    events: list[TrainingEvent] = []
    training = threading.Thread(
        target=executor, args=(session_workspace, run, events.append, lambda: False), daemon=True
    )
    training.start()

    def has_gone_on() -> bool:
        """Whether epochs came after the last loss."""
        since = max((place for place, event in enumerate(events) if isinstance(event, PlaceLost)), default=0)
        return any(isinstance(event, EpochEnded) for event in events[since:])

    wait_until(lambda: run.has_checkpoint, str(events[-1:]))
    (worker,) = cluster.workers()
    worker.kill()
    wait_until(lambda: count(events, PlaceLost) == 1 and has_gone_on())
    os.kill(executor.process_id, signal.SIGKILL)
    wait_until(lambda: count(events, PlaceLost) == 2 and has_gone_on())
    nodes = {node.id for node in executor.nodes}
    (worker,) = cluster.workers()
    assert worker.parent().name() == "raylet"
    worker.parent().kill()
    wait_until(lambda: count(events, PlaceLost) == 3 and has_gone_on())
    one_thread_executor(session_workspace, undisturbed, lambda _event: None, lambda: False)
    training.join(120)

    assert events[-1].outcome == "finished", events[-1].message
    assert [event.reason for event in events if isinstance(event, PlaceLost)] == ["worker", "cluster", "node"]
    assert (count(events, RunPlaced), count(events, RunResumed)) == (4, 3)
    pairs = zip(weights_of(run), weights_of(undisturbed), strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs)
    assert len(nodes - {node.id for node in executor.nodes}) == 1
    cluster.add()
    wait_until(lambda: len(executor.nodes) == 2)


def count(events: list[TrainingEvent], kind: type[TrainingEvent]) -> int:
    return sum(isinstance(event, kind) for event in events)


def test_run_waits_for_a_cluster_that_is_started_later(
    tmp_path, monkeypatch, workspace, dataset, tiny_config
) -> None:
    environment = cluster_environment()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TRANSFER_STUDIO_RAY_ADDRESS", f"127.0.0.1:{port}")
    executor = ClusterExecutor()
    trainings = Trainings(workspace, executor)
    run_id, stopped = (trainings.submit(dataset, tiny_config) for _number in range(2))
    wait_until(lambda: "does not answer" in executor.problem)
    assert executor.problem.startswith(f"The cluster 127.0.0.1:{port} does not answer")
    assert trainings.status(run_id) == "queued"
    trainings.request_stop(stopped)
    assert trainings.status(stopped) == "stopped"
    with two_nodes(tmp_path, environment, port):
        wait_until(lambda: trainings.status(run_id) == "running")
        assert executor.problem == ""
        trainings.request_stop(run_id)
        wait_until(lambda: trainings.status(run_id) == "stopped")
        executor.close()


def test_nothing_is_left_when_an_executor_is_closed(cluster, executor) -> None:
    driver = psutil.Process(executor.process_id)
    executor.close()
    assert not driver.is_running()
    wait_until(lambda: not cluster.workers())
