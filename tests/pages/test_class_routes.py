"""The routes of the teacher alone, and the middleware that notes who is here."""

from __future__ import annotations

import asyncio
import io
import zipfile
from pathlib import Path

import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from pages.ui.server.class_routes import (
    COLLECTED_PREFIX,
    MIDDLEWARE,
    ROUTES,
    NotesAttendance,
    attendance,
    photo_address,
)
from pages.ui.server.service import lifespan, service
from tests.asgi import ask
from transfer_core.classroom.collect import collect_projects
from transfer_core.classroom.facts import CLASS_VARIABLE, Classroom
from transfer_core.classroom.people import Person, join
from transfer_core.classroom.visitor import cookie_of_person, cookie_of_teacher
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source
from transfer_core.workspace import Workspace, new_id

APP = Starlette(routes=ROUTES, middleware=MIDDLEWARE)


@pytest.fixture(autouse=True)
def class_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CLASS_VARIABLE, "1")


@pytest.fixture
def mia(page_workspace: Workspace) -> Person:
    return join(page_workspace, "Mia")


@pytest.fixture
def photos(page_workspace: Workspace, mia: Person, image_folder: Path) -> ImageDataset:
    return add_files(create_dataset(page_workspace.person(mia.id), "colors"), folder_source(image_folder))


@pytest.fixture
def teacher(page_workspace: Workspace) -> str:
    facts = Classroom(page_workspace).facts()
    return str(cookie_of_teacher(facts, facts.teacher_key))


@pytest.fixture
def pupil(page_workspace: Workspace, mia: Person) -> str:
    return cookie_of_person(Classroom(page_workspace).facts(), mia.id)


def test_only_the_teacher_gets_small_copies_of_photos(
    page_workspace: Workspace, mia: Person, photos: ImageDataset, teacher: str, pupil: str
) -> None:
    image = photos.images[0]
    address = photo_address(mia.id, photos.id, image.id)
    answer = ask(APP, address, teacher)
    assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")
    assert max(Image.open(io.BytesIO(answer.body)).size) <= 96
    assert [ask(APP, address, cookie).status for cookie in ("", pupil, "forged")] == [403, 403, 403]
    other = join(page_workspace, "Ben")
    for wrong in (
        photo_address(other.id, photos.id, image.id),
        photo_address(mia.id, new_id(), image.id),
        photo_address(mia.id, photos.id, "0" * 32),
        photo_address(mia.id, photos.id, image.id, 4_000),
        photo_address("..", photos.id, image.id),
    ):
        assert ask(APP, wrong, teacher).status == 404


def test_a_deleted_photo_is_served_no_more(mia: Person, photos: ImageDataset, teacher: str) -> None:
    image = photos.images[0]
    address = photo_address(mia.id, photos.id, image.id)
    assert ask(APP, address, teacher).status == 200
    photos.image_path(image).unlink()
    assert ask(APP, address, teacher).status == 404


@pytest.mark.usefixtures("photos")
def test_only_the_teacher_gets_the_collected_projects(
    page_workspace: Workspace, teacher: str, pupil: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"{COLLECTED_PREFIX}/{collect_projects(page_workspace).id}"
    answer = ask(APP, address, teacher)
    assert answer.status == 200
    assert zipfile.ZipFile(io.BytesIO(answer.body)).namelist() == ["01 Mia/colors.project.zip"]
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["cache-control"] == "no-store"
    assert [ask(APP, address, cookie).status for cookie in ("", pupil)] == [403, 403]
    assert ask(APP, f"{COLLECTED_PREFIX}/{new_id()}", teacher).status == 404
    assert ask(APP, f"{COLLECTED_PREFIX}/..%2Fclass", teacher).status == 404
    monkeypatch.delenv(CLASS_VARIABLE)
    assert ask(APP, address).status == 403


def test_a_class_whose_days_are_over_is_forgotten_before_anyone_is_let_in(
    page_workspace: Workspace, mia: Person
) -> None:
    before = Classroom(page_workspace).change(days_kept=1, created_at=1.0)

    async def start() -> None:
        async with lifespan(None):
            assert Classroom(page_workspace).facts().secret != before.secret

    asyncio.run(start())
    (task,) = service().queue.tasks("removing")
    assert task.wait(60)
    assert not page_workspace.person(mia.id).root.exists()


def test_a_pupil_is_here_while_a_page_of_theirs_is_open(mia: Person, teacher: str, pupil: str) -> None:
    seen: list[bool] = []

    async def page(_scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(attendance.is_here(mia.id))

    app = NotesAttendance(page)
    ask(app, "/_stcore/stream", pupil, is_websocket=True)
    ask(app, "/_stcore/stream", teacher, is_websocket=True)
    ask(app, "/", pupil)
    assert seen == [True, False, False]
    assert attendance.last_seen(mia.id) is not None
