"""Workspaces with very many runs: how long the lists of the pages take, with copies of one run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from benchmarks.cluster.load import Load, default_training, photos_of, written
from benchmarks.cluster.report import Report, Row
from benchmarks.photos import timed
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import TransferStudioError
from transfer_core.locks import LOCK_FILE, is_held
from transfer_core.runs.notes import RunNotes
from transfer_core.runs.run_folder import EVENTS_FILE
from transfer_core.runs.run_status import run_status
from transfer_core.runs.storage import storage_of, storage_version
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.train import MODEL_FILE
from transfer_core.workspace import Workspace

# A file may have 65,000 names on ext4.
_COPIES_OF_A_FILE = 10_000
_SECONDS_OF_A_CLICK, _SECONDS_OF_A_TASK = 1.0, 60.0
_AN_HOUR = 3600


@dataclass(frozen=True)
class _List:
    """A list of runs.

    Args:
        subject: For the table.
        work: Makes it, of a workspace and the ids of runs in it.
        most_seconds: That it may take.
        most_read: How many of the runs are read where that is measured and counted up to all of them; 0 for all.
    """

    subject: str
    work: Callable[[Workspace, Sequence[str]], object]
    most_seconds: float = _SECONDS_OF_A_CLICK
    most_read: int = 3_000

    def seconds(self, workspace: Workspace, run_ids: Sequence[str]) -> float:
        """Return how long it takes, in proportion where not all are read."""
        read = run_ids[: self.most_read or None]
        seconds, _result = timed(lambda: self.work(workspace, read))
        return seconds * len(run_ids) / len(read)


def measure_listing(folder: Path, load: Load, sizes: Sequence[int], report: Report) -> None:
    """Measure how long lists of runs take, in a workspace that grows.

    Args:
        folder: Empty folder.
        load: Has the number of runs that the figures of the largest workspace are counted up to.
        sizes: Numbers of runs, ascending.
        report: Gets the figures.
    """
    workspace = Workspace(folder)
    dataset = photos_of(workspace)
    num_runs = 0
    for size in sizes:
        for number in range(num_runs, size):
            if number % _COPIES_OF_A_FILE == 0:
                template = _finished_run(workspace, dataset)
            else:
                _link(template, number)
        num_runs = size
        run_ids = workspace.run_ids()
        for each in _LISTS:
            first, seconds = each.seconds(workspace, run_ids), each.seconds(workspace, run_ids)
            found = {f"{size:,} runs, first": (first, size), f"{size:,} runs": (seconds, size)}
            if size == sizes[-1] < load.num_runs:
                found[f"{load.num_runs:,} runs, counted up"] = seconds * load.num_runs / size, load.num_runs
            for when, (measured, at) in found.items():
                report.add(
                    Row("listing", each.subject, measured, each.most_seconds, "s", False, at, "runs", when)
                )


def _load(workspace: Workspace, run_ids: Sequence[str]) -> object:
    return [TrainingRun.load(workspace, run_id) for run_id in run_ids]


def _rows(workspace: Workspace, run_ids: Sequence[str]) -> object:
    """Read what the table of all models on Compare shows of each."""
    rows = []
    for run_id in run_ids:
        with suppress(TransferStudioError):
            run = TrainingRun.load(workspace, run_id)
            rows.append((run, run_status(run), run.snapshot(), run.files.notes(), run.has_model))
    return rows


def _sweeps(workspace: Workspace, run_ids: Sequence[str]) -> object:
    return [TrainingRun.load(workspace, run_id).files.sweep_plan() for run_id in run_ids]


def _locks(workspace: Workspace, run_ids: Sequence[str]) -> object:
    return any(is_held(workspace.run_dir(run_id)) for run_id in run_ids)


_LISTS = (
    _List("ids of runs", lambda workspace, _ids: workspace.run_ids(), most_read=0),
    _List("choices of runs", _load),
    _List("rows of Compare", _rows),
    _List("series of trainings", _sweeps),
    _List("locks of runs", _locks),
    _List("whether storage changed", lambda workspace, _ids: storage_version(workspace), most_read=0),
    _List("sizes on disk", lambda workspace, _ids: storage_of(workspace), _SECONDS_OF_A_TASK, most_read=0),
)


def _finished_run(workspace: Workspace, dataset: ImageDataset) -> TrainingRun:
    """Add a finished run; its model has one byte."""
    run = TrainingRun.create(workspace, dataset, TrainingConfig())
    run.write_split(dataset)
    run.files.write_notes(RunNotes(note="A note."))
    (run.folder / EVENTS_FILE).write_bytes(b"".join(map(written, default_training(time.time() - _AN_HOUR))))
    (run.folder / MODEL_FILE).write_bytes(b"0")
    (run.folder / LOCK_FILE).touch()
    for path in run.folder.iterdir():
        # The caches keep nothing of files that were written just now.
        os.utime(path, (time.time() - _AN_HOUR,) * 2)
    return run


def _link(run: TrainingRun, number: int) -> None:
    made_at = datetime.strptime(run.id[:15], "%Y%m%d-%H%M%S") - timedelta(minutes=number)
    folder = run.folder.with_name(f"{made_at:%Y%m%d-%H%M%S}-{number:016x}")
    folder.mkdir()
    for path in run.folder.iterdir():
        os.link(path, folder / path.name)
