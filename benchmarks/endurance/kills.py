"""SIGKILL at random moments of a training. The resumed run must end with the weights of an undisturbed one."""

from __future__ import annotations

import json
import time
import zipfile
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from benchmarks.endurance.training import (
    BASE,
    SCENARIOS,
    difference,
    new_dataset,
    queue_of,
    resume,
    train_new,
)
from benchmarks.endurance.trials import Budget, Report, start, try_often
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.events import RunResumed
from transfer_core.runs.sweep import list_sweeps
from transfer_core.runs.sweep_plan import SWEEP, SweepPlan
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.sweep_queue import continue_sweep, start_sweep
from transfer_core.workspace import Workspace

_MAX_KILLS = 3
_SWEEP = "sweep"
_DEPTHS = (0, 1)


@dataclass(frozen=True)
class _Reference:
    """Undisturbed runs by their number of unfrozen blocks, and their total duration in seconds."""

    runs: dict[int, TrainingRun]
    seconds: float


def kills(budget: Budget) -> Report:
    """Kill each kind of training in turn."""
    workspace = Workspace(budget.folder / "reference")
    dataset = new_dataset(workspace)
    names = [*SCENARIOS, _SWEEP]
    references: dict[str, _Reference] = {}

    def trial(number: int) -> str:
        name = names[number % len(names)]
        if name not in references:
            references[name] = _undisturbed(workspace, dataset, name)
        problem = _killed(workspace, dataset, name, references[name], budget, number)
        return problem and f"{name}: {problem}"

    report = try_often(budget, trial)
    runs = _all_new(workspace, set())
    num_resumed = sum(
        any(isinstance(event, RunResumed) and event.epoch for event in run.events()) for run in runs
    )
    report.note = f"{num_resumed} of {len(runs)} runs were resumed from a checkpoint"
    return report


def _half_written(folder: Path) -> list[Path]:
    """Return the incomplete files of a run, except temporary ones."""
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and not (path.name[0] == "." or _is_complete(path))
    ]


def _is_complete(path: Path) -> bool:
    try:
        if path.suffix == ".json":
            json.loads(path.read_bytes())
        elif path.suffix in (".npz", ".keras"):
            with zipfile.ZipFile(path) as archive:
                return archive.testzip() is None
    except (ValueError, zipfile.BadZipFile):
        return False
    return True


def _choices(workspace: Workspace, name: str) -> TrainingConfig:
    if name != "distillation":
        return SCENARIOS[name]
    first = min(
        run_id
        for run_id in workspace.run_ids()
        if TrainingRun.load(workspace, run_id).config == SCENARIOS["head"]
    )
    return SCENARIOS[name].with_changes(teacher=first)


def _undisturbed(workspace: Workspace, dataset: ImageDataset, name: str) -> _Reference:
    known = set(workspace.run_ids())
    began = time.monotonic()
    _end_all(workspace, dataset, name, known)
    seconds = time.monotonic() - began
    return _Reference(_new_runs(workspace, known), seconds)


def _killed(
    workspace: Workspace, dataset: ImageDataset, name: str, reference: _Reference, budget: Budget, number: int
) -> str:
    """Start a training, kill and resume it up to three times, and return its difference from the reference."""
    draws = budget.draws(number)
    known = set(workspace.run_ids())
    for _kill in range(int(draws.integers(1, _MAX_KILLS + 1))):
        process = _go_on(workspace, dataset, name, known)
        if process is None:
            break
        process.join(draws.uniform(0, reference.seconds))
        process.kill()
        process.join()
        process.close()
        half_written = [path.name for run in _all_new(workspace, known) for path in _half_written(run.folder)]
        if half_written:
            return f"{half_written[0]} is half-written"
    _end_all(workspace, dataset, name, known)
    runs = _new_runs(workspace, known)
    if runs.keys() != reference.runs.keys():
        return f"{len(runs)} runs came of it, not {len(reference.runs)}"
    if name == _SWEEP and not all((run.folder / SWEEP.name).is_file() for run in runs.values()):
        return "a run of the sweep does not know its sweep"
    return next(filter(None, (difference(runs[key], reference.runs[key]) for key in runs)), "")


def _end_all(workspace: Workspace, dataset: ImageDataset, name: str, known: set[str]) -> None:
    while (process := _go_on(workspace, dataset, name, known)) is not None:
        process.join()
        code = process.exitcode
        process.close()
        if code:
            raise ChildProcessError(f"A training of the kind {name} ended with code {code}.")


def _go_on(workspace: Workspace, dataset: ImageDataset, name: str, known: set[str]) -> BaseProcess | None:
    """Start or resume the training of a trial in a process; return None if it is finished."""
    root = workspace.root
    if name == _SWEEP:
        is_over = all(run.snapshot().outcome == "finished" for run in _all_new(workspace, known))
        has_all = len(_new_runs(workspace, known)) == len(_DEPTHS)
        return None if is_over and has_all else start(_sweep, root, dataset.id, frozenset(known))
    runs = _all_new(workspace, known)
    if not runs:
        return start(train_new, root, dataset.id, _choices(workspace, name).to_dict())
    (run_of_trial,) = runs
    if run_of_trial.snapshot().outcome not in (None, "interrupted"):
        return None
    return start(resume, root, run_of_trial.id)


def _sweep(root: Path, dataset_id: str, known: frozenset[str]) -> None:
    """Start or resume the sweep of a trial."""
    workspace = Workspace(root)
    queue, work = queue_of(workspace)
    begun = [sweep for sweep in list_sweeps(workspace) if not {run.id for run in sweep.runs} & known]
    if begun:
        continue_sweep(queue, begun[0])
    else:
        dataset = ImageDataset.load(workspace, dataset_id)
        start_sweep(queue, dataset, BASE, SweepPlan.of(dataset, BASE, _DEPTHS, 1))
    work()


def _all_new(workspace: Workspace, known: set[str]) -> list[TrainingRun]:
    return [TrainingRun.load(workspace, run_id) for run_id in workspace.run_ids() if run_id not in known]


def _new_runs(workspace: Workspace, known: set[str]) -> dict[int, TrainingRun]:
    """Return the runs of a trial by their number of unfrozen blocks."""
    return {run.config.num_unfrozen_blocks: run for run in _all_new(workspace, known)}
