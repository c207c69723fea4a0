"""The system refuses a write at each size that a run, a dataset, a project or an export writes.

A limit on the size of a file (`RLIMIT_FSIZE`) makes the system itself refuse, as a full disk does.
"""

from __future__ import annotations

import resource
import shutil
from collections.abc import Callable
from pathlib import Path

from benchmarks.endurance.training import (
    COLORS,
    SCENARIOS,
    difference,
    new_dataset,
    photo,
    queue_of,
    resume,
    silence,
    train_new,
)
from benchmarks.endurance.trials import Budget, Report, ask, run, try_often
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.errors import TransferStudioError
from transfer_core.export.bundle import EXPORTS_DIR, export_run
from transfer_core.projects.open import open_project
from transfer_core.projects.plan import plan_project
from transfer_core.projects.save import save_project
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace

_FORMAT = "keras"
_CONFIG = SCENARIOS["fine-tuning"]


def failing_writes(budget: Budget) -> Report:
    """Refuse a write of each kind of work in turn."""
    whole = Workspace(budget.folder / "whole")
    dataset = new_dataset(whole)
    run(train_new, whole.root, dataset.id, _CONFIG.to_dict())
    reference = TrainingRun.load(whole, whole.run_ids()[0])
    project = whole.root / "project.zip"
    _save_project(whole, project)
    ask(_export, whole.root)
    works: list[Callable[[Path, int], str]] = [_train, _edit, _add_photos, _save, _pack]
    sizes = {work: _sizes_written(whole, project, work) for work in works}

    def trial(number: int) -> str:
        work = works[number % len(works)]
        choices = sizes[work]
        size = choices[number // len(works) % len(choices)]
        root = budget.folder / f"trial-{number}"
        shutil.copytree(whole.root, root)
        # The first byte that is refused is the last of a file of that size, or one in its middle.
        limit = size - 1 if number // len(works) < len(choices) else int(budget.draws(number).integers(size))
        message = ask(_limited, work.__name__, root, limit)
        wrong = _judged(work, root, message, dataset, reference, project)
        shutil.rmtree(root)
        return wrong and f"{work.__name__.strip('_')}, no file larger than {limit} bytes: {wrong}"

    return try_often(budget, trial)


def _sizes_written(whole: Workspace, project: Path, work: Callable[[Path, int], str]) -> list[int]:
    """Return the sizes of the files that a work writes, the smallest first."""
    if work is _train:
        (folder,) = (whole.run_dir(run_id) for run_id in whole.run_ids())
        paths = [path for path in (*folder.iterdir(), *whole.cache_dir.iterdir()) if path.is_file()]
    elif work in (_edit, _add_photos):
        paths = list((whole.datasets_dir / whole.dataset_ids()[0]).rglob("*.j*"))
    elif work is _save:
        paths = [project]
    else:
        paths = list(whole.run_dir(whole.run_ids()[0]).joinpath(EXPORTS_DIR).iterdir())
    return sorted({path.stat().st_size for path in paths if path.stat().st_size})


def _limited(name: str, root: Path, num_bytes: int) -> str:
    """Do a piece of work under a limit and return the sentence it ended with; nothing when it succeeded."""
    silence()
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    try:
        work: Callable[[Path, int], str] = globals()[name]
        return work(root, num_bytes)
    except TransferStudioError as error:
        return str(error) or "(an empty sentence)"


def _train(root: Path, num_bytes: int) -> str:
    # Without what an earlier run left, features are written as well.
    workspace = Workspace(root)
    shutil.rmtree(workspace.cache_dir)
    queue, work = queue_of(workspace)
    config = TrainingConfig.from_dict(_CONFIG.to_dict())
    run_id = queue.submit(ImageDataset.load(workspace, workspace.dataset_ids()[0]), config)
    work()
    snapshot = TrainingRun.load(workspace, run_id).snapshot()
    return "" if snapshot.outcome == "finished" else snapshot.message or "(an empty sentence)"


def _edit(root: Path, num_bytes: int) -> str:
    workspace = Workspace(root)
    dataset = ImageDataset.load(workspace, workspace.dataset_ids()[0])
    dataset.renamed_class("blue", "a blue that is longer than before").save()
    return ""


def _add_photos(root: Path, num_bytes: int) -> str:
    workspace = Workspace(root)
    dataset = ImageDataset.load(workspace, workspace.dataset_ids()[0])
    add_files(dataset, [ImportedFile(("blue", "new.png"), lambda: photo(COLORS["blue"], 99))])
    return ""


def _save(root: Path, num_bytes: int) -> str:
    _save_project(Workspace(root), root / "project.zip")
    return ""


def _pack(root: Path, num_bytes: int) -> str:
    return _export(root)


def _export(root: Path) -> str:
    workspace = Workspace(root)
    export_run(workspace, TrainingRun.load(workspace, workspace.run_ids()[-1]), _FORMAT)
    return ""


def _save_project(workspace: Workspace, path: Path) -> None:
    save_project(workspace, plan_project(workspace, workspace.dataset_ids()[0]), path)


def _judged(
    work: Callable[[Path, int], str],
    root: Path,
    message: str,
    dataset: ImageDataset,
    reference: TrainingRun,
    project: Path,
) -> str:
    """Say what is wrong after a refused write: every earlier file must load, and a sentence must have been said."""
    workspace = Workspace(root)
    if message == "(an empty sentence)":
        return "no sentence was said"
    now = ImageDataset.load(workspace, dataset.id)
    if message and [image.id for image in now.images] != [image.id for image in dataset.images]:
        return "the photos are not what they were"
    if not all(now.image_path(image).is_file() for image in now.images):
        return "a photo is missing"
    earlier = TrainingRun.load(workspace, reference.id)
    if difference(earlier, reference):
        return "the earlier run is not what it was"
    if work is _train:
        return _resumed(workspace, reference)
    if work is _save:
        if message and (root / "project.zip").read_bytes() != project.read_bytes():
            return "the earlier project is not what it was"
        with (root / "project.zip").open("rb") as content:
            open_project(Workspace(root / "opened"), content)
    if work is _pack and message:
        return _same_exports(earlier, reference)
    return ""


def _resumed(workspace: Workspace, reference: TrainingRun) -> str:
    """Let the run go on that was cut off, with room on the disk, and say how it differs."""
    for run_id in workspace.run_ids():
        if run_id == reference.id:
            continue
        if TrainingRun.load(workspace, run_id).snapshot().outcome in (None, "interrupted"):
            run(resume, workspace.root, run_id)
        wrong = difference(TrainingRun.load(workspace, run_id), reference)
        if wrong:
            return wrong
    return ""


def _same_exports(run_now: TrainingRun, before: TrainingRun) -> str:
    names = {path.name for path in (before.folder / EXPORTS_DIR).iterdir()}
    for name in names:
        if (run_now.folder / EXPORTS_DIR / name).read_bytes() != (
            before.folder / EXPORTS_DIR / name
        ).read_bytes():
            return f"the earlier export {name} is not what it was"
    left = {path.name for path in (run_now.folder / EXPORTS_DIR).iterdir()} - names
    return f"{', '.join(sorted(left))} was left half made" if left else ""
