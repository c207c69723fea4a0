"""Failing writes at each file size that a run, a dataset, a project or an export writes.

A file size limit (`RLIMIT_FSIZE`) makes the system itself fail the write, like a full disk.
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
from benchmarks.endurance.trials import Budget, Report, call_in_process, run, try_often
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
    """Let a write of each kind of work fail in turn."""
    original = Workspace(budget.folder / "original")
    dataset = new_dataset(original)
    run(train_new, original.root, dataset.id, _CONFIG.to_dict())
    reference = TrainingRun.load(original, original.run_ids()[0])
    project = original.root / "project.zip"
    _save_project(original, project)
    call_in_process(_export, original.root)
    works: list[Callable[[Path, int], str]] = [_train, _edit, _add_photos, _save, _pack]
    sizes = {work: _sizes_written(original, project, work) for work in works}

    def trial(number: int) -> str:
        work = works[number % len(works)]
        choices = sizes[work]
        size = choices[number // len(works) % len(choices)]
        root = budget.folder / f"trial-{number}"
        shutil.copytree(original.root, root)
        # The first failing byte is the last of a file of that size, or one in its middle.
        limit = size - 1 if number // len(works) < len(choices) else int(budget.draws(number).integers(size))
        message = call_in_process(_limited, work.__name__, root, limit)
        problem = _problem(work, root, message, dataset, reference, project)
        shutil.rmtree(root)
        return problem and f"{work.__name__.strip('_')}, no file larger than {limit} bytes: {problem}"

    return try_often(budget, trial)


def _sizes_written(original: Workspace, project: Path, work: Callable[[Path, int], str]) -> list[int]:
    """Return the sizes of the files that a piece of work writes, in rising order."""
    if work is _train:
        (folder,) = (original.run_dir(run_id) for run_id in original.run_ids())
        paths = [path for path in (*folder.iterdir(), *original.cache_dir.iterdir()) if path.is_file()]
    elif work in (_edit, _add_photos):
        paths = list((original.datasets_dir / original.dataset_ids()[0]).rglob("*.j*"))
    elif work is _save:
        paths = [project]
    else:
        paths = list(original.run_dir(original.run_ids()[0]).joinpath(EXPORTS_DIR).iterdir())
    return sorted({path.stat().st_size for path in paths if path.stat().st_size})


def _limited(name: str, root: Path, num_bytes: int) -> str:
    """Run a piece of work with a file size limit and return its error message, empty on success."""
    silence()
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    try:
        work: Callable[[Path, int], str] = globals()[name]
        return work(root, num_bytes)
    except TransferStudioError as error:
        return str(error) or "(an empty sentence)"


def _train(root: Path, num_bytes: int) -> str:
    # Clear the cache, so that features are written as well.
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


def _problem(
    work: Callable[[Path, int], str],
    root: Path,
    message: str,
    dataset: ImageDataset,
    reference: TrainingRun,
    project: Path,
) -> str:
    """Return the problem after a failed write: an earlier file that does not load, or an empty message."""
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
    """Resume the failed run without a limit and return its difference from the reference."""
    for run_id in workspace.run_ids():
        if run_id == reference.id:
            continue
        if TrainingRun.load(workspace, run_id).snapshot().outcome in (None, "interrupted"):
            run(resume, workspace.root, run_id)
        problem = difference(TrainingRun.load(workspace, run_id), reference)
        if problem:
            return problem
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
