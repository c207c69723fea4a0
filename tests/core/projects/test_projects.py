"""A project taken to another computer: everything is there, and its runs answer the same to the bit."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from tests.core.conftest import FinishedRun
from tests.core.projects.conftest import members_of, opened
from tests.core.projects.test_version import DATA
from transfer_core.backbones.registry import get_backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.errors import ProjectError, WorkspaceError
from transfer_core.inference.predictor import Predictor
from transfer_core.projects.plan import RunLeftOut, plan_project
from transfer_core.projects.save import save_project
from transfer_core.projects.version import PROJECT_FORMAT, PROJECT_VERSION
from transfer_core.runs.event_log import EventLog
from transfer_core.runs.new_photos import add_new_photos, new_photos_of
from transfer_core.runs.notes import RunNotes
from transfer_core.runs.own_models import make_source, runs_to_build_on
from transfer_core.runs.run_folder import RunFolder
from transfer_core.runs.sweep import list_sweeps
from transfer_core.runs.sweep_plan import SWEEP, SweepPlan
from transfer_core.runs.training_run import EVENTS_FILE, TrainingRun
from transfer_core.work.execute import execute_run
from transfer_core.workspace import Workspace


def trained(workspace: Workspace, dataset: ImageDataset, config: TrainingConfig) -> TrainingRun:
    run = TrainingRun.create(workspace, dataset, config)
    execute_run(workspace, run, EventLog(run.folder / EVENTS_FILE).append, lambda: False)
    return run


def saved(workspace: Workspace, dataset_id: str, path: Path) -> Path:
    save_project(workspace, plan_project(workspace, dataset_id), path)
    return path


def outputs(run: TrainingRun, size: int = 32) -> tuple[np.ndarray, np.ndarray]:
    pixels = np.random.default_rng(5).integers(0, 256, (4, size, size, 3), np.uint8)
    found = Predictor.load(run.folder).outputs(pixels)
    assert found.features is not None
    return found.features, found.probabilities


def assert_same_answers(one: TrainingRun, other: TrainingRun, size: int = 32) -> None:
    for mine, theirs in zip(outputs(one, size), outputs(other, size), strict=True):
        assert np.array_equal(mine, theirs)


def test_everything_is_there_on_another_computer(
    finished_run: FinishedRun, project_path: Path, workspace: Workspace
) -> None:
    taken = opened(workspace, project_path)
    assert (taken.dataset_id, taken.run_ids) == (finished_run.dataset.id, (finished_run.run.id,))
    assert set(taken.new_ids) == {taken.dataset_id, *taken.run_ids}
    dataset = ImageDataset.load(workspace, taken.dataset_id)
    assert structs.replace(dataset, folder=finished_run.dataset.folder) == finished_run.dataset
    for image in dataset.images:
        assert dataset.image_path(image).read_bytes() == finished_run.dataset.image_path(image).read_bytes()
    run = TrainingRun.load(workspace, finished_run.run.id)
    assert run.snapshot() == finished_run.run.snapshot()
    assert run.evaluation() == finished_run.run.evaluation()
    assert run.validation_ids() == finished_run.run.validation_ids()
    names = {path.name for path in run.folder.iterdir()}
    assert names == {path.name for path in finished_run.folder.iterdir()} - {"exports", "lock"}
    picture = dataset.image_path(dataset.images[0]).read_bytes()
    mine, theirs = (Predictor.load(one.folder).predict(picture) for one in (finished_run.run, run))
    assert replace(mine, seconds=0.0) == replace(theirs, seconds=0.0)
    assert theirs.familiarity is not None
    assert_same_answers(finished_run.run, run)
    assert not list(workspace.trash_dir.iterdir())


@pytest.mark.parametrize(
    "changes",
    [
        {"head": "hidden", "hidden_units": 7, "weights": "random"},
        {"head": "flattened_map", "unfrozen_layers": ("stem_conv",), "schedule": "one_phase"},
        {"head": "auto"},
    ],
)
def test_each_kind_of_model_answers_the_same_to_the_bit(
    color_dataset: ImageDataset, tiny_config: TrainingConfig, tmp_path: Path, changes: dict
) -> None:
    here, there = Workspace(tmp_path / "here"), Workspace(tmp_path / "there")
    shutil.copytree(color_dataset.folder, here.dataset_dir(color_dataset.id))
    dataset = ImageDataset.load(here, color_dataset.id)
    run = trained(here, dataset, tiny_config.with_changes(epochs=1, fine_tune_epochs=1, **changes))
    opened(there, saved(here, dataset.id, tmp_path / "project.zip"))
    assert_same_answers(run, TrainingRun.load(there, run.id))


def test_a_real_network_with_two_blocks_fine_tuned_answers_the_same_to_the_bit(
    color_dataset: ImageDataset, tmp_path: Path
) -> None:
    here, there = Workspace(tmp_path / "here"), Workspace(tmp_path / "there")
    shutil.copytree(color_dataset.folder, here.dataset_dir(color_dataset.id))
    dataset = ImageDataset.load(here, color_dataset.id)
    few = [image for name in dataset.class_names for image in dataset.images if image.class_name == name][::4]
    dataset = dataset.with_images(few, ()).save()
    config = TrainingConfig(num_unfrozen_blocks=2, schedule="one_phase", epochs=1, batch_size=8)
    run = trained(here, dataset, config)
    opened(there, saved(here, dataset.id, tmp_path / "project.zip"))
    assert_same_answers(run, TrainingRun.load(there, run.id), 224)


def test_own_models_notes_series_and_test_photos_come_along(
    color_dataset: ImageDataset, tiny_config: TrainingConfig, tmp_path: Path, make_image
) -> None:
    here, there = Workspace(tmp_path / "here"), Workspace(tmp_path / "there")
    shutil.copytree(color_dataset.folder, here.dataset_dir(color_dataset.id))
    dataset = ImageDataset.load(here, color_dataset.id)
    first = trained(here, dataset, tiny_config.with_changes(epochs=1))
    source = make_source(here, first.id)
    second = trained(here, dataset, tiny_config.with_changes(epochs=1, backbone=source.name))
    second.files.write_notes(RunNotes("second", "better", True))
    plan = SweepPlan("20260101-000000-0123456789abcdef", (0, 1), (1,))
    SWEEP.write(second.folder, plan)
    photo = make_image("red", seed=77, noise=90)
    add_new_photos(second, [ImportedFile(("red", "new.png"), lambda: photo)])
    path = saved(here, dataset.id, tmp_path / "project.zip")

    taken = opened(there, path)
    assert taken.run_ids == (second.id, first.id)
    run = TrainingRun.load(there, second.id)
    assert run.files.notes() == RunNotes("second", "better", True)
    assert [sweep.plan.depths for sweep in list_sweeps(there)] == [(0, 1)]
    photos = new_photos_of(run)
    assert photos is not None
    assert [image.name for image in photos.images] == ["new.png"]
    assert get_backbone(source.name, there).lineage == source.lineage
    assert_same_answers(second, run)
    # What came in can be built on, as what was trained here.
    assert [one.id for one in runs_to_build_on(there)] == [second.id]
    third = trained(
        there,
        ImageDataset.load(there, taken.dataset_id),
        tiny_config.with_changes(epochs=1, backbone=make_source(there, second.id).name),
    )
    assert third.snapshot().outcome == "finished"


def test_opened_again_nothing_is_there_twice(project_path: Path, workspace: Workspace) -> None:
    first = opened(workspace, project_path)
    RunFolder(workspace.run_dir(first.run_ids[0])).write_notes(RunNotes("mine"))
    again = opened(workspace, project_path)
    assert again == replace(first, new_ids=())
    assert RunFolder(workspace.run_dir(first.run_ids[0])).notes().name == "mine"
    shutil.rmtree(workspace.run_dir(first.run_ids[0]))
    assert opened(workspace, project_path).new_ids == first.run_ids
    assert TrainingRun.load(workspace, first.run_ids[0]).has_model


def test_what_is_missing_here_is_filled_in(workspace: Workspace) -> None:
    first = opened(workspace, DATA / "version-1.zip")
    dataset = ImageDataset.load(workspace, first.dataset_id)
    (source_id,) = workspace.source_ids()
    run_id = first.run_ids[0]
    paths = [
        dataset.image_path(dataset.images[0]),
        workspace.source_dir(source_id) / "weights.npz",
        workspace.run_dir(run_id) / "model.keras",
    ]
    before = outputs(TrainingRun.load(workspace, run_id))
    contents = [path.read_bytes() for path in paths]
    for path in paths:
        path.unlink()
    again = opened(workspace, DATA / "version-1.zip")
    assert set(again.new_ids) == {dataset.id, source_id, run_id}
    assert not again.is_copy
    assert [path.read_bytes() for path in paths[:2]] == contents[:2]
    for mine, theirs in zip(before, outputs(TrainingRun.load(workspace, run_id)), strict=True):
        assert np.array_equal(mine, theirs)
    assert opened(workspace, DATA / "version-1.zip").new_ids == ()


def test_local_changes_are_kept_and_the_project_comes_in_as_a_copy(
    project_path: Path, workspace: Workspace, finished_run: FinishedRun
) -> None:
    first = opened(workspace, project_path)
    dataset = ImageDataset.load(workspace, first.dataset_id)
    changed = dataset.without([dataset.images[0].id]).save()
    copy = opened(workspace, project_path)
    assert copy.is_copy
    assert ImageDataset.load(workspace, first.dataset_id) == changed
    assert len(ImageDataset.load(workspace, copy.dataset_id).images) == len(changed.images) + 1
    run = TrainingRun.load(workspace, copy.run_ids[0])
    assert (run.dataset_id, run.created_at) == (copy.dataset_id, finished_run.run.created_at)
    assert run.id != finished_run.run.id
    assert len(workspace.run_ids()) == len(workspace.dataset_ids()) == 2
    assert_same_answers(finished_run.run, run)


def test_a_copy_gives_own_models_and_sweeps_new_ids(
    color_dataset: ImageDataset, tiny_config: TrainingConfig, tmp_path: Path
) -> None:
    here = Workspace(tmp_path / "here")
    shutil.copytree(color_dataset.folder, here.dataset_dir(color_dataset.id))
    dataset = ImageDataset.load(here, color_dataset.id)
    first = trained(here, dataset, tiny_config.with_changes(epochs=1))
    second = trained(
        here,
        dataset,
        tiny_config.with_changes(epochs=1, backbone=make_source(here, first.id).name, teacher=first.id),
    )
    for run in (first, second):
        plan = SweepPlan("20260101-000000-0123456789abcdef", (0, 1), (1,))
        SWEEP.write(run.folder, plan)
    path = saved(here, dataset.id, tmp_path / "project.zip")
    dataset.without([dataset.images[0].id]).save()
    copy = opened(here, path)
    runs = [TrainingRun.load(here, run_id) for run_id in copy.run_ids]
    (builder,) = (run for run in runs if run.config.backbone != "tiny_random")
    assert builder.config.backbone in {run.id for run in runs} & set(here.source_ids())
    assert builder.config.teacher == builder.config.backbone != first.id
    assert [len(sweep.runs) for sweep in list_sweeps(here)] == [2, 2]


def test_runs_that_are_not_over_stay_behind_and_it_is_said(
    color_dataset: ImageDataset, tiny_config: TrainingConfig, workspace: Workspace, tmp_path: Path
) -> None:
    shutil.copytree(color_dataset.folder, workspace.dataset_dir(color_dataset.id))
    waiting = TrainingRun.create(workspace, color_dataset, tiny_config)
    plan = plan_project(workspace, color_dataset.id)
    assert (plan.runs, plan.left_out) == (
        (),
        (RunLeftOut(waiting.id, "its training failed or was interrupted."),),
    )
    with pytest.raises(ProjectError, match="cannot go into a project: its training failed"):
        plan_project(workspace, color_dataset.id, [waiting.id])
    other = create_dataset(workspace, "other")
    other = add_files(
        other, [ImportedFile(("a", "x.png"), color_dataset.image_path(color_dataset.images[0]).read_bytes)]
    )
    with pytest.raises(ProjectError, match="other photos"):
        plan_project(workspace, other.id, [waiting.id])
    assert plan_project(workspace, other.id).left_out == ()
    save_project(workspace, plan, tmp_path / "images.zip")
    assert opened(Workspace(tmp_path / "there"), tmp_path / "images.zip").run_ids == ()


def test_the_size_is_estimated_and_the_same_project_gives_the_same_file(
    finished_run: FinishedRun, project_path: Path, tmp_path: Path
) -> None:
    plan = plan_project(finished_run.workspace, finished_run.dataset.id, [finished_run.run.id])
    assert plan.num_bytes == pytest.approx(project_path.stat().st_size, rel=0.5)
    progress: list[tuple[int, int]] = []
    for name in ("one.zip", "other.zip"):
        save_project(
            finished_run.workspace, plan, tmp_path / name, lambda done, total: progress.append((done, total))
        )
    assert all(0 <= done <= total for done, total in progress)
    one, other = (members_of(tmp_path / name) for name in ("one.zip", "other.zip"))
    # NumPy puts the time into its file of arrays.
    weights = f"runs/{finished_run.run.id}/weights.npz"
    assert one.keys() == other.keys()
    assert {name for name in one if one[name] != other[name]} <= {weights, "project.json"}
    manifest = json.loads(one["project.json"])
    assert (manifest["format"], manifest["version"]) == (PROJECT_FORMAT, PROJECT_VERSION)
    assert {file["name"] for file in manifest["files"]} == one.keys() - {"project.json"}
    assert not any(name.endswith(".keras") for name in one)


def test_a_disk_that_refuses_leaves_nothing_behind(
    project_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.replace
    moved = []

    def replace_all_but_runs(self: Path, target: Path) -> Path:
        if target.parent.name == "runs" and ".scratch" in str(self):
            moved.append(target)
            raise OSError(28, "No space left on device")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace_all_but_runs)
    with pytest.raises(WorkspaceError, match="No space left"):
        opened(workspace, project_path)
    assert moved
    assert (workspace.run_ids(), workspace.dataset_ids()) == ([], [])
    assert not list(workspace.trash_dir.iterdir())


def test_excluded_photos_do_not_go_in(finished_run: FinishedRun, tmp_path: Path) -> None:
    """Neither the photo nor its name or hash, and the project still opens as the same one."""
    workspace, other = Workspace(tmp_path / "one"), Workspace(tmp_path / "other")
    shutil.copytree(finished_run.dataset.folder, workspace.dataset_dir(finished_run.dataset.id))
    shutil.copytree(finished_run.folder, workspace.run_dir(finished_run.run.id))
    before = ImageDataset.load(workspace, finished_run.dataset.id)
    image = before.images_in("validation")[0]
    photo = before.image_path(image).read_bytes()
    dataset = before.without([image.id]).save()
    path = tmp_path / "project.zip"
    save_project(workspace, plan_project(workspace, dataset.id), path)
    needles = (image.id.encode(), image.name.encode(), photo)
    found = [
        name
        for name, content in members_of(path).items()
        if any(needle in content or needle in name.encode() for needle in needles)
    ]
    assert found == []
    assert opened(workspace, path).new_ids == ()
    assert not opened(other, path).is_copy
    assert len(ImageDataset.load(other, dataset.id).images) == len(before.images) - 1
    assert opened(workspace, path).new_ids == ()
