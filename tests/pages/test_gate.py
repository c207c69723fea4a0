"""Who reaches which route: the gate before all routes of the app, called as a server calls it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import streamlit as st
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.routing import BaseRoute, WebSocketRoute
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from app import app
from pages.ui.server import phone
from pages.ui.server.gate import Gate
from pages.ui.server.routes import MIDDLEWARE, ROUTES
from tests.asgi import HOST, Answer, ask
from transfer_core.classroom.facts import CLASS_VARIABLE, Classroom
from transfer_core.classroom.people import Person, join, remove_person
from transfer_core.classroom.phone import phone_token
from transfer_core.classroom.visitor import cookie_of_person, cookie_of_teacher
from transfer_core.workspace import Workspace, new_id

STREAM = "/_stcore/stream"
SESSION = "0f8fad5b-d9cb-469f-a165-70867728950e"
# What everybody in the network may ask for; a new one has to be thought about and named here.
OPEN = {"/join", "/leave", "/_stcore/health", "/certificate", "/certificate/transfer-studio.crt"}
# These look at the token or the key in the request.
GUARDED = {
    *("/join/1", "/teacher/1", "/try/1", "/api/1", "/api/models/1/predict"),
    *("/phone/1", "/phone/1/classes", "/phone/1/photos", "/phone/1/photos/1"),
}


@dataclass
class Behind:
    """What stands behind the gate: it notes what gets through, and sends what a test gives it."""

    to_send: list[bytes] = field(default_factory=list)
    scopes: list[dict[str, Any]] = field(default_factory=list)
    received: list[bytes] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"behind"})
            return
        for data in self.to_send:
            await send({"type": "websocket.send", "bytes": data})
        while (message := await receive())["type"] == "websocket.receive":
            self.received.append(message["bytes"])


class Front:
    """The gate, as browsers reach it."""

    def __init__(self) -> None:
        self.behind = Behind()
        self.gate = Gate(self.behind)

    def ask(self, path: str, cookie: str = "", **options: Any) -> Answer:
        """Send a request, or open a websocket and send messages over it."""
        options.setdefault("is_websocket", path == STREAM)
        return ask(self.gate, path, cookie, **options)


@pytest.fixture
def front() -> Front:
    return Front()


@pytest.fixture
def anna(server: Workspace) -> Person:
    return join(server, "Anna")


@pytest.fixture
def ben(server: Workspace) -> Person:
    return join(server, "Ben")


def cookie(server: Workspace, person: Person) -> str:
    return cookie_of_person(Classroom(server).facts(), person.id)


def teacher_cookie(server: Workspace) -> str:
    facts = Classroom(server).facts()
    value = cookie_of_teacher(facts, facts.teacher_key)
    assert value
    return value


def routes_of_the_app() -> Iterator[tuple[str, str, bool]]:
    """Path, method and whether it is a websocket, of every route of this app and of Streamlit's."""
    # Starlette's application is made late; no public name leads to it.
    every: list[BaseRoute] = app._build_starlette_app().routes
    assert len(every) > len(ROUTES) + 10
    for route in every:
        # The files of the front end are mounted at "", and their answer to an unknown path is the first page.
        path = re.sub(r"\{[^}]*\}", "1", getattr(route, "path", "")) or "/"
        for method in getattr(route, "methods", None) or {"GET"}:
            yield path, method, isinstance(route, WebSocketRoute)


def test_every_route_refuses_who_has_not_joined_or_is_public_by_name(server: Workspace, front: Front) -> None:
    reached = {
        path
        for path, method, is_websocket in routes_of_the_app()
        if not front.ask(path, method=method, is_websocket=is_websocket).is_refused
    }
    assert reached == OPEN | GUARDED


@pytest.mark.parametrize("path", sorted(GUARDED))
def test_public_route_refuses_a_made_up_token(server: Workspace, path: str) -> None:
    routes = Starlette(routes=ROUTES, middleware=MIDDLEWARE)
    for method in ("GET", "POST", "PUT", "DELETE"):
        answer = ask(routes, path, method=method, origin=f"http://{HOST}")
        assert answer.status in (401, 403, 404, 405, 410), (method, answer.text)
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/Images", "/class-photo/1/1/1/96"])
def test_page_leads_who_has_not_joined_to_the_join_page(server: Workspace, front: Front, path: str) -> None:
    answer = front.ask(path)
    assert (answer.status, answer.headers["location"]) == (303, "/join")
    assert front.ask(path, method="POST").status == 403


@pytest.mark.parametrize(
    "path", [STREAM, "/media/1.png", "/_stcore/upload_file/1/1", "/_stcore/host-config", "/component/a"]
)
@pytest.mark.parametrize("visitor", ["nobody", "forged", "removed"])
def test_data_is_refused_without_a_valid_cookie(
    server: Workspace, front: Front, anna: Person, path: str, visitor: str
) -> None:
    value = cookie(server, anna)
    if visitor == "removed":
        remove_person(server, anna.id)
    given = {"nobody": "", "forged": f"x{value}", "removed": value}[visitor]
    assert front.ask(path, given).status == 403
    assert front.behind.scopes == []


