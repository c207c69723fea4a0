"""Only content that can be opened again goes into a project; the rest is reported with its reason."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.core.conftest import FinishedRun
from tests.core.projects.conftest import opened
from tests.core.projects.test_version import DATA
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.errors import ProjectError
from transfer_core.projects.plan import plan_project
from transfer_core.projects.save import save_project
from transfer_core.runs.new_photos import add_new_photos
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace


@pytest.fixture
def two_runs(workspace: Workspace) -> Workspace:
    """A workspace with two runs, of which the newer one was taught by the older one, which is a source too."""
    opened(workspace, DATA / "version-1.zip")
    return workspace


def break_split(folder: Path) -> None:
    facts = json.loads((folder / "split.json").read_text())
    del facts["train"]
    (folder / "split.json").write_text(json.dumps(facts))


@pytest.mark.parametrize(
    ("break_it", "reason"),
    [
        (break_split, "is not valid"),
        (lambda folder: (folder / "evaluation.json").write_text("{}"), "evaluation.json of .* is damaged"),
        (lambda folder: (folder / "calibration.json").write_text('{"temperature": 99}'), "temperature"),
        (lambda folder: (folder / "rejection.npz").unlink(), "content of rejection.json is not valid"),
        (lambda folder: (folder / "model.keras").unlink(), "it has no model"),
    ],
)
def test_what_would_be_refused_stays_behind_with_its_reason(
    two_runs: Workspace, break_it, reason: str, tmp_path: Path
) -> None:
    broken, whole = two_runs.run_ids()
    break_it(two_runs.run_dir(broken))
    plan = plan_project(two_runs, two_runs.dataset_ids()[0])
    assert ([run.id for run in plan.runs], [run.id for run in plan.left_out]) == ([whole], [broken])
    with pytest.raises(ProjectError, match=f"The run {broken} cannot go into a project: .*{reason}"):
        plan_project(two_runs, plan.dataset.id, [broken])
    save_project(two_runs, plan, tmp_path / "whole.zip")
    assert opened(Workspace(tmp_path / "there"), tmp_path / "whole.zip").run_ids == (whole,)


def test_a_model_that_cannot_be_loaded_is_named(two_runs: Workspace, tmp_path: Path) -> None:
    broken = two_runs.run_ids()[1]
    (two_runs.run_dir(broken) / "model.keras").write_bytes(b"x")
    plan = plan_project(two_runs, two_runs.dataset_ids()[0])
    with pytest.raises(ProjectError, match=f"The model of the run {broken} could not be saved"):
        save_project(two_runs, plan, tmp_path / "project.zip")
    assert not list(tmp_path.glob("*.zip"))


def test_a_deleted_or_damaged_own_model(two_runs: Workspace, tmp_path: Path) -> None:
    (source_id,) = two_runs.source_ids()
    weights = two_runs.source_dir(source_id) / "weights.npz"
    student = next(
        run_id
        for run_id in two_runs.run_ids()
        if TrainingRun.load(two_runs, run_id).config.backbone == source_id
    )
    dataset_id = two_runs.dataset_ids()[0]
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ProjectError, match=r"weights of your own model .* changed or damaged"):
        save_project(two_runs, plan_project(two_runs, dataset_id), tmp_path / "project.zip")
    weights.unlink()
    plan = plan_project(two_runs, dataset_id)
    assert plan.source_ids == ()
    assert [(run.id, run.reason) for run in plan.left_out] == [
        (student, "the model that it builds on has been deleted.")
    ]


def test_labelled_photos_count_and_are_listed_once(
    finished_run: FinishedRun, workspace: Workspace, make_image, monkeypatch: pytest.MonkeyPatch
) -> None:
    for room in ("datasets", "runs"):
        shutil.copytree(finished_run.workspace.root / room, workspace.root / room)
    dataset_id, run_id = finished_run.dataset.id, finished_run.run.id
    before = plan_project(workspace, dataset_id, [run_id]).num_bytes
    photo = make_image("red", seed=77, noise=90)
    add_new_photos(TrainingRun.load(workspace, run_id), [ImportedFile(("red", "new.png"), lambda: photo)])
    (kept,) = workspace.run_dir(run_id).glob("new_photos/datasets/*/images/*.jpg")
    after = plan_project(workspace, dataset_id, [run_id]).num_bytes
    assert after - before > kept.stat().st_size
    monkeypatch.setenv("TRANSFER_STUDIO_MAX_FILES", "30")
    with pytest.raises(ProjectError, match="more than 30 files"):
        plan_project(workspace, dataset_id, [run_id])


def test_images_that_were_changed_since_the_plan(two_runs: Workspace, tmp_path: Path) -> None:
    plan = plan_project(two_runs, two_runs.dataset_ids()[0])
    dataset = ImageDataset.load(two_runs, plan.dataset.id)
    dataset.without([dataset.images[0].id]).save()
    with pytest.raises(ProjectError, match="have just been changed"):
        save_project(two_runs, plan, tmp_path / "project.zip")
