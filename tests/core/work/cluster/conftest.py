"""A real cluster of two nodes on this computer, and an executor that is connected to it."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from transfer_core.data.dataset import ImageDataset
from transfer_core.runs.training_run import TrainingRun
from transfer_core.types import Array
from transfer_core.work.cluster.cluster_executor import ClusterExecutor
from transfer_core.work.executor import ProcessExecutor
from transfer_core.workspace import Workspace

ONE_THREAD = (
    "from transfer_core.work import worker; worker.num_threads_beside_an_app = lambda: 1; worker.main()"
)
PATIENCE = 120.0  # seconds until a test gives up; nothing waits that long


@dataclass
class TwoNodes:
    """The process with the cluster.

    Args:
        process: See `two_nodes.py`.
        environment: With which its address and its token are found.
        folder: Of the caches of its nodes.
    """

    process: subprocess.Popen[str]
    environment: dict[str, str]
    folder: Path

    def add(self, **variables: str) -> None:
        """Start one more node, with some variables of the environment."""
        print(json.dumps(variables), file=self.process.stdin, flush=True)

    def raylets(self) -> list[psutil.Process]:
        """Return the processes of the nodes, the latest last."""
        children = psutil.Process(self.process.pid).children()
        alive = [child for child in children if child.status() != psutil.STATUS_ZOMBIE]
        return sorted((child for child in alive if child.name() == "raylet"), key=psutil.Process.create_time)

    def workers(self) -> list[psutil.Process]:
        """Return the processes that carry out runs."""
        found = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            try:
                if process.cmdline()[:1] and process.cmdline()[0].startswith("ray::NodeWorker"):
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
        return found


def wait_until(is_so: Callable[[], object], what: str = "") -> None:
    """Wait for something that comes by itself, and fail when it does not."""
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def cluster_environment() -> dict[str, str]:
    """Return the variables of a cluster on this computer, with a new token."""
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
    }


@contextmanager
def two_nodes(folder: Path, environment: dict[str, str], port: int | None = None) -> Iterator[TwoNodes]:
    """Start a cluster, at any port or at a given one, and end it with the block."""
    pytest.importorskip("ray", reason="needs Ray: pip install -r requirements-cluster.txt")
    script = Path(__file__).with_name("two_nodes.py")
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            (sys.executable, str(script), str(folder), *([str(port)] if port else [])),
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        line = process.stdout.readline()
        assert line, (folder / "log").read_text()
        address = json.loads(line)["address"]
        yield TwoNodes(process, {**environment, "TRANSFER_STUDIO_RAY_ADDRESS": address}, folder)
    finally:
        process.stdin.close()
        process.wait(PATIENCE)
        process.stdout.close()


@pytest.fixture(scope="module")
def one_thread_executor() -> Iterator[ProcessExecutor]:
    """A worker process with as many threads as a node of the cluster."""
    executor = ProcessExecutor((sys.executable, "-c", ONE_THREAD))
    yield executor
    executor.close()


def weights_of(run: TrainingRun) -> list[Array]:
    import keras

    return keras.saving.load_model(run.folder / "model.keras", compile=False).get_weights()


@pytest.fixture
def dataset(workspace: Workspace, color_dataset: ImageDataset) -> ImageDataset:
    """The colours in a workspace of their own."""
    shutil.copytree(color_dataset.folder, workspace.dataset_dir(color_dataset.id))
    return ImageDataset.load(workspace, color_dataset.id)


@pytest.fixture
def in_folds(dataset: ImageDataset) -> ImageDataset:
    """The same, split into six folds."""
    return dataset.with_split(0.2, 1, split_by="folds", num_folds=6).save()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoNodes]:
    """Two nodes of one core, which tests may kill and replace by others."""
    with two_nodes(tmp_path_factory.mktemp("cluster"), cluster_environment()) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def executor(cluster: TwoNodes) -> Iterator[ClusterExecutor]:
    """An executor that sees both nodes."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name, value in cluster.environment.items():
            monkeypatch.setenv(name, value)
        executor = ClusterExecutor()
    executor.connect()
    wait_until(lambda: len(executor.nodes) >= 2, "the cluster has no two nodes")
    yield executor
    executor.close()
