"""Workspaces with many runs and photos for benchmarks, made quickly from copies of one run and hard links."""

from __future__ import annotations

import os
import shutil
from datetime import datetime, timedelta

import numpy as np
from PIL import Image

from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import IMAGES_FOLDER, ImageDataset
from transfer_core.data.ingest import create_dataset
from transfer_core.data.records import ImageRecord
from transfer_core.runs.event_log import EventLog
from transfer_core.runs.training_run import EVENTS_FILE, TrainingRun
from transfer_core.training.train import MODEL_FILE
from transfer_core.work.execute import execute_run
from transfer_core.workspace import Workspace

_CLASS_NAMES = ("daisy", "dandelion", "rose", "sunflower", "tulip")
_NUM_FILES = 100
_SIDE = 64


def fill(workspace: Workspace, num_runs: int, num_photos: int) -> TrainingRun:
    """Add a dataset and equal runs on it to a workspace, and return the newest run.

    Args:
        workspace: Empty workspace.
        num_runs: Number of runs; one is trained and copied.
        num_photos: Number of photos in five classes; all but 100 are hard links.
    """
    dataset = _dataset(workspace, num_photos)
    config = TrainingConfig(backbone="tiny_random", epochs=20, fine_tune_epochs=5, num_unfrozen_blocks=1)
    run = TrainingRun.create(workspace, dataset, config)
    execute_run(workspace, run, EventLog(run.folder / EVENTS_FILE).append, lambda: False)
    for number in range(1, num_runs):
        _copy(workspace, run, number)
    return run


def _dataset(workspace: Workspace, num_photos: int) -> ImageDataset:
    dataset = create_dataset(workspace, "photos")
    folder = dataset.folder / IMAGES_FOLDER
    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    images = []
    for number in range(num_photos):
        path = folder / f"{number:032x}.jpg"
        label = number % len(_CLASS_NAMES)
        if number < _NUM_FILES:
            # Tint each class, so that the model can learn.
            tint = np.eye(len(_CLASS_NAMES), 3)[label] * 80
            pixels = (draw.integers(0, 176, (_SIDE, _SIDE, 3)) + tint).astype(np.uint8)
            Image.fromarray(pixels).save(path, "JPEG")
        else:
            os.link(folder / f"{number % _NUM_FILES:032x}.jpg", path)
        images.append(
            ImageRecord(
                path.stem,
                _CLASS_NAMES[label],
                f"photo-{number}.jpg",
                number=number + 1,
                width=640,
                height=480,
                fingerprint=draw.bytes(128).hex(),
            )
        )
    return dataset.with_images(images, ()).save()


def _copy(workspace: Workspace, run: TrainingRun, number: int) -> None:
    made_at = datetime.strptime(run.id[:15], "%Y%m%d-%H%M%S") - timedelta(minutes=number)
    folder = workspace.runs_dir / f"{made_at:%Y%m%d-%H%M%S}-{number:016x}"
    shutil.copytree(run.folder, folder, ignore=shutil.ignore_patterns(MODEL_FILE))
    os.link(run.folder / MODEL_FILE, folder / MODEL_FILE)
