"""What was left half made is deleted; what is being made, or was ever whole, stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT
from transfer_core.cli.options import open_workspace
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import collect_files, create_dataset
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.locks import hold
from transfer_core.runs.leftovers import remove_leftovers
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace, new_id

PATIENCE = 60  # seconds until a test gives up; nothing waits that long
AN_ID = "20261122-140512-0123456789abcdef"
HALF_AN_HOUR, TWO_DAYS, EIGHT_DAYS = 30 * 60, 2 * 24 * 60 * 60, 8 * 24 * 60 * 60
# Says so when it is half-way, and waits to be killed.
HALF_WAY = """
import sys
from pathlib import Path
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source
from transfer_core.workspace import Workspace

workspace = Workspace(Path(sys.argv[1]))

def stop_half_way(done, total):
    if done == 3:
        print("half-way", flush=True)
        sys.stdin.read()

with workspace.scratch_folder() as scratch:
    (scratch / "model.bin").write_bytes(b"half")
    add_files(create_dataset(workspace, "Killed"), folder_source(Path(sys.argv[2])), progress=stop_half_way)
"""


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def written(path: Path, seconds_ago: float = 0.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"half")
    os.utime(path, (time.time() - seconds_ago,) * 2)
    return path


def test_an_ingest_that_is_killed_leaves_nothing_after_the_next_start(
    workspace: Workspace, image_folder: Path
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HALF_WAY, str(workspace.root), str(image_folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"half-way\n"
    # Its other threads are still writing beside these.
    half_way = {name for name in files_below(workspace.root) if not Path(name).name.startswith(".")}
    assert sum(name.endswith(".jpg") for name in half_way) >= 3
    remove_leftovers(workspace)
    assert files_below(workspace.root) >= half_way
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    assert files_below(workspace.root) >= half_way
    open_workspace(workspace.root)
    assert files_below(workspace.root) == set()
    assert [path.name for path in workspace.datasets_dir.iterdir()] == []
    assert list(workspace.trash_dir.iterdir()) == []


def test_photos_that_are_not_saved_yet_stay(workspace: Workspace, make_image) -> None:
    files = [
        ImportedFile(("cat", f"{seed}.png"), lambda seed=seed: make_image(seed=seed)) for seed in range(2)
    ]
    collected = collect_files(create_dataset(workspace, "Cats"), files)
    remove_leftovers(workspace)
    saved = collected.save()
    remove_leftovers(workspace)
    assert ImageDataset.load(workspace, saved.id) == saved
    assert all(saved.image_path(image).is_file() for image in saved.images)
    # A dataset that lost its facts is no leftover: a person may bring them back.
    (saved.folder / "dataset.json").rename(workspace.root / "elsewhere.json")
    remove_leftovers(workspace)
    assert all(saved.image_path(image).is_file() for image in saved.images)


def test_photos_to_test_a_run_that_were_never_saved_go(
    workspace: Workspace, color_dataset: ImageDataset
) -> None:
    run = TrainingRun.create(workspace, color_dataset, TrainingConfig())
    photos = run.folder / "new_photos" / "datasets" / new_id()
    written(photos / "images" / "a.jpg")
    lock = hold(photos)
    assert lock is not None
    remove_leftovers(workspace)
    assert (photos / "images" / "a.jpg").exists()
    lock.release()
    remove_leftovers(workspace)
    assert not photos.exists()
    assert TrainingRun.load(workspace, run.id) == run


@pytest.mark.parametrize("name", ["events.jsonl", "model.keras", "config.json"])
def test_only_a_run_that_never_began_goes(workspace: Workspace, name: str) -> None:
    never_began, lost_a_file = workspace.run_dir(new_id()), workspace.run_dir(new_id())
    written(never_began / "sweep.json")
    written(lost_a_file / name)
    lock = hold(never_began)
    assert lock is not None
    remove_leftovers(workspace)
    assert never_began.exists()
    lock.release()
    remove_leftovers(workspace)
    assert not never_began.exists()
    assert (lost_a_file / name).exists()


@pytest.mark.parametrize(
    "name",
    [
        f"datasets/{AN_ID}/.dataset-0a1b2c3d.json",
        f"datasets/{AN_ID}/images/.photo-0a1b2c3d.jpg",
        f"runs/{AN_ID}/exports/.bundle-0a1b2c3d.zip",
        f"sources/.{AN_ID}/weights.npz",
        "cache/projects/.colours-0a1b2c3d.zip",
        "runtimes/tmp0a1b2c3d/archive.tgz",
    ],
)
def test_temporary_files_go_when_they_are_old(workspace: Workspace, name: str) -> None:
    path = written(workspace.root / name, HALF_AN_HOUR)
    if path.parent.parent.name == "runs" or path.parent.name == "exports":
        written(workspace.root.joinpath(*Path(name).parts[:2]) / "config.json")
    remove_leftovers(workspace)
    assert path.exists()
    for part in (path, path.parent):
        os.utime(part, (time.time() - TWO_DAYS,) * 2)
    remove_leftovers(workspace)
    assert not path.exists()


def test_the_trash_and_saved_projects_are_kept_for_a_week(workspace: Workspace) -> None:
    for seconds, is_kept in ((TWO_DAYS, True), (EIGHT_DAYS, False)):
        project = written(workspace.root / "cache" / "projects" / "colours.zip", seconds)
        deleted = written(workspace.root / "trash" / new_id() / "config.json").parent
        os.utime(deleted, (time.time() - seconds,) * 2)
        remove_leftovers(workspace)
        assert (project.exists(), deleted.exists()) == (is_kept, is_kept)


def test_a_start_makes_no_folders_and_leaves_foreign_ones(tmp_path: Path) -> None:
    remove_leftovers(Workspace(tmp_path / "nowhere"))
    assert list(tmp_path.iterdir()) == []
    foreign = [
        written(tmp_path / "runs" / "mine" / "a.txt"),
        written(tmp_path / "datasets" / "mine" / "lock"),
    ]
    remove_leftovers(Workspace(tmp_path))
    assert all(path.exists() for path in foreign)


def test_what_cannot_be_deleted_is_no_reason_not_to_start(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    half_made = workspace.run_dir(new_id())
    written(half_made / "sweep.json")

    def refuse(*_arguments: object) -> None:
        raise OSError("refused")

    monkeypatch.setattr("transfer_core.runs.leftovers.hold", refuse)
    assert open_workspace(workspace.root) == workspace
    assert half_made.exists()
