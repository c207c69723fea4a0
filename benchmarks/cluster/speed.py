"""Trainings on a real cluster of one computer: the overhead of one, and what a second node gains."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import psutil

from benchmarks.cluster.raylets import TooSlowError, executor_of, raylets, wait_until
from benchmarks.cluster.report import Report, Row
from benchmarks.photos import dataset_of, timed
from transfer_core.backbones.registry import DEFAULT_BACKBONE, get_backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.samples import list_samples
from transfer_core.runs.event_log import EventLog
from transfer_core.runs.run_folder import EVENTS_FILE
from transfer_core.runs.run_status import ACTIVE
from transfer_core.runs.sweep_plan import SweepPlan
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.advice import recommend
from transfer_core.training.freezing import FreezePlan
from transfer_core.training.resources import estimate_memory
from transfer_core.work.cluster.nodes import memory_on_node
from transfer_core.work.cluster.settings import CPUS_VARIABLE
from transfer_core.work.executor import Execute, ProcessExecutor
from transfer_core.work.sweep_queue import start_sweep
from transfer_core.work.trainings import Trainings
from transfer_core.workspace import Workspace

_NUM_RUNS = 8
_DEPTHS = range(5)
_NUM_WARM = 3
_MOST_OVERHEAD, _MOST_SECONDS = 1.1, 3.0
_LEAST_GAIN = 1.7
_CORES = (1, 2)
# By the number of trainable blocks.
_KINDS = {"new layer only": 0, "two blocks": 2}
_SECONDS_BETWEEN_LOOKS = 0.1
_SECONDS_OF_A_PART = 300.0
# As many threads as a node of one core has.
_ONE_THREAD = (
    sys.executable,
    "-c",
    "from transfer_core.work import worker; worker.num_threads_beside_an_app = lambda: 1; worker.main()",
)


def photos_and_choices(
    workspace: Workspace, folder: Path | None, is_quick: bool
) -> tuple[ImageDataset, TrainingConfig]:
    """Add photos to a workspace, and return them with the choices that the app recommends for them.

    Args:
        workspace: Empty workspace.
        folder: Folder of class folders; without one the first sample of the app.
        is_quick: Whether to choose a tiny random network instead.
    """
    if folder:
        dataset = dataset_of(workspace, folder)
    else:
        sample = list_samples()[0]
        dataset = add_files(create_dataset(workspace, sample.title), sample.files())
    if is_quick:
        return dataset, TrainingConfig(backbone="tiny_random", epochs=3, fine_tune_epochs=2)
    return dataset, recommend(dataset, get_backbone(DEFAULT_BACKBONE)).config


def measure_overhead(folder: Path, photos: Path | None, is_quick: bool, report: Report) -> None:
    """Compare a training through Ray with one in the worker process of the app.

    Cold: neither has a worker process nor features yet; the node has no photos. Warm: both have all of that, and the
    learning rate is another.
    """
    with raylets(folder / "cluster", 1) as cluster, executor_of(cluster, 1) as there:
        here = ProcessExecutor(_ONE_THREAD)
        try:
            own = _seconds_of_runs(Workspace(folder / "here"), here, photos, is_quick)
        finally:
            here.close()
        remote = _seconds_of_runs(Workspace(folder / "there"), there, photos, is_quick)
    for when, before, after in (
        ("cold", own[0], remote[0]),
        ("warm", statistics.median(own[1:]), statistics.median(remote[1:])),
    ):
        subject = "time of a training through Ray, in those of one in a worker process"
        report.add(Row("overhead", subject, after / before, _MOST_OVERHEAD, "times", when=when))
        report.add(Row("overhead", "what that adds", after - before, _MOST_SECONDS, "s", when=when))


def measure_two_nodes(folder: Path, photos: Path | None, is_quick: bool, report: Report) -> None:
    """Compare eight runs on two nodes of one core with the same on one node; each has trained once before."""

    def submit(trainings: Trainings, dataset: ImageDataset, config: TrainingConfig) -> None:
        for number in range(_NUM_RUNS):
            trainings.submit(dataset, config.with_changes(seed=number))

    _compare(folder, photos, is_quick, f"{_NUM_RUNS} trainings", submit, report)


def measure_sweep(folder: Path, photos: Path | None, is_quick: bool, report: Report) -> None:
    """Compare a sweep of five depths on two nodes of one core with the same on one node."""

    def submit(trainings: Trainings, dataset: ImageDataset, config: TrainingConfig) -> None:
        depths = _DEPTHS[: len(get_backbone(config.backbone).blocks)]
        start_sweep(trainings, dataset, config, SweepPlan.of(dataset, config, depths, 1))

    _compare(folder, photos, is_quick, f"a sweep of {len(_DEPTHS)} depths", submit, report)


def measure_sizes(folder: Path, photos: Path | None, is_quick: bool, report: Report) -> None:
    """Measure seconds and memory of a training by its kind and by the cores of its node.

    The memory is the peak of the worker process without what it shares with others, against what the app requests of
    a node for it; the seconds are compared with those on one core.
    """
    on_one_core: dict[str, float] = {}
    for num_cores in _CORES:
        place = folder / f"{num_cores}-cores"
        workspace = Workspace(place / "workspace")
        dataset, config = photos_and_choices(workspace, photos, is_quick)
        with (
            patch.dict(os.environ, {CPUS_VARIABLE: str(num_cores)}),
            raylets(place / "cluster", 1, num_cores) as cluster,
            executor_of(cluster, 1) as executor,
        ):
            trainings = Trainings(workspace, executor)
            for name, depth in _KINDS.items():
                choices = config.with_changes(num_unfrozen_blocks=depth, schedule="head_then_fine_tune")
                run_id = trainings.submit(dataset, choices)
                peak = 0
                while trainings.status(run_id) in ACTIVE:
                    peak = max([peak, *map(_own_memory, cluster.workers())])
                    time.sleep(_SECONDS_BETWEEN_LOOKS)
                run = TrainingRun.load(workspace, run_id)
                plan = FreezePlan.of(choices, get_backbone(choices.backbone))
                estimate = memory_on_node(estimate_memory(plan, choices, dataset))
                when = f"{name}, {len(dataset.images)} photos, {num_cores} core{'s' if num_cores > 1 else ''}"
                seconds = run.snapshot().seconds
                on_one_core.setdefault(name, seconds)
                report.add(Row("sizes", "time of a training", seconds, on_one_core[name], "s", when=when))
                report.add(Row("sizes", "memory of its worker", peak / 1e9, estimate / 1e9, "GB", when=when))
        report.problems += _problems(workspace)


def _own_memory(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        facts = process.memory_info()
        return int(facts.rss - facts.shared)
    return 0


def _compare(
    folder: Path,
    photos: Path | None,
    is_quick: bool,
    subject: str,
    submit: Callable[[Trainings, ImageDataset, TrainingConfig], None],
    report: Report,
) -> None:
    seconds = []
    for num_nodes in (1, 2):
        place = folder / f"{num_nodes}-nodes"
        workspace = Workspace(place / "workspace")
        dataset, config = photos_and_choices(workspace, photos, is_quick)
        with raylets(place / "cluster", num_nodes) as cluster, executor_of(cluster, num_nodes) as executor:
            trainings = Trainings(workspace, executor)
            for number in range(num_nodes):
                trainings.submit(dataset, config.with_changes(seed=100 + number))
            _wait_for_all(trainings)
            submitted = timed(lambda: submit(trainings, dataset, config))[0]  # noqa: B023
            seconds.append(submitted + timed(lambda: _wait_for_all(trainings))[0])  # noqa: B023
        report.problems += _problems(workspace)
    gain = seconds[0] / seconds[1]
    report.add(
        Row("nodes", f"{subject} on two nodes, times as fast as on one", gain, _LEAST_GAIN, "times", True)
    )


def _seconds_of_runs(
    workspace: Workspace, execute: Execute, photos: Path | None, is_quick: bool
) -> list[float]:
    """Train several times, and return the seconds of each run; the first one finds nothing."""
    dataset, config = photos_and_choices(workspace, photos, is_quick)
    seconds = []
    for number in range(1 + _NUM_WARM):
        choices = config.with_changes(learning_rate=config.learning_rate * (1 + number / 10))
        run = TrainingRun.create(workspace, dataset, choices)
        log = EventLog(run.folder / EVENTS_FILE)
        seconds.append(timed(lambda: execute(workspace, run, log.append, lambda: False))[0])  # noqa: B023
        if log.snapshot.outcome != "finished":
            raise TooSlowError(f"A training did not finish: {log.snapshot.message}")
    return seconds


def _wait_for_all(trainings: Trainings) -> None:
    run_ids = trainings.workspace.run_ids()
    wait_until(
        lambda: not any(trainings.status(run_id) in ACTIVE for run_id in run_ids),
        _SECONDS_OF_A_PART,
        "The trainings took too long.",
    )


def _problems(workspace: Workspace) -> Sequence[str]:
    """Return a sentence for each run that has not finished."""
    runs = [TrainingRun.load(workspace, run_id) for run_id in workspace.run_ids()]
    return [
        f"A training ended as {run.outcome}: {run.snapshot().message}"
        for run in runs
        if run.outcome != "finished"
    ]
