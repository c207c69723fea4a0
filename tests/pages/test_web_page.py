"""Who gets the exported web page of a run in a class."""

from __future__ import annotations

import os
import zipfile

import pytest
from starlette.requests import Request
from starlette.responses import Response

from pages.ui.server.web_page import PREFIX, serve_web_page, web_page_path
from transfer_core.classroom.facts import CLASS_VARIABLE, Classroom
from transfer_core.classroom.people import join, remove_person
from transfer_core.classroom.visitor import COOKIE, cookie_of_person, cookie_of_teacher, sign
from transfer_core.export.bundle import bundle_path
from transfer_core.file_cache import forget_files
from transfer_core.workspace import WORKSPACE_VARIABLE, Workspace, new_id

PAGE = b"<h1>It sees colours</h1>"


@pytest.fixture
def in_class(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The workspace of the server of a class."""
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(workspace.root))
    monkeypatch.setenv(CLASS_VARIABLE, "1")
    return workspace


def exported_run(workspace: Workspace) -> str:
    run_id = new_id()
    path = bundle_path(workspace.run_dir(run_id), "web")
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("colors-web-page/index.html", PAGE)
    return run_id


def get(path: str, cookie: str | None = "") -> Response:
    headers = [(b"cookie", f"{COOKIE}={cookie}".encode())] if cookie else []
    scope = {"type": "http", "method": "GET", "path": path, "headers": headers}
    return serve_web_page(Request({**scope, "path_params": {"name": path.removeprefix(f"{PREFIX}/")}}))


def test_the_id_opens_the_page_for_its_owner_and_the_teacher(in_class: Workspace) -> None:
    ada, ben = join(in_class, "Ada"), join(in_class, "Ben")
    path = f"{PREFIX}/{exported_run(in_class.person(ada.id))}"
    facts = Classroom(in_class).facts()
    assert get(path, cookie_of_person(facts, ada.id)).body == PAGE
    assert get(path, cookie_of_teacher(facts, facts.teacher_key)).body == PAGE
    for cookie in (cookie_of_person(facts, ben.id), "", "forged"):
        response = get(path, cookie)
        assert response.status_code == 404 and PAGE not in response.body


def test_the_signed_path_opens_the_page_for_everybody(in_class: Workspace) -> None:
    ada = join(in_class, "Ada")
    place = in_class.person(ada.id)
    run_id = exported_run(place)
    assert get(web_page_path(place, run_id)).body == PAGE
    teachers_run = exported_run(in_class)
    assert get(web_page_path(in_class, teachers_run)).body == PAGE
    facts = Classroom(in_class).facts()
    ben = join(in_class, "Ben")
    for token in (sign(facts, "phone", f"{ada.id}/{run_id}"), sign(facts, "try", f"{ben.id}/{run_id}"), "x"):
        assert get(f"{PREFIX}/{token}").status_code == 404


def test_the_page_ends_with_its_owner(in_class: Workspace) -> None:
    ada = join(in_class, "Ada")
    place = in_class.person(ada.id)
    path = web_page_path(place, exported_run(place))
    remove_person(in_class, ada.id)
    assert get(path).status_code == 404
    assert not place.root.exists()


def test_without_a_class_the_id_is_enough(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(workspace.root))
    run_id = exported_run(workspace)
    assert web_page_path(workspace, run_id) == f"{PREFIX}/{run_id}"
    assert get(f"{PREFIX}/{run_id}").body == PAGE


def test_what_is_deleted_for_good_does_not_remain_in_memory(in_class: Workspace) -> None:
    run_id = exported_run(in_class)
    path, address = bundle_path(in_class.run_dir(run_id), "web"), web_page_path(in_class, run_id)
    os.utime(path, (1.0, 1.0))
    assert get(address).body == PAGE
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("colors-web-page/index.html", PAGE.swapcase())
    os.utime(path, (1.0, 1.0))
    assert get(address).body == PAGE
    forget_files(in_class.root)
    assert get(address).body == PAGE.swapcase()
