"""Nobody in a class reaches what is another's: each try against a real server, without a browser."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from streamlit.proto.BackMsg_pb2 import BackMsg
from websockets.exceptions import InvalidStatus

from pages.ui.server.class_routes import photo_address
from tests.e2e.conftest import Server, join_class, settle
from tests.e2e.protocol import Visit
from transfer_core.classroom.facts import Classroom
from transfer_core.classroom.people import join, remove_person
from transfer_core.classroom.visitor import COOKIE, cookie_of_person, cookie_of_teacher
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace

NAME_OF_PHOTOS = "Secret garden"


@dataclass(frozen=True)
class Pupil:
    """A pupil with photos and a run, and the cookie of them."""

    id: str
    workspace: Workspace
    cookie: str
    dataset: ImageDataset
    run: TrainingRun

    def files(self) -> dict[str, int]:
        """What is on their disk, with the time of the last change."""
        folders = (self.workspace.datasets_dir, self.workspace.runs_dir)
        return {
            str(path): path.stat().st_mtime_ns
            for folder in folders
            for path in folder.rglob("*")
            if path.is_file() and path.suffix != ".lock"
        }


@pytest.fixture
def pupil(class_server: Server, image_folder: Path) -> Callable[[str], Pupil]:
    def come(name: str) -> Pupil:
        server = class_server.workspace
        person = join(server, name)
        place = server.person(person.id)
        dataset = add_files(create_dataset(place, NAME_OF_PHOTOS), folder_source(image_folder))
        run = TrainingRun.create(place, dataset, TrainingConfig())
        cookie = cookie_of_person(Classroom(server).facts(), person.id)
        return Pupil(person.id, place, cookie, dataset, run)

    return come


@pytest.fixture
def anna(pupil: Callable[[str], Pupil]) -> Pupil:
    return pupil("Anna")


@pytest.fixture
def ben_cookie(class_server: Server) -> str:
    """Of a pupil who has nothing yet."""
    person = join(class_server.workspace, "Ben")
    return cookie_of_person(Classroom(class_server.workspace).facts(), person.id)


def status(server: Server, path: str, cookie: str = "", method: str = "GET", **headers: str) -> int:
    """Return the status of a request."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    given = {"Cookie": f"{COOKIE}={cookie}"} if cookie else {}
    try:
        connection.request(method, path, headers={**given, **headers})
        return connection.getresponse().status
    finally:
        connection.close()


def strangers(server: Server, anna: Pupil, ben_cookie: str) -> dict[str, str]:
    """Cookies that are not Anna's."""
    return {"nobody": "", "ben": ben_cookie, "forged": f"{anna.cookie[:-2]}xx"}


def ids_of(pupil: Pupil) -> str:
    run, images = pupil.run.id, pupil.dataset.id
    return f"images={images}&run={run}&pick={run}&compare={run}"


@pytest.mark.parametrize(
    "page_name", ["", "Images", "Train", "Results", "Test", "Export", "Compare", "Projects"]
)
def test_address_with_the_ids_of_another_one_shows_nothing_of_theirs(
    class_server: Server, anna: Pupil, ben_cookie: str, page_name: str
) -> None:
    with Visit(class_server, anna.cookie) as visit:
        visit.draw(page_name, ids_of(anna))
        assert anna.dataset.id in visit.text
    with Visit(class_server, ben_cookie) as visit:
        visit.draw(page_name, ids_of(anna))
        assert NAME_OF_PHOTOS not in visit.text
        assert anna.dataset.id not in visit.text and anna.run.id not in visit.text


def test_widgets_of_another_one_do_nothing(class_server: Server, anna: Pupil, ben_cookie: str) -> None:
    before = anna.files()
    for page_name in ("Images", "Train", "Compare", "Projects"):
        with Visit(class_server, anna.cookie) as visit:
            visit.draw(page_name, ids_of(anna))
            buttons = tuple(button.id for button in visit.elements_of("button"))
        assert buttons
        with Visit(class_server, ben_cookie) as visit:
            visit.draw(page_name, ids_of(anna), pressed=buttons)
            assert NAME_OF_PHOTOS not in visit.text
    assert anna.files() == before


def test_project_file_is_given_to_its_owner_alone(class_server: Server, anna: Pupil, ben_cookie: str) -> None:
    request = BackMsg()
    with Visit(class_server, anna.cookie) as visit:
        visit.draw("Projects", ids_of(anna))
        (create,) = (one.id for one in visit.elements_of("button") if one.label == "Create the file")
        visit.draw("Projects", ids_of(anna), pressed=(create,))
        path = ""
        while not path:
            visit.draw("Projects", ids_of(anna))
            for offered in visit.elements_of("download_button"):
                request.backend_operation_request.deferred_file.file_id = offered.deferred_file_id
                request.backend_operation_request.session_id = visit.session_id
                visit.send(request)
                answer = visit.wait_for("backend_operation_response").backend_operation_response
                path = answer.deferred_file.url
        assert path.startswith("/media/") and status(class_server, path, anna.cookie) == 200
        for who, cookie in strangers(class_server, anna, ben_cookie).items():
            assert status(class_server, path, cookie) == 403, who


