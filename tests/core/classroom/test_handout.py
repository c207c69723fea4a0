"""Handing photos and models of the teacher out to pupils."""

from __future__ import annotations

import shutil

import pytest

from tests.core.conftest import FinishedRun
from transfer_core.classroom.facts import Classroom
from transfer_core.classroom.handout import HandedOut, hand_out, mark_opened, received
from transfer_core.classroom.people import Person, join
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.quota import PersonLimits
from transfer_core.inference.predictor import Predictor
from transfer_core.projects.archive import ProjectStoppedError
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace, new_id


@pytest.fixture
def server(workspace: Workspace, finished_run: FinishedRun) -> Workspace:
    """A server whose teacher has the photos and the model of the finished run."""
    shutil.copytree(finished_run.folder, workspace.run_dir(finished_run.run.id))
    shutil.copytree(finished_run.dataset.folder, workspace.dataset_dir(finished_run.dataset.id))
    return workspace


@pytest.fixture
def pupils(server: Workspace) -> list[Person]:
    return [join(server, name) for name in ("Mia", "Ben")]


def give(server: Workspace, dataset: ImageDataset, people: list[Person], **choices: bool) -> HandedOut:
    return hand_out(server, dataset.id, [person.id for person in people], **{"with_models": False, **choices})


def test_each_pupil_gets_photos_of_their_own(
    server: Workspace, pupils: list[Person], finished_run: FinishedRun
) -> None:
    dataset = finished_run.dataset
    assert give(server, dataset, pupils) == HandedOut(2, ())
    ids = [server.person(person.id).dataset_ids() for person in pupils]
    assert [len(found) for found in ids] == [1, 1]
    assert len({dataset.id, *ids[0], *ids[1]}) == 3
    copy = ImageDataset.load(server.person(pupils[0].id), ids[0][0])
    assert copy.name == f"{dataset.name} (from your teacher)"
    assert copy.images == dataset.images
    assert server.person(pupils[0].id).run_ids() == []


def test_a_copy_takes_no_space_and_is_changed_alone(
    server: Workspace, pupils: list[Person], finished_run: FinishedRun
) -> None:
    give(server, finished_run.dataset, pupils)
    own = ImageDataset.load(server, finished_run.dataset.id)
    copies = [
        ImageDataset.load(server.person(person.id), server.person(person.id).dataset_ids()[0])
        for person in pupils
    ]
    image = own.images[0]
    assert own.image_path(image).samefile(copies[0].image_path(image))
    copies[0].without([image.id]).save()
    copies[0].image_path(image).unlink()
    assert ImageDataset.load(server, own.id) == own
    assert copies[1].image_path(image).read_bytes() == own.image_path(image).read_bytes()


def test_where_the_disk_has_no_hard_links_files_are_copied(
    server: Workspace, pupils: list[Person], finished_run: FinishedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_self: object, _target: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr("pathlib.Path.hardlink_to", refuse)
    assert give(server, finished_run.dataset, pupils).num_people == 2
    copy = ImageDataset.load(server.person(pupils[0].id), server.person(pupils[0].id).dataset_ids()[0])
    assert all(copy.image_path(image).is_file() for image in copy.images)


def test_models_come_along_and_answer_the_same(
    server: Workspace, pupils: list[Person], finished_run: FinishedRun
) -> None:
    give(server, finished_run.dataset, pupils, with_models=True)
    place = server.person(pupils[1].id)
    (run_id,) = place.run_ids()
    assert run_id != finished_run.run.id
    run = TrainingRun.load(place, run_id)
    assert run.dataset_id == place.dataset_ids()[0]
    assert run.evaluation() == finished_run.run.evaluation()
    files = [finished_run.dataset.image_path(image).read_bytes() for image in finished_run.dataset.images[:3]]
    expected, found = Predictor.load(finished_run.folder), Predictor.load(run.folder)
    assert [found.predict(photo).scores for photo in files] == [
        expected.predict(photo).scores for photo in files
    ]
    # What is appended to is never shared.
    assert not (run.folder / "events.jsonl").samefile(server.run_dir(finished_run.run.id) / "events.jsonl")


def test_who_has_left_is_reported_and_the_others_get_it(
    server: Workspace, pupils: list[Person], finished_run: FinishedRun
) -> None:
    reported: list[tuple[int, int]] = []
    result = hand_out(
        server,
        finished_run.dataset.id,
        [new_id(), pupils[0].id],
        with_models=False,
        on_progress=lambda done, total: reported.append((done, total)),
    )
    assert result.num_people == 1
    assert [missed.name for missed in result.missed] == [""]
    assert "not in the class any more" in result.missed[0].reason
    assert reported == [(1, 2), (2, 2)]
    assert not server.person_ids()[2:]


def test_a_pupil_sees_what_came_until_they_open_it(
    server: Workspace, pupils: list[Person], finished_run: FinishedRun
) -> None:
    place = server.person(pupils[0].id)
    assert received(place) == []
    give(server, finished_run.dataset, pupils)
    give(server, finished_run.dataset, pupils)
    first, second = received(place)
    mark_opened(place, first.id)
    assert received(place) == [second]
    assert len(received(server.person(pupils[1].id))) == 2


def test_who_has_no_room_for_the_photos_is_reported(
    server: Workspace, pupils: list[Person], finished_run: FinishedRun
) -> None:
    Classroom(server).change(limits=PersonLimits(photos=30))
    give(server, finished_run.dataset, pupils[:1])
    result = give(server, finished_run.dataset, pupils)
    assert (result.num_people, [missed.name for missed in result.missed]) == (1, ["Mia"])
    assert result.missed[0].reason == "You may have 30 photos. Delete some before you add more."
    assert len(server.person(pupils[0].id).dataset_ids()) == 1


def test_it_can_be_stopped(server: Workspace, pupils: list[Person], finished_run: FinishedRun) -> None:
    with pytest.raises(ProjectStoppedError):
        hand_out(server, finished_run.dataset.id, [pupils[0].id], with_models=False, should_stop=lambda: True)
    assert server.person(pupils[0].id).dataset_ids() == []
