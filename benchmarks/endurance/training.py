"""Tiny trainings for the checks: synthetic photos, and runs through the app's own queue."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image

from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.executor import Execute
from transfer_core.work.queue import WorkQueue
from transfer_core.work.trainings import Trainings
from transfer_core.workspace import Workspace

COLORS = {"blue": (60, 90, 200), "green": (60, 180, 80), "red": (200, 70, 60)}
_NUM_PHOTOS_PER_CLASS = 8
BASE = TrainingConfig(
    backbone="tiny_random",
    epochs=8,
    fine_tune_epochs=6,
    batch_size=8,
    dropout=0.5,
    fine_tune_learning_rate=0.01,
)
# The distillation scenario gets its teacher when the head scenario has run.
SCENARIOS = {
    "head": BASE,
    "fine-tuning": BASE.with_changes(num_unfrozen_blocks=1, augmentation="light", num_views=2),
    "live augmentation": BASE.with_changes(
        num_unfrozen_blocks=1, augmentation="light", live_augmentation=True
    ),
    "automatic head": BASE.with_changes(head="auto", num_unfrozen_blocks=1),
    "distillation": BASE,
}


def photo(color: tuple[int, int, int], seed: int, side: int = 48) -> bytes:
    """Return a PNG of one colour with noise."""
    noise = np.random.default_rng(seed).integers(-60, 61, (side, side, 3))
    buffer = io.BytesIO()
    Image.fromarray(np.clip(np.array(color) + noise, 0, 255).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def new_dataset(workspace: Workspace, name: str = "Colours") -> ImageDataset:
    """Create a dataset with three classes of eight photos."""
    files = [
        ImportedFile((color, f"{color}-{number}.png"), partial(photo, COLORS[color], number))
        for color in COLORS
        for number in range(_NUM_PHOTOS_PER_CLASS)
    ]
    return add_files(create_dataset(workspace, name), files)


def queue_of(workspace: Workspace, execute: Execute | None = None) -> tuple[Trainings, Callable[[], None]]:
    """Return a queue and a function that runs its waiting tasks in the calling thread."""
    waiting: list[Callable[[], None]] = []

    def work() -> None:
        while waiting:
            waiting.pop(0)()

    return Trainings(workspace, execute, WorkQueue(waiting.append)), work


def train_new(root: Path, dataset_id: str, choices: dict[str, Any]) -> None:
    """Train a new run to its end."""
    workspace = Workspace(root)
    queue, work = queue_of(workspace)
    queue.submit(ImageDataset.load(workspace, dataset_id), TrainingConfig.from_dict(choices))
    work()


def resume(root: Path, run_id: str) -> None:
    """Train an interrupted run to its end."""
    queue, work = queue_of(Workspace(root))
    queue.resume(run_id)
    work()


def silence() -> None:
    """Discard the standard error output of this process, to keep expected warnings out of the table."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def weights_of(run: TrainingRun) -> dict[str, np.ndarray[Any, Any]]:
    """Return the weights of a saved model by their path in its HDF5 file."""
    found: dict[str, np.ndarray[Any, Any]] = {}

    def collect(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with zipfile.ZipFile(run.folder / "model.keras") as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(content, "r") as file:
        file.visititems(collect)
    return found


def difference(run: TrainingRun, reference: TrainingRun) -> str:
    """Return the difference of a finished run from an undisturbed one, empty if there is none."""
    outcome = run.snapshot().outcome
    if outcome != "finished":
        return f"the run ended as {outcome}: {run.snapshot().message}"
    weights, expected = weights_of(run), weights_of(reference)
    if weights.keys() != expected.keys():
        return "the model has other layers"
    if not all(np.array_equal(weights[name], expected[name]) for name in expected):
        max_difference = max(float(np.abs(weights[name] - expected[name]).max()) for name in expected)
        return f"the weights differ by up to {max_difference:.1e}"
    return "" if run.evaluation() == reference.evaluation() else "the evaluation differs"