def test_upload_goes_to_its_owner_alone(class_server: Server, anna: Pupil, ben_cookie: str) -> None:
    request = BackMsg()
    request.file_urls_request.file_names.append("photo.png")
    with Visit(class_server, anna.cookie) as visit:
        visit.draw("Images")
        visit.send(request)
        path = visit.wait_for("file_urls_response").file_urls_response.file_urls[0].upload_url
        for method in ("PUT", "DELETE"):
            for who, cookie in strangers(class_server, anna, ben_cookie).items():
                assert status(class_server, path, cookie, method) == 403, who
        # It gets as far as Streamlit, which finds no file in it, or no token against forged requests.
        message = status(class_server, path, anna.cookie, "OPTIONS")
        assert message == 204


def test_session_of_another_one_cannot_be_taken_over(
    class_server: Server, anna: Pupil, ben_cookie: str
) -> None:
    with Visit(class_server, anna.cookie) as visit:
        visit.draw("Images", ids_of(anna))
        with Visit(class_server, ben_cookie, visit.session_id) as other:
            other.draw("Images")
            assert other.session_id != visit.session_id
            assert NAME_OF_PHOTOS not in other.text
        visit.draw("Images")
        assert NAME_OF_PHOTOS in visit.text
        number = visit.session_id
    with Visit(class_server, anna.cookie, number) as visit:
        visit.draw("Images")
        assert visit.session_id == number


def test_own_routes_for_the_teacher_refuse_pupils(class_server: Server, anna: Pupil, ben_cookie: str) -> None:
    path = photo_address(anna.id, anna.dataset.id, anna.dataset.images[0].id)
    facts = Classroom(class_server.workspace).facts()
    assert status(class_server, path, cookie_of_teacher(facts, facts.teacher_key) or "") == 200
    assert status(class_server, path, anna.cookie) == 403
    assert status(class_server, path, ben_cookie) == 403
    assert status(class_server, path) == 303
    assert status(class_server, path, "forged") == 303


def test_websocket_is_for_the_class_alone(class_server: Server, anna: Pupil) -> None:
    for cookie in ("", "forged", f"{anna.cookie}x"):
        with pytest.raises(InvalidStatus, match="403"):
            Visit(class_server, cookie)
    remove_person(class_server.workspace, anna.id)
    with pytest.raises(InvalidStatus, match="403"):
        Visit(class_server, anna.cookie)


def test_who_is_removed_or_locked_out_reads_a_sentence_and_does_nothing_more(
    class_server: Server, anna: Pupil
) -> None:
    classroom = Classroom(class_server.workspace)
    with Visit(class_server, anna.cookie) as visit:
        visit.draw("Images", ids_of(anna))
        try:
            classroom.change(is_open=False)
            visit.draw("Images")
            assert "The class is closed" in visit.text and NAME_OF_PHOTOS not in visit.text
        finally:
            classroom.change(is_open=True)
        remove_person(class_server.workspace, anna.id)
        visit.draw("Images")
        assert "not in the class any more" in visit.text and "/join" in visit.text


def test_exported_page_of_a_pupil_is_not_under_the_address_of_the_server(
    class_server: Server, anna: Pupil
) -> None:
    assert status(class_server, f"/try/{anna.run.id}", anna.cookie) == 404


def test_foreign_host_and_foreign_page_are_refused_by_the_server(class_server: Server, anna: Pupil) -> None:
    assert status(class_server, "/", anna.cookie, Host="evil.example") == 400
    assert status(class_server, "/leave", anna.cookie, "POST", Origin="https://evil.example") == 403
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    stream = "/_stcore/stream"
    assert status(class_server, stream, anna.cookie, Origin="https://evil.example", **upgrade, **key) == 403
    assert status(class_server, stream, anna.cookie, Host="evil.example", **upgrade, **key) == 400


@pytest.mark.browser
def test_pupil_joins_and_comes_back_after_a_restart(class_server: Server, browser: Browser) -> None:
    context = browser.new_context(base_url=class_server.url, viewport={"width": 1280, "height": 900})
    page: Page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda one: complaints.append(one.text) if one.type == "error" else None)
    page.goto("/Images")
    join_class(page, Classroom(class_server.workspace).facts().code.lower(), "*Mia*")
    expect(page.get_by_test_id("stSidebar").get_by_text("*Mia*", exact=True)).to_be_visible()
    class_server.stop()
    class_server.start()
    page.reload()
    settle(page)
    expect(page.get_by_test_id("stSidebar").get_by_text("*Mia*", exact=True)).to_be_visible()
    page.get_by_role("link", name="Leave").click()
    page.get_by_role("button", name="Leave").click()
    expect(page.get_by_role("heading", name="Join the class")).to_be_visible()
    assert not [text for text in complaints if "Content Security Policy" in text]
    context.close()
