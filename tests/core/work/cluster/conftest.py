"""A real cluster of two nodes on this computer, and an executor that is connected to it."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PATIENCE = 120.0  # seconds until a test gives up; nothing waits that long


@dataclass
class TwoNodes:
    """The process with the cluster.

    Args:
        process: See `two_nodes.py`.
        address: Of the cluster.
        environment: With which its address and its token are found.
        folder: Of the caches of its nodes.
    """

    process: subprocess.Popen[str]
    address: str
    environment: dict[str, str]
    folder: Path

    def add(self) -> str:
        """Start one more node, and return its id."""
        return self._command("add")

    def kill(self, name: str) -> None:
        """Kill the raylet of a node by its id, or `"gcs"`."""
        self._command(f"kill {name}")

    def _command(self, command: str) -> str:
        print(command, file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())["reply"]


def wait_until(is_so: Callable[[], object], what: str = "") -> None:
    """Wait for something that comes by itself, and fail when it does not."""
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoNodes]:
    pytest.importorskip("ray", reason="needs Ray: pip install -r requirements-cluster.txt")
    folder = tmp_path_factory.mktemp("cluster")
    variables = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            (sys.executable, str(Path(__file__).with_name("two_nodes.py")), str(folder)),
            env={**os.environ, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    line = process.stdout.readline()
    assert line, (folder / "log").read_text()
    address = json.loads(line)["address"]
    variables["TRANSFER_STUDIO_RAY_ADDRESS"] = address
    yield TwoNodes(process, address, variables, folder)
    process.stdin.close()
    process.wait(PATIENCE)
    process.stdout.close()


@pytest.fixture
def executor(cluster: TwoNodes, monkeypatch: pytest.MonkeyPatch):
    """An executor that sees both nodes."""
    from transfer_core.work.cluster.executor import ClusterExecutor

    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    executor = ClusterExecutor()
    executor.connect()
    wait_until(lambda: len(executor.nodes) >= 2, "the cluster has no two nodes")
    yield executor
    executor.close()
