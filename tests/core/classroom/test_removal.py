"""Deleting for good: pupils, and all of a class, now or after its days."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

import transfer_core.classroom.removal
import transfer_core.work.service
from transfer_core.classroom.collect import collect_projects
from transfer_core.classroom.facts import CLASS_VARIABLE, TEACHER_LINK_FILE, Classroom
from transfer_core.classroom.people import Person, join, people
from transfer_core.classroom.removal import (
    forget_class,
    forget_expired,
    remove_leftover_people,
    remove_people,
    remove_photos_task,
)
from transfer_core.classroom.visitor import COOKIE, cookie_of_person, cookie_of_teacher, visitor_of
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source
from transfer_core.runs.deletion import delete_everything, delete_for_good, delete_photos_for_good
from transfer_core.work.service import Service
from transfer_core.workspace import Workspace


@pytest.fixture(autouse=True)
def class_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CLASS_VARIABLE, "1")


class Patience:
    """A training that goes on until it is stopped."""

    def __init__(self) -> None:
        self.has_begun = threading.Event()

    def __call__(self, _workspace: object, _run: object, _emit: object, should_stop) -> None:
        self.has_begun.set()
        while not should_stop():
            pass


@pytest.fixture
def training() -> Patience:
    return Patience()


@pytest.fixture
def service(workspace: Workspace, training: Patience, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setattr(transfer_core.work.service, "chosen_executor", lambda *_names: training)
    made = Service(workspace)
    yield made
    for task in made.queue.tasks("training"):
        task.request_stop()


@pytest.fixture
def pupils(workspace: Workspace, image_folder) -> list[Person]:
    found = [join(workspace, name) for name in ("Mia", "Ben")]
    for person in found:
        add_files(create_dataset(workspace.person(person.id), "colors"), folder_source(image_folder))
    return found


def names_on_disk(workspace: Workspace) -> str:
    return "\n".join(str(path) for path in workspace.root.rglob("*"))


def test_nothing_of_a_removed_pupil_is_on_the_disk(
    service: Service, pupils: list[Person], training: Patience
) -> None:
    mia, ben = pupils
    workspace = service.workspace
    place = workspace.person(mia.id)
    dataset = ImageDataset.load(place, place.dataset_ids()[0])
    mine = {image.id for image in dataset.images}
    running, waiting = (
        service.trainings(place).submit(dataset, TrainingConfig(backbone="tiny_random")) for _ in "ab"
    )
    assert training.has_begun.wait(60)
    collect_projects(workspace)
    reported: list[tuple[int, int]] = []

    remove_people(service, [mia.id], lambda done, total: reported.append((done, total)))

    assert [person.name for person in people(workspace)] == ["Ben"]
    found = names_on_disk(workspace)
    assert not any(name in found for name in (mia.id, dataset.id, running, waiting, ".zip"))
    # The other pupil has the same photos.
    assert mine <= {path.stem for path in workspace.person(ben.id).root.rglob("*.jpg")}
    assert service.queue.tasks_of(mia.id) == []
    assert reported == [(1, 1)]


def test_projects_that_are_collected_during_a_removal_are_deleted(
    service: Service, pupils: list[Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = transfer_core.classroom.removal.remove_person

    def remove_after_collecting(server: Workspace, person_id: str) -> None:
        collect_projects(server)
        remove(server, person_id)

    monkeypatch.setattr(transfer_core.classroom.removal, "remove_person", remove_after_collecting)
    remove_people(service, [pupils[0].id])
    assert not list(service.workspace.root.rglob("*.zip"))


@pytest.mark.parametrize("what", ["photos", "dataset", "everything"])
def test_what_a_pupil_deletes_for_good_is_in_no_collected_project(
    service: Service, pupils: list[Person], what: str
) -> None:
    place = service.workspace.person(pupils[0].id)
    dataset = ImageDataset.load(place, place.dataset_ids()[0])
    collect_projects(service.workspace)
    if what == "photos":
        delete_photos_for_good(place, dataset.id, [dataset.images[0].id])
    elif what == "dataset":
        delete_for_good(place, "dataset", dataset.id)
    else:
        delete_everything(place)
    assert not list(service.workspace.root.rglob("*.zip"))


def test_photos_of_a_pupil_are_deleted_for_good(service: Service, pupils: list[Person]) -> None:
    place = service.workspace.person(pupils[0].id)
    dataset = ImageDataset.load(place, place.dataset_ids()[0])
    collect_projects(service.workspace)
    ids = [image.id for image in dataset.images[:2]]
    task = service.queue.start(remove_photos_task(service.workspace, pupils[0].id, dataset.id, ids))
    assert task.wait(60) and task.result == 2, task.problem
    assert not any(image_id in str(path) for path in place.root.rglob("*") for image_id in ids)
    assert len(ImageDataset.load(place, dataset.id).images) == len(dataset.images) - 2
    assert not list(service.workspace.root.rglob("*.zip"))


def test_forgetting_a_class_locks_everyone_out_and_deletes_them(
    service: Service, pupils: list[Person], image_folder
) -> None:
    workspace = service.workspace
    own = add_files(create_dataset(workspace, "own"), folder_source(image_folder))
    before = Classroom(workspace).change(days_kept=3)
    link = workspace.root / TEACHER_LINK_FILE
    link.write_text(f"http://localhost/teacher/{before.teacher_key}\n")
    teacher, pupil = cookie_of_teacher(before, before.teacher_key), cookie_of_person(before, pupils[0].id)
    assert visitor_of(workspace, {COOKIE: str(teacher)}) and visitor_of(workspace, {COOKIE: pupil})
    damaged = workspace.person(pupils[1].id).root / "person.json"
    damaged.write_text("{")

    task = service.queue.start(forget_class(service))

    assert visitor_of(workspace, {COOKIE: str(teacher)}) is None
    assert visitor_of(workspace, {COOKIE: pupil}) is None
    assert task.wait(60) and not task.problem
    after = Classroom(workspace).facts()
    assert {before.code, before.secret, before.teacher_key}.isdisjoint(
        {after.code, after.secret, after.teacher_key}
    )
    assert after.days_kept == 3
    assert link.read_text() == f"http://localhost/teacher/{after.teacher_key}\n"
    assert not list((workspace.root / "people").iterdir())
    assert ImageDataset.load(workspace, own.id) == own


def test_a_class_is_forgotten_after_its_days(service: Service, pupils: list[Person]) -> None:
    classroom = Classroom(service.workspace)
    begun = classroom.facts().created_at
    assert forget_expired(service, begun + 1000 * 86_400) is None
    classroom.change(days_kept=2)
    assert forget_expired(service, begun + 2 * 86_400 - 1) is None
    assert len(people(service.workspace)) == len(pupils)
    task = forget_expired(service, begun + 2 * 86_400)
    assert task and task.wait(60)
    assert people(service.workspace) == []


def test_what_was_written_after_a_removal_is_deleted_later(service: Service, pupils: list[Person]) -> None:
    assert remove_leftover_people(service) is None
    place = service.workspace.person(pupils[0].id)
    (place.root / "person.json").unlink()
    assert remove_leftover_people(service) is None
    os.utime(place.root, (1, 1))
    task = remove_leftover_people(service)
    assert task and task.wait(60)
    assert not place.root.exists()
    assert service.workspace.person(pupils[1].id).root.exists()


def test_a_new_code_leaves_everyone_in_the_class(service: Service, pupils: list[Person]) -> None:
    classroom = Classroom(service.workspace)
    before = classroom.facts()
    after = classroom.change_code()
    assert before.code != after.code and len(after.code) == 6
    assert visitor_of(service.workspace, {COOKIE: cookie_of_person(after, pupils[0].id)})
    assert before.secret == after.secret
