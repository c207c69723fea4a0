"""Damages files of runs, datasets and projects. They must be rejected with a message, and the rest must stay usable."""

from __future__ import annotations

import hashlib
import io
import json
import math
import shutil
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.endurance.mutations import damaged
from benchmarks.endurance.training import COLORS, SCENARIOS, new_dataset, photo, silence, train_new
from benchmarks.endurance.trials import Budget, Report, call_in_process, run, try_often
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import TransferStudioError
from transfer_core.inference.predictor import Predictor
from transfer_core.projects.manifest import MANIFEST_FILE
from transfer_core.projects.open import open_project
from transfer_core.projects.plan import plan_project
from transfer_core.projects.save import save_project
from transfer_core.runs.run_folder import RunFolder
from transfer_core.runs.run_status import run_status
from transfer_core.runs.sweep import list_sweeps
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace

# Each loaded model leaks some memory, so start a new process after so many trials.
_TRIALS_OF_ONE_PROCESS = 100


def damage(budget: Budget) -> Report:
    """Damage a file of a run or a dataset, and in every second trial a file in a project."""
    workspace = Workspace(budget.folder / "original")
    dataset = new_dataset(workspace)
    for name in ("head", "fine-tuning"):
        run(train_new, workspace.root, dataset.id, SCENARIOS[name].to_dict())
    project = budget.folder / "project.zip"
    save_project(workspace, plan_project(workspace, dataset.id), project)
    total = Report(budget.num_trials)
    for first in range(0, budget.num_trials, _TRIALS_OF_ONE_PROCESS):
        last = min(first + _TRIALS_OF_ONE_PROCESS, budget.num_trials)
        seconds_left = budget.ends_at - time.monotonic()
        part = call_in_process(_damage_some, budget, first, last, seconds_left)
        total.num_done += part.num_done
        total.failures += part.failures
    return total


def _damage_some(budget: Budget, first: int, last: int, seconds_left: float) -> Report:
    silence()
    own_budget = replace(budget, ends_at=time.monotonic() + seconds_left)

    def trial(number: int) -> str:
        root = budget.folder / f"trial-{number}"
        try:
            return (_damaged_project if number % 2 else _damaged_file)(budget, root, number)
        except Exception as error:  # noqa: BLE001  (any other error is a failure of the check)
            return f"{type(error).__name__}: {error}"
        finally:
            shutil.rmtree(root, ignore_errors=True)

    return try_often(own_budget, trial, range(first, last))


def _damaged_file(budget: Budget, root: Path, number: int) -> str:
    draws = budget.draws(number)
    shutil.copytree(budget.folder / "original", root)
    workspace = Workspace(root)
    victim, other = workspace.run_dir(workspace.run_ids()[0]), workspace.run_ids()[1]
    folders = (victim, workspace.dataset_dir(workspace.dataset_ids()[0]))
    files = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
    # Prefer JSON and model files: a dataset has many more photos.
    facts = [path for path in files if path.suffix not in (".jpg", ".png")]
    chosen = facts if draws.integers(8) else files
    path = chosen[int(draws.integers(len(chosen)))]
    path.write_bytes(damaged(path.read_bytes(), draws))
    problem = _use(workspace, victim.name) or _use(workspace, other, is_other=path.parent == victim)
    return problem and f"{path.name}: {problem}"


def _damaged_project(budget: Budget, root: Path, number: int) -> str:
    draws = budget.draws(number)
    content = (budget.folder / "project.zip").read_bytes()
    name = "the zip"
    if draws.integers(4):
        name, content = _with_damaged_member(content, draws)
    else:
        content = damaged(content, draws)
    workspace = Workspace(root)
    try:
        opened = open_project(workspace, io.BytesIO(content))
    except TransferStudioError as error:
        left = [*workspace.dataset_ids(), *workspace.run_ids()]
        if left:
            return f"{name}: it was refused, and {left[0]} is there"
        return "" if str(error) else f"{name}: it was refused without a sentence"
    problem = next(filter(None, (_use(workspace, run_id, is_other=True) for run_id in opened.run_ids)), "")
    return problem and f"{name}: it was accepted, and then {problem}"


def _with_damaged_member(content: bytes, draws: object) -> tuple[str, bytes]:
    """Damage one file of a project and fix its checksum, like an attacker."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    names = [name for name in members if not name.endswith((".jpg", ".png"))]
    name = names[int(draws.integers(len(names)))]  # type: ignore[attr-defined]
    members[name] = damaged(members[name], draws)  # type: ignore[arg-type]
    if name != MANIFEST_FILE:
        manifest = json.loads(members[MANIFEST_FILE])
        for file in manifest["files"]:
            if file["name"] == name:
                file["num_bytes"] = len(members[name])
                file["sha256"] = hashlib.sha256(members[name]).hexdigest()
        members[MANIFEST_FILE] = json.dumps(manifest).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for other, member in members.items():
            archive.writestr(other, member)
    return name, buffer.getvalue()


def _use(workspace: Workspace, run_id: str, *, is_other: bool = False) -> str:
    """Use a run like the pages do and return the problem: an error without a message, or any error of another run."""
    actions: list[Callable[[], object]] = [
        lambda: TrainingRun.load(workspace, run_id).snapshot(),
        lambda: run_status(TrainingRun.load(workspace, run_id)),
        lambda: TrainingRun.load(workspace, run_id).evaluation(),
        lambda: TrainingRun.load(workspace, run_id).validation_ids(),
        lambda: ImageDataset.load(workspace, workspace.dataset_ids()[0]).counts(),
        lambda: RunFolder(workspace.run_dir(run_id)).notes(),
        lambda: list_sweeps(workspace),
        lambda: _check_answer(workspace, run_id),
    ]
    for action in actions:
        try:
            action()
        except TransferStudioError as error:
            if is_other:
                return f"the other run is not usable: {error}"
            if not str(error):
                return "an error without a sentence"
    return ""


def _check_answer(workspace: Workspace, run_id: str) -> None:
    prediction = Predictor.load(workspace.run_dir(run_id)).predict(photo(COLORS["red"], 5))
    if not math.isclose(sum(prediction.scores), 1.0, abs_tol=1e-3):
        raise ArithmeticError(f"the probabilities are {prediction.scores}")
