"""Limits of a pupil: at each way that photos come in, and for nobody outside of a class."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from transfer_core.backbones.own.exchange import import_source
from transfer_core.classroom.facts import Classroom
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.quota import PersonLimits, check_photos, check_runs, check_waiting, limits_of
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.errors import IngestError, TrainingError
from transfer_core.files import remove
from transfer_core.projects.open import open_project
from transfer_core.projects.plan import plan_project
from transfer_core.projects.save import save_project
from transfer_core.runs.own_models import make_source
from transfer_core.runs.training_run import TrainingRun
from transfer_core.runs.unlabelled import add_unlabelled
from transfer_core.training.train import MODEL_FILE
from transfer_core.work.tasks import export_task, save_project_task
from transfer_core.workspace import Workspace, new_id

FULL = r"You may have 5 photos\. Delete some before you add more\."


@pytest.fixture
def server(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "server")


@pytest.fixture
def pupil(server: Workspace) -> Workspace:
    Classroom(server).change(limits=PersonLimits(photos=5, megabytes=1, runs=2, waiting=1))
    return server.person(new_id())


def photos(count: int, first: int = 0) -> list[ImportedFile]:
    return [photo(number) for number in range(first, first + count)]


def photo(number: int) -> ImportedFile:
    pixels = np.random.default_rng(number).integers(0, 255, (32, 32, 3), np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return ImportedFile((f"{number}.png",), content.getvalue)


def add(workspace: Workspace, count: int, first: int = 0) -> ImageDataset:
    dataset = create_dataset(workspace, "Mine")
    half = add_files(dataset, photos(count // 2, first), class_name="red")
    return add_files(half, photos(count - count // 2, first + 100), class_name="blue")


def test_photos_of_all_sets_count_and_nothing_of_the_rest_is_stored(pupil) -> None:
    add(pupil, 4)
    with pytest.raises(IngestError, match=FULL):
        add_files(create_dataset(pupil, "Others"), photos(2, 200), class_name="green")
    assert len(pupil.dataset_ids()) == 1
    assert len(add_files(create_dataset(pupil, "Others"), photos(1, 200), class_name="green").images) == 1


def test_photos_without_labels_count_too(pupil) -> None:
    dataset = add(pupil, 4)
    with pytest.raises(IngestError, match=FULL):
        add_unlabelled(dataset, photos(2, 200))
    add_unlabelled(dataset, photos(1, 200))
    with pytest.raises(IngestError, match=FULL):
        add_files(dataset, photos(1, 300), class_name="red")


def test_deleted_photos_make_room_at_once(pupil) -> None:
    dataset = add(pupil, 5)
    with pytest.raises(IngestError):
        check_photos(pupil, 1)
    remove(dataset.folder)
    check_photos(pupil, 5)


def test_other_people_and_the_teacher_have_their_own_room(server, pupil) -> None:
    add(pupil, 5)
    other = server.person(new_id())
    assert len(add(other, 5).images) == 5
    assert len(add(server, 12).images) == 12


def test_without_a_class_nothing_is_limited(tmp_path) -> None:
    workspace = Workspace(tmp_path / "people" / "anna")
    assert workspace.owner == ""
    check_photos(workspace, 10**9, 10**15)
    check_runs(workspace, 10**9)
    check_waiting(workspace, 10**9)


def test_pupil_of_a_class_without_settings_has_the_usual_limits(server) -> None:
    pupil = server.person(new_id())
    check_photos(pupil, PersonLimits().photos)
    with pytest.raises(IngestError):
        check_photos(pupil, PersonLimits().photos + 1)


def test_full_part_of_the_disk_refuses_photos_and_trainings(pupil) -> None:
    (pupil.cache_dir / "features").write_bytes(bytes(1024**2 + 1))
    for check in (lambda: check_photos(pupil, 1), lambda: check_runs(pupil)):
        with pytest.raises((IngestError, TrainingError), match=r"Your part of the disk is full"):
            check()


def test_full_part_of_the_disk_refuses_exports_projects_and_own_models(server, pupil, tmp_path) -> None:
    dataset = add(pupil, 4)
    run = TrainingRun.create(pupil, dataset, TrainingConfig(backbone="tiny_random"))
    (run.folder / MODEL_FILE).touch()
    (pupil.cache_dir / "features").write_bytes(bytes(1024**2 + 1))
    tasks = (
        export_task(pupil, run, "keras"),
        save_project_task(pupil, plan_project(pupil, dataset.id), tmp_path / "a.zip"),
    )
    for task in tasks:
        while not task.run_part():
            pass
        assert task.problem.startswith("Your part of the disk is full")
    with pytest.raises(IngestError, match=r"Your part of the disk is full"):
        import_source(pupil, io.BytesIO())
    with pytest.raises(IngestError, match=r"Your part of the disk is full"):
        make_source(pupil, run.id)


def test_size_of_what_comes_in_counts_before_it_is_stored(pupil) -> None:
    check_photos(pupil, 1, 1024**2)
    with pytest.raises(IngestError, match=r"Your part of the disk is full\. Delete photos or models"):
        check_photos(pupil, 1, 1024**2 + 1)


def test_models_are_limited(pupil) -> None:
    for _number in range(2):
        check_runs(pupil)
        folder = pupil.run_dir(new_id())
        folder.mkdir()
        (folder / "config.json").write_text("{}")
    with pytest.raises(TrainingError, match=r"You may have 2 models\. Delete some before you train more\."):
        check_runs(pupil)


def test_waiting_trainings_are_limited(pupil) -> None:
    check_waiting(pupil, 0)
    with pytest.raises(TrainingError, match=r"Only 1 of your trainings may wait\. Start this one later\."):
        check_waiting(pupil, 1)


def test_project_with_more_photos_than_there_is_room_for_is_not_opened(server, pupil, tmp_path) -> None:
    dataset = add(server, 6)
    path = tmp_path / "project.zip"
    save_project(server, plan_project(server, dataset.id), path)
    with path.open("rb") as content, pytest.raises(IngestError, match=FULL):
        open_project(pupil, content)
    assert pupil.dataset_ids() == []
    Classroom(server).change(limits=PersonLimits(photos=6))
    with path.open("rb") as content:
        open_project(pupil, content)
    with pytest.raises(IngestError, match="6 photos"):
        check_photos(pupil, 1)
    with path.open("rb") as content:
        open_project(pupil, content)  # all of it is there already


def test_damaged_limits_are_the_usual_ones(server, pupil) -> None:
    facts = json.loads((server.root / "class.json").read_text())
    (server.root / "class.json").write_text(json.dumps({**facts, "limits": {"photos": -1}}))
    check_photos(pupil, PersonLimits().photos)
    assert limits_of(pupil) == PersonLimits()


@pytest.fixture
def count_walks(monkeypatch) -> Callable[[], int]:
    import os

    walks: list[str] = []
    walk = os.walk
    monkeypatch.setattr(
        "transfer_core.data.quota.os.walk", lambda *roots: walks.append(str(roots)) or walk(*roots)
    )
    return lambda: len(walks)


def test_disk_is_not_measured_at_every_photo(pupil, count_walks) -> None:
    for _number in range(5):
        check_photos(pupil, 1)
    assert count_walks() == 1
