"""A Ray cluster on this computer, in a process of its own: a head without cores, and nodes that come and die.

`python -m benchmarks.cluster.raylets FOLDER CORES` prints its address as a line of JSON. Then it takes commands from
its input and replies to each with a line: `add` starts a node, `kill ID` kills the raylet of one. It ends with its
input.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from transfer_core.work.cluster.cluster_executor import ClusterExecutor
from transfer_core.work.cluster.settings import ADDRESS_VARIABLE, ray_environment

_LOOPBACK = "127.0.0.1"
# Free memory that a node claims: nodes here share that of one computer.
_BYTES_OF_A_CORE = 4 * 10**9
# Ray's own values let 12 s pass before a node counts as dead. With 1.5 s, busy nodes are taken for dead ones.
_QUICK = {
    "health_check_period_ms": 1000,
    "health_check_timeout_ms": 3000,
    "health_check_failure_threshold": 5,
}
_SECONDS_TO_START = 120.0
_SECONDS_TO_END = 60.0
_POLL_SECONDS = 0.05


class TooSlowError(RuntimeError):
    """Something that comes by itself has not come in time."""


class Raylets:
    """The process with the cluster, and the variables with which it is found.

    Args:
        process: The process.
        environment: With the address and the token.
        folder: Has a folder of each node.
    """

    def __init__(self, process: subprocess.Popen[str], environment: dict[str, str], folder: Path) -> None:
        self._process = process
        self._folder = folder
        self._node_ids: list[str] = []
        self.environment = environment

    def add(self) -> None:
        """Start a node."""
        self._node_ids.append(self._command("add"))

    def kill_node_of(self, run_id: str) -> bool:
        """Kill the raylet of the node that has begun a run last. Returns False where none has."""
        begun = list(self._folder.glob(f"node-*/trash/*/files/runs/{run_id}"))
        if not begun:
            return False
        latest = max(begun, key=lambda folder: folder.stat().st_ctime)
        number = latest.relative_to(self._folder).parts[0].removeprefix("node-")
        self._command(f"kill {self._node_ids[int(number)]}")
        return True

    def workers(self) -> list[psutil.Process]:
        """Return the processes that carry out runs."""
        found = []
        for process in psutil.Process(self._process.pid).children(recursive=True):
            try:
                if any(word.startswith("ray::NodeWorker") for word in process.cmdline()[:1]):
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
        return found

    def _command(self, command: str) -> str:
        assert self._process.stdin is not None
        print(command, file=self._process.stdin, flush=True)
        return str(_line_of(self._process)["reply"])


@contextmanager
def raylets(folder: Path, num_nodes: int, num_cores: int = 1) -> Iterator[Raylets]:
    """Start a cluster, and end it and all its processes with the block.

    Args:
        folder: Gets the caches of the nodes, and what Ray writes.
        num_nodes: To begin with.
        num_cores: Of each.
    """
    folder.mkdir(parents=True, exist_ok=True)
    environment = ray_environment(_LOOPBACK) | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }
    command = (sys.executable, "-m", "benchmarks.cluster.raylets", str(folder), str(num_cores))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        address = _line_of(process)["address"]
        cluster = Raylets(process, {**environment, ADDRESS_VARIABLE: address}, folder)
        for _number in range(num_nodes):
            cluster.add()
        yield cluster
    finally:
        _end(process)


@contextmanager
def executor_of(cluster: Raylets, num_nodes: int, **options: Any) -> Iterator[ClusterExecutor]:
    """Connect to a cluster, wait until its nodes are known, and disconnect with the block."""
    before = dict(os.environ)
    os.environ.update(cluster.environment)
    try:
        executor = ClusterExecutor(**options)
    finally:
        os.environ.clear()
        os.environ.update(before)
    executor.connect()
    try:
        wait_until(lambda: len(executor.nodes) >= num_nodes, _SECONDS_TO_START, "The nodes did not come.")
        yield executor
    finally:
        executor.close()


def wait_until(is_so: Callable[[], object], seconds: float, sentence: str) -> None:
    """Wait for something that comes by itself.

    Raises:
        TooSlowError: If it has not come after so many seconds.
    """
    until = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > until:
            raise TooSlowError(sentence)
        time.sleep(_POLL_SECONDS)


def _line_of(process: subprocess.Popen[str]) -> dict[str, str]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise TooSlowError("The process with the cluster ended by itself.")
    facts: dict[str, str] = json.loads(line)
    return facts


def _end(process: subprocess.Popen[str]) -> None:
    started = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    try:
        process.wait(_SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
    process.stdout.close()
    _gone, left = psutil.wait_procs(started, timeout=5)
    for each in left:
        each.kill()


class _Cluster:
    def __init__(self, folder: Path, num_cores: int) -> None:
        from ray.cluster_utils import Cluster

        self._folder, self._num_cores = folder, num_cores
        head = {
            "num_cpus": 0,
            "include_dashboard": False,
            "node_ip_address": _LOOPBACK,
            "_system_config": _QUICK,
        }
        self.cluster = Cluster(initialize_head=True, head_node_args=head)
        self._nodes: dict[str, Any] = {}

    def add(self) -> str:
        variables = {"TRANSFER_STUDIO_NODE_DIR": str(self._folder / f"node-{len(self._nodes)}")}
        node = self.cluster.add_node(
            num_cpus=self._num_cores,
            memory=self._num_cores * _BYTES_OF_A_CORE,
            env_vars=variables,
            node_ip_address=_LOOPBACK,
        )
        self._nodes[node.node_id] = node
        return str(node.node_id)

    def kill(self, node_id: str) -> str:
        for process in self._nodes[node_id].all_processes["raylet"]:
            process.process.kill()
            process.process.wait()
        return node_id


def _main() -> None:
    # Ray writes to the standard output.
    outgoing = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def send(reply: dict[str, str]) -> None:
        print(json.dumps(reply), file=outgoing, flush=True)

    nodes = _Cluster(Path(sys.argv[1]), int(sys.argv[2]))
    try:
        send({"address": nodes.cluster.address})
        for line in sys.stdin:
            command, *arguments = line.split()
            send({"reply": nodes.add() if command == "add" else nodes.kill(*arguments)})
    finally:
        nodes.cluster.shutdown()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    _main()
