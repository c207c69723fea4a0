"""kill -9 at any moment costs nothing but a little time: the resumed run ends with the same weights, bit for bit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import ROOT
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources import folder_source
from transfer_core.events import RunResumed
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that fork")

NUM_KILLS = 20
SEED = 4
MOST_BYTES_IN_A_LIFE = 4_000  # of the log
MOST_SECONDS_BESIDE = 0.03
OPTIONS = (
    *("--backbone", "tiny_random", "--unfreeze-blocks", 1, "--epochs", 15, "--fine-tune-epochs", 15),
    *("--batch-size", 8, "--dropout", 0.5, "--augmentation", "light", "--views", 2, "--json"),
)
# TensorFlow takes seconds to import: one process does it, and each life is a fork of it that runs the command line.
NURSERY = """
import json, os, sys
from transfer_core.__main__ import main
from transfer_core.backbones.runtime import load_keras
load_keras(1)
from transfer_core.training import phase_trainer, trainer
phase_trainer._SECONDS_BETWEEN_CHECKPOINTS = 0.0
for line in sys.stdin:
    process_id = os.fork()
    if process_id == 0:
        sys.argv = ["transfer_core", *json.loads(line)]
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os._exit(main())
    print(process_id, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(process_id, 0)[1]), flush=True)
"""


class Nursery:
    """Runs the command line in processes that start at once, and may kill them.

    Args:
        workspace: Where runs are.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._process = subprocess.Popen(
            [sys.executable, "-c", NURSERY],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def start(self, *arguments: object) -> int:
        """Start a command and return the id of its process."""
        command = [*map(str, arguments), "--workspace", str(self._workspace.root)]
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def wait(self) -> int:
        """Wait until the command ends and return its exit code."""
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


@pytest.fixture
def nursery(workspace: Workspace):
    nursery = Nursery(workspace)
    yield nursery
    nursery.close()


def is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


def kill_at(process_id: int, log: Path, num_bytes: int, seconds: float) -> None:
    """Kill a process once its log has that many bytes, and then that much later."""
    while is_alive(process_id) and (log.stat().st_size if log.exists() else 0) < num_bytes:
        time.sleep(0.001)
    time.sleep(seconds)  # the moment itself: in the middle of whatever it is doing then
    if is_alive(process_id):
        os.kill(process_id, signal.SIGKILL)


def check_whole(folder: Path) -> None:
    """Read every file that has its name: none may be half-written."""
    for path in folder.rglob("*"):
        if not path.is_file() or path.name.startswith("."):
            continue
        if path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                assert all(arrays[name] is not None for name in arrays.files)
        elif path.suffix == ".keras":
            assert zipfile.ZipFile(path).testzip() is None
        elif path.suffix == ".jsonl":
            *lines, _last = path.read_text().split("\n")
            assert all(json.loads(line)["event"] for line in lines)


def course(run: TrainingRun) -> list[tuple[Any, ...]]:
    """Every epoch of a run with its exact numbers."""
    return [
        (epoch.epoch, epoch.phase, epoch.loss, epoch.accuracy, epoch.val_loss, epoch.val_accuracy)
        for epoch in run.snapshot().epochs
    ]


def num_lives_that_went_on(workspace: Workspace) -> int:
    """How often a training went on from the middle rather than from the start."""
    runs = [TrainingRun.load(workspace, run_id) for run_id in workspace.run_ids()]
    return sum(isinstance(event, RunResumed) and event.epoch > 0 for run in runs for event in run.events())


def new_run_of(workspace: Workspace, known: set[str]) -> str | None:
    return next((run_id for run_id in workspace.run_ids() if run_id not in known), None)


def test_killed_at_twenty_random_moments_it_ends_with_the_same_weights(
    workspace: Workspace, image_folder: Path, nursery: Nursery, keras_module
) -> None:
    dataset = add_files(create_dataset(workspace, "colors"), folder_source(image_folder))
    nursery.start("train", dataset.id, *OPTIONS)
    assert nursery.wait() == 0
    (reference_id,) = workspace.run_ids()
    reference = TrainingRun.load(workspace, reference_id)
    assert len(reference.snapshot().epochs) == 30

    draws = np.random.default_rng(SEED)
    known, run_id = {reference_id}, None
    for _kill in range(NUM_KILLS):
        if run_id is None or workspace_status(workspace, run_id) == "finished":
            known |= {run_id} if run_id else set()
            process_id = nursery.start("train", dataset.id, *OPTIONS)
            while (run_id := new_run_of(workspace, known)) is None:
                assert is_alive(process_id)
        else:
            process_id = nursery.start("resume", run_id)
        log = workspace.run_dir(run_id) / "events.jsonl"
        size = log.stat().st_size if log.exists() else 0
        kill_at(
            process_id,
            log,
            size + int(draws.integers(0, MOST_BYTES_IN_A_LIFE)),
            draws.uniform(0, MOST_SECONDS_BESIDE),
        )
        assert nursery.wait() in (0, -signal.SIGKILL)
        check_whole(workspace.run_dir(run_id))
    if workspace_status(workspace, run_id) != "finished":
        nursery.start("resume", run_id)
        assert nursery.wait() == 0

    assert num_lives_that_went_on(workspace) >= NUM_KILLS // 3
    expected = keras_module.saving.load_model(reference.folder / "model.keras").get_weights()
    for other_id in set(workspace.run_ids()) - {reference_id}:
        run = TrainingRun.load(workspace, other_id)
        assert course(run) == course(reference)
        weights = keras_module.saving.load_model(run.folder / "model.keras").get_weights()
        assert all(np.array_equal(one, other) for one, other in zip(weights, expected, strict=True))
        assert run.evaluation() == reference.evaluation()
        assert {path.name for path in run.folder.iterdir()} == {
            path.name for path in reference.folder.iterdir()
        }


def workspace_status(workspace: Workspace, run_id: str) -> str | None:
    return TrainingRun.load(workspace, run_id).snapshot().outcome
