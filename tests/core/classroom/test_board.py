"""The facts on the teacher's board: photos, trainings and models."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.core.conftest import FinishedRun
from transfer_core.classroom.board import card_of, photo_path, queued_trainings
from transfer_core.classroom.people import Person, join
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source
from transfer_core.work.queue import WorkQueue
from transfer_core.work.trainings import Trainings
from transfer_core.workspace import Workspace


@pytest.fixture
def server(workspace: Workspace) -> Workspace:
    return workspace


@pytest.fixture
def mia(server: Workspace) -> Person:
    return join(server, "Mia")


@pytest.fixture
def photos(server: Workspace, mia: Person, image_folder) -> ImageDataset:
    return add_files(create_dataset(server.person(mia.id), "colors"), folder_source(image_folder))


def test_a_pupil_without_photos_has_an_empty_card(server: Workspace, mia: Person) -> None:
    card = card_of(server, mia)
    assert (card.num_photos, card.dataset, card.training, card.model) == (0, None, None, None)
    assert card.newest_photos(4) == []


def test_a_card_shows_the_photo_set_that_was_changed_last(
    server: Workspace, mia: Person, photos: ImageDataset, image_folder
) -> None:
    other = add_files(create_dataset(server.person(mia.id), "more"), folder_source(image_folder))
    assert card_of(server, mia).dataset == other
    os.utime(other.folder / "dataset.json", (1, 1))
    card = card_of(server, mia)
    assert card.dataset == photos
    assert card.num_photos == 48
    assert card.newest_photos(2) == [photos.images[-1], photos.images[-2]]


def test_a_card_shows_the_training_that_comes_next_and_the_newest_model(
    server: Workspace, mia: Person, finished_run: FinishedRun
) -> None:
    place = server.person(mia.id)
    shutil.copytree(finished_run.folder, place.run_dir(finished_run.run.id))
    shutil.copytree(finished_run.dataset.folder, place.dataset_dir(finished_run.dataset.id))
    card = card_of(server, mia)
    assert card.model is not None and card.model.evaluation == finished_run.run.evaluation()
    wrong = [one for one in card.model.evaluation.outcomes if not one.is_right]
    assert {image.id for image in card.model.mistakes(99)} == {one.image_id for one in wrong}
    assert card.dataset is not None and card.training is None

    queue = WorkQueue(lambda _work: None)
    trainings = Trainings(place, lambda *_arguments: None, queue)
    first, second = (trainings.submit(card.dataset, TrainingConfig(backbone="tiny_random")) for _ in "ab")
    card = card_of(server, mia)
    assert card.training is not None and card.training.status == "queued"
    assert card.training.run.id in (first, second)
    assert card.model is not None and card.model.run.id == finished_run.run.id
    assert [task.live.run.id for task in queued_trainings(queue)] == [first, second]
    assert {task.owner for task in queued_trainings(queue)} == {mia.id}
    for run_id in (first, second):
        trainings.request_stop(run_id)


def test_a_damaged_photo_set_hides_no_other(server: Workspace, mia: Person, photos: ImageDataset) -> None:
    broken = create_dataset(server.person(mia.id), "broken")
    broken.folder.mkdir(exist_ok=True)
    (broken.folder / "dataset.json").write_text("{")
    assert card_of(server, mia).dataset == photos


def test_only_photos_of_the_named_pupil_have_a_path(
    server: Workspace, mia: Person, photos: ImageDataset
) -> None:
    image = photos.images[0]
    assert photo_path(server, mia.id, photos.id, image.id) == photos.image_path(image)
    ben = join(server, "Ben")
    assert photo_path(server, ben.id, photos.id, image.id) is None
    assert photo_path(server, mia.id, "../../x", image.id) is None
    assert photo_path(server, "..", photos.id, image.id) is None
    assert photo_path(server, mia.id, photos.id, "0" * 32) is None
