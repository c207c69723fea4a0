"""`TRANSFER_STUDIO_RAY_ADDRESS=local`: a cluster of this computer alone, which ends with the app however that ends."""

from __future__ import annotations

import os
import signal

import psutil
import pytest

from tests.core.work.cluster.conftest import wait_until
from transfer_core.events import RunPlaced, TrainingEvent
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.cluster.cluster_executor import ClusterExecutor


def test_local_cluster_trains_and_ends_with_its_driver(
    tmp_path, monkeypatch, session_workspace, color_dataset, tiny_config
) -> None:
    pytest.importorskip("ray", reason="needs Ray: pip install -r requirements-cluster.txt")
    monkeypatch.setenv("TRANSFER_STUDIO_RAY_ADDRESS", "local")
    monkeypatch.setenv("TRANSFER_STUDIO_NODE_DIR", str(tmp_path))
    executor = ClusterExecutor()
    run = TrainingRun.create(session_workspace, color_dataset, tiny_config)
    events: list[TrainingEvent] = []
    priorities = []

    def emit(event: TrainingEvent) -> None:
        events.append(event)
        priorities.extend(worker.nice() for worker in workers(executor))

    executor(session_workspace, run, emit, lambda: False)
    assert events[-1].outcome == "finished", events[-1].message
    (placed,) = (event for event in events if isinstance(event, RunPlaced))
    assert placed.address == "127.0.0.1"
    # The app shares the computer with them: as low as the worker of `ProcessExecutor`, and not as low as Ray's.
    assert max(priorities) == psutil.Process().nice() + 5
    addresses = {
        connection.laddr.ip
        for process in psutil.Process(executor.process_id).children(recursive=True)
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert {address.removeprefix("::ffff:") for address in addresses} <= {"127.0.0.1", "::1"}

    processes = psutil.Process(executor.process_id).children(recursive=True)
    assert {"raylet", "gcs_server"} <= {process.name() for process in processes}
    os.kill(executor.process_id, signal.SIGKILL)
    wait_until(lambda: not any(is_alive(process) for process in processes), "processes of Ray were left")
    wait_until(lambda: executor.nodes, "no new cluster was started")
    processes = psutil.Process(executor.process_id).children(recursive=True)
    executor.close()
    wait_until(lambda: not any(is_alive(process) for process in processes), "processes of Ray were left")


def workers(executor: ClusterExecutor) -> list[psutil.Process]:
    children = psutil.Process(executor.process_id).children(recursive=True)
    return [process for process in children if process.name().startswith("ray::NodeWorker")]


def is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
