"""Long-running server: memory growth over many trainings, and equal results of two concurrent trainings."""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import replace

import numpy as np
import psutil

from benchmarks.endurance.training import SCENARIOS, new_dataset, silence, weights_of
from benchmarks.endurance.trials import Budget, Report, call_in_process, try_often
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.trainings import Trainings
from transfer_core.workspace import Workspace

# Libraries and caches are loaded during the first trainings.
_WARM_UP_TRAININGS = 10
_MAX_GROWTH = 50 * 10**6
_POLL_SECONDS = 0.02


def many_trainings(budget: Budget) -> Report:
    """Train one run after another in one process, each with another seed."""
    report: Report = call_in_process(_train_all_day, budget, budget.ends_at - time.monotonic())
    return report


def _train_all_day(budget: Budget, seconds_left: float) -> Report:
    workspace = Workspace(budget.folder)
    dataset = new_dataset(workspace)
    queue = Trainings(workspace)
    memory: list[int] = []
    config = TrainingConfig(backbone=budget.backbone, epochs=5)

    def trial(number: int) -> str:
        run_id = queue.submit(dataset, config.with_changes(seed=number))
        _wait(queue, run_id)
        memory.append(psutil.Process().memory_info().rss)
        outcome = queue.snapshot(run_id).outcome
        return "" if outcome == "finished" else f"it ended as {outcome}"

    own_budget = replace(budget, ends_at=time.monotonic() + seconds_left)
    report = try_often(own_budget, trial)
    num_warm_up = min(_WARM_UP_TRAININGS, len(memory))
    growth = memory[-1] - memory[num_warm_up - 1]
    report.note = f"{budget.backbone}: memory grew by {growth / 1e6:.0f} MB after training {num_warm_up}"
    if growth > _MAX_GROWTH:
        report.failures.append(report.note)
    return report


def two_at_once(budget: Budget) -> Report:
    """Train the same run twice concurrently in one process; both must end with equal weights."""
    report: Report = call_in_process(_train_pairs, budget, budget.ends_at - time.monotonic())
    return report


def _train_pairs(budget: Budget, seconds_left: float) -> Report:
    silence()
    workspace = Workspace(budget.folder / "one")
    dataset = new_dataset(workspace)
    scenarios = [SCENARIOS[name] for name in ("head", "fine-tuning", "live augmentation")]

    def trial(number: int) -> str:
        config = scenarios[number % len(scenarios)].with_changes(seed=number)
        other = Workspace(budget.folder / f"other-{number}")
        shutil.copytree(workspace.datasets_dir, other.datasets_dir, dirs_exist_ok=True)
        queues = [Trainings(workspace), Trainings(other)]
        ids = [queue.submit(ImageDataset.load(queue.workspace, dataset.id), config) for queue in queues]
        for queue, run_id in zip(queues, ids, strict=True):
            _wait(queue, run_id)
        runs = [TrainingRun.load(queue.workspace, run_id) for queue, run_id in zip(queues, ids, strict=True)]
        weights = [weights_of(run) for run in runs]
        shutil.rmtree(other.root)
        is_equal = all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])
        return "" if is_equal else "the weights differ"

    own_budget = replace(budget, ends_at=time.monotonic() + seconds_left)
    return try_often(own_budget, trial)


def _wait(queue: Trainings, run_id: str) -> None:
    while queue.is_here(run_id):
        threading.Event().wait(_POLL_SECONDS)