def test_expired_cookie_is_refused(
    server: Workspace, front: Front, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as past:
        past.setattr("itsdangerous.timed.time.time", lambda: 1_000_000_000.0)
        old = cookie(server, anna)
    assert front.ask(STREAM, old).status == 403
    assert front.ask(STREAM, cookie(server, anna)).status == 101


def test_pupils_wait_outside_of_a_closed_class_and_the_teacher_does_not(
    server: Workspace, front: Front, anna: Person
) -> None:
    value = cookie(server, anna)
    assert front.ask("/", value).status == 200
    Classroom(server).change(is_open=False)
    answer = front.ask("/", value)
    assert answer.status == 403 and "The class is closed" in answer.text
    assert int(answer.headers["refresh"]) > 0
    assert front.ask("/media/1.png", value).status == 403
    assert front.ask("/", teacher_cookie(server)).status == 200


@pytest.mark.parametrize("path", ["/", STREAM, "/join"])
def test_a_damaged_class_is_a_sentence_and_files_of_the_front_end_are_served(
    server: Workspace, front: Front, anna: Person, path: str
) -> None:
    value = cookie(server, anna)
    (server.root / "class.json").write_text("{")
    whole = Starlette(routes=ROUTES, middleware=MIDDLEWARE)
    answer = ask(whole, path, value, is_websocket=path == STREAM)
    assert answer.status == 500 and "Delete it to begin a new class" in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert front.ask("/static/index.js", value).status == 200


def test_phone_page_waits_until_the_class_is_open(server: Workspace, anna: Person) -> None:
    app = Starlette(routes=phone.ROUTES)
    path = f"/phone/{phone_token(server.person(anna.id), new_id())}"
    assert ask(app, path).status == 200
    Classroom(server).change(is_open=False)
    answer = ask(app, path)
    assert answer.status == 403 and "The class is closed" in answer.text and "scan" not in answer.text


@pytest.mark.parametrize("ending", ["closed", "removed", "damaged"])
def test_an_open_page_is_drawn_once_more_instead_of_obeying(
    server: Workspace, front: Front, anna: Person, ending: str
) -> None:
    value, click = cookie(server, anna), BackMsg()
    click.rerun_script.widget_states.widgets.add(id="delete", trigger_value=True)
    data = click.SerializeToString()
    front.ask(STREAM, value, messages=(data,))
    assert front.behind.received == [data]

    original = front.behind.__call__

    async def end_first(scope: Any, receive: Any, send: Any) -> None:
        if ending == "closed":
            Classroom(server).change(is_open=False)
        elif ending == "removed":
            remove_person(server, anna.id)
        else:
            (server.root / "class.json").write_text("{")
        await original(scope, receive, send)

    front.gate = Gate(end_first)
    front.ask(STREAM, value, messages=(data,))
    drawn = BackMsg.FromString(front.behind.received[-1])
    assert drawn.WhichOneof("type") == "rerun_script"
    assert not drawn.rerun_script.widget_states.widgets


@pytest.mark.parametrize("is_class", [True, False])
@pytest.mark.parametrize("path", ["/", "/media/1.png", "/_stcore/upload_file/1/1", STREAM, "/join", "/try/1"])
def test_a_foreign_host_gets_a_sentence(
    front: Front, monkeypatch: pytest.MonkeyPatch, path: str, is_class: bool
) -> None:
    monkeypatch.setenv(CLASS_VARIABLE, "1" if is_class else "")
    for host in ("evil.example", "127.0.0.1.evil.example", "", "["):
        answer = front.ask(path, host=host)
        assert answer.status == 400 and "Use the address" in answer.text
    assert front.behind.scopes == []


def test_hosts_are_those_of_the_settings(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = ["192.168.1.7", "*.school.example", "fd00::1"]
    monkeypatch.setattr(st, "get_option", lambda name: hosts if name == "server.allowedHosts" else None)
    for host in ("192.168.1.7:8501", "lab.school.example", "LAB.School.example.", "[fd00::1]:8501"):
        assert front.ask("/", host=host).status == 200, host
    for host in ("127.0.0.1", "school.example", "192.168.1.70", "lab.school.example.org"):
        assert front.ask("/", host=host).status == 400, host


@pytest.mark.parametrize("path", [STREAM, "/_stcore/upload_file/1/1", "/join", "/leave", "/phone/1"])
def test_what_a_page_of_another_server_sends_is_refused(front: Front, path: str) -> None:
    for origin in ("https://evil.example", "http://127.0.0.1:9000", "null", "http://["):
        assert front.ask(path, method="POST", origin=origin).status == 403
    assert front.behind.scopes == []
    front.ask(path, method="POST", origin=f"http://{HOST}")
    assert len(front.behind.scopes) == 1


def test_addresses_with_a_key_answer_pages_of_other_servers(front: Front) -> None:
    path = "/api/models/1/predict"
    assert front.ask(path, method="POST", origin="https://scratch.example").status == 200


@pytest.mark.parametrize(
    "path",
    [
        *("/_stcore/metrics", "/_stcore/agent/openapi.json", "/_stcore/agent/mcp", "/_stcore/agent/interact"),
        *("/auth/login", "/oauth2callback"),
    ],
)
def test_routes_of_streamlit_that_the_app_does_not_use_are_closed(front: Front, path: str) -> None:
    assert front.ask(path).status == 404
    assert front.behind.scopes == []


def test_every_response_has_security_headers(server: Workspace, front: Front, anna: Person) -> None:
    for answer in (
        front.ask("/", cookie(server, anna)),
        front.ask("/"),
        front.ask("/", host="evil.example"),
        front.ask("/join", method="POST", origin="null"),
    ):
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"] or answer.status == 303
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert "camera=(self)" in answer.headers["permissions-policy"]


def photo_message(address: str) -> bytes:
    message = ForwardMsg()
    message.delta.new_element.imgs.imgs.add(url=address)
    return message.SerializeToString()


def session_message(session_id: str = SESSION) -> bytes:
    message = ForwardMsg()
    message.new_session.main_script_path = "/home/somebody/app/welcome.py"
    message.new_session.initialize.session_id = session_id
    return message.SerializeToString()


def test_photo_belongs_to_whom_it_was_sent(
    server: Workspace, front: Front, anna: Person, ben: Person
) -> None:
    front.behind.to_send = [photo_message("/media/abc.png")]
    front.ask(STREAM, cookie(server, anna))
    assert front.ask("/media/abc.png", cookie(server, anna)).status == 200
    # Streamlit answers whatever the ending is.
    for path in ("/media/abc.png", "/media/abc", "/media/abc.zip"):
        assert front.ask(path, cookie(server, ben)).status == 403
        assert front.ask(path, teacher_cookie(server)).status == 403


def test_text_that_looks_like_the_address_of_a_photo_gives_nothing_away(
    server: Workspace, front: Front, ben: Person
) -> None:
    message = ForwardMsg()
    message.delta.new_element.markdown.body = "/media/abc.png"
    menu = ForwardMsg()
    menu.delta.new_element.selectbox.options.append("/media/abc.png")
    front.behind.to_send = [message.SerializeToString(), menu.SerializeToString()]
    front.ask(STREAM, cookie(server, ben))
    assert front.ask("/media/abc.png", cookie(server, ben)).status == 403


def test_download_is_made_for_whom_it_was_offered(
    server: Workspace, front: Front, anna: Person, ben: Person
) -> None:
    offer, request = ForwardMsg(), BackMsg()
    offer.delta.new_element.download_button.deferred_file_id = "abc"
    request.backend_operation_request.deferred_file.file_id = "abc"
    front.behind.to_send = [offer.SerializeToString()]
    front.ask(STREAM, cookie(server, anna), messages=(request.SerializeToString(),))
    assert len(front.behind.received) == 1
    front.behind.to_send = []
    front.ask(STREAM, cookie(server, ben), messages=(request.SerializeToString(),))
    assert len(front.behind.received) == 1


def test_uploads_and_sessions_belong_to_who_began_them(
    server: Workspace, front: Front, anna: Person, ben: Person
) -> None:
    front.behind.to_send = [session_message()]
    front.ask(STREAM, cookie(server, anna))
    upload = f"/_stcore/upload_file/{SESSION}/1"
    assert front.ask(upload, cookie(server, anna), method="PUT").status == 200
    assert front.ask(upload, cookie(server, anna), method="PUT", content_length="9" * 15).status == 413
    assert front.ask(upload, cookie(server, ben), method="PUT").status == 403
    assert front.ask(upload, cookie(server, ben), method="DELETE").status == 403

    def resumed(person: Person) -> str:
        protocols = f"streamlit, token, {SESSION}"
        front.behind.to_send = []
        front.ask(STREAM, cookie(server, person), sec_websocket_protocol=protocols)
        return Headers(scope=front.behind.scopes[-1])["sec-websocket-protocol"]

    assert SESSION in resumed(anna)
    assert SESSION not in resumed(ben) and resumed(ben).startswith("streamlit, token")


@pytest.mark.parametrize("is_class", [True, False])
def test_browser_does_not_get_the_folder_of_the_app(
    server: Workspace, front: Front, anna: Person, monkeypatch: pytest.MonkeyPatch, is_class: bool
) -> None:
    monkeypatch.setenv(CLASS_VARIABLE, "1" if is_class else "")
    front.behind.to_send = [session_message()]
    (sent,) = front.ask(STREAM, cookie(server, anna)).sent
    assert ForwardMsg.FromString(sent).new_session.main_script_path == "welcome.py"
    assert ForwardMsg.FromString(sent).new_session.initialize.session_id == SESSION


@pytest.mark.parametrize("kind", ["clear_cache", "load_git_info", "set_run_on_save"])
def test_pupils_send_nothing_that_is_for_developers(
    server: Workspace, front: Front, anna: Person, kind: str
) -> None:
    message = BackMsg()
    setattr(message, kind, True)
    install = BackMsg()
    install.backend_operation_request.install_skills.SetInParent()
    messages = (message.SerializeToString(), install.SerializeToString())
    front.ask(STREAM, cookie(server, anna), messages=messages)
    assert front.behind.received == []
