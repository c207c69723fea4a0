"""Joining the class, on a second device and as its teacher, and leaving it: the plain pages."""

from __future__ import annotations

import re
from http.cookies import SimpleCookie
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware

from pages.ui.server import join as join_pages
from pages.ui.server.gate import Gate
from pages.ui.server.join import ROUTES, device_path
from pages.ui.server.rate_limit import RateLimit
from tests.asgi import HOST, Answer, ask
from transfer_core.classroom.facts import CLASS_VARIABLE, Classroom
from transfer_core.classroom.people import MAX_PEOPLE, join, people, remove_person
from transfer_core.classroom.visitor import COOKIE, Visitor, sign, visitor_of
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source
from transfer_core.workspace import Workspace

APP = Starlette(routes=ROUTES, middleware=[Middleware(Gate)])


@pytest.fixture
def server(page_workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The workspace of a server with a class, in which nobody has typed a wrong code yet."""
    monkeypatch.setenv(CLASS_VARIABLE, "1")
    for name, limit in (("_wrong_codes", RateLimit(3, 10.0)), ("_all_wrong_codes", RateLimit(5, 10.0))):
        monkeypatch.setattr(join_pages, name, limit)
    return page_workspace


def type_in(server: Workspace, code: str | None = None, client: str = "10.0.0.1", **fields: str) -> Answer:
    """Send the form of the join page, by default with the right code."""
    right = Classroom(server).facts().code
    form = {"code": right if code is None else code, **fields}
    return ask(APP, "/join", method="POST", form=form, client=client, origin=f"http://{HOST}")


def cookie_in(answer: Answer) -> SimpleCookie:
    return SimpleCookie(answer.headers["set-cookie"])


def visitor_with(server: Workspace, answer: Answer) -> Visitor | None:
    return visitor_of(server, {COOKIE: cookie_in(answer)[COOKIE].value})


def names(server: Workspace) -> list[str]:
    return [person.name for person in people(server)]


def test_code_and_name_give_a_place_and_its_cookie(server: Workspace) -> None:
    code = Classroom(server).facts().code.lower()
    answer = type_in(server, f" {code[:3]} {code[3:]} ", name=" Anna  Maria ")
    assert (answer.status, answer.headers["location"]) == (303, "/")
    visitor = visitor_with(server, answer)
    assert visitor and visitor.role == "pupil" and visitor.workspace.server == server
    assert names(server) == ["Anna Maria"]
    cookie = cookie_in(answer)[COOKIE]
    assert cookie["httponly"] and cookie["samesite"] == "lax" and not cookie["secure"]
    assert int(cookie["max-age"]) > 24 * 60 * 60


def test_cookie_is_for_https_alone_where_there_is_https(server: Workspace) -> None:
    key = Classroom(server).facts().teacher_key
    answer = ask(APP, f"/teacher/{key}", scheme="https")
    assert cookie_in(answer)[COOKIE]["secure"]


def test_animal_button_is_a_name_and_the_second_otter_gets_a_number(server: Workspace) -> None:
    for _time in range(3):
        assert type_in(server, name="", animal="Otter").status == 303
    assert names(server) == ["Otter", "Otter 2", "Otter 3"]


def test_page_says_what_is_missing_and_keeps_what_was_typed(server: Workspace) -> None:
    answer = type_in(server, name=" \u200b ")
    assert answer.status == 400 and "Type your first name" in answer.text
    answer = type_in(server, "WRONG", name='"><script>alert(1)</script>')
    assert answer.status == 403 and "not the code of the class" in answer.text
    assert 'value="WRONG"' in answer.text and "<script" not in answer.text
    assert names(server) == [] and "set-cookie" not in answer.headers


def test_address_of_the_code_image_fills_in_the_code(server: Workspace) -> None:
    page = ask(APP, "/join?code=%22%3Eabc").text
    assert 'value="&quot;&gt;abc"' in page
    assert re.search(r'<label for="code">.*<input id="code"', page, re.DOTALL)


def test_wrong_codes_are_slowed_down_for_an_address_and_for_all(server: Workspace) -> None:
    assert [type_in(server, "X", name="A").status for _time in range(3)] == [403] * 3
    answer = type_in(server, name="A")
    assert answer.status == 429 and answer.headers["retry-after"] == "10"
    assert type_in(server, name="A", client="10.0.0.2").status == 303
    assert [type_in(server, "X", name="A", client="10.0.0.3").status for _time in range(2)] == [403] * 2
    assert type_in(server, name="A", client="10.0.0.4").status == 429


def test_closed_and_full_classes_let_nobody_in(server: Workspace) -> None:
    Classroom(server).change(is_open=False)
    assert "closed" in type_in(server, name="Anna").text
    Classroom(server).change(is_open=True)
    for number in range(MAX_PEOPLE):
        join(server, f"P{number}")
    answer = type_in(server, name="Anna")
    assert answer.status == 400 and "full" in answer.text


def test_long_form_is_not_read(server: Workspace) -> None:
    assert type_in(server, name="A" * 5_000).status == 403


def test_second_device_joins_after_a_click_and_with_a_fresh_link_alone(
    server: Workspace, monkeypatch: pytest.MonkeyPatch, image_folder: Path
) -> None:
    anna, facts = join(server, "Anna <3"), Classroom(server).facts()
    path = device_path(facts, anna.id)
    page = ask(APP, path)
    assert "Anna &lt;3" in page.text and "set-cookie" not in page.headers
    answer = ask(APP, path, method="POST", origin=f"http://{HOST}")
    visitor = visitor_with(server, answer)
    assert visitor and visitor.person_id == anna.id and answer.headers["location"] == "/"
    dataset = create_dataset(server.person(anna.id), "Fruit")
    add_files(dataset, folder_source(image_folder))
    answer = ask(APP, path, method="POST", origin=f"http://{HOST}")
    assert answer.headers["location"] == f"/?images={dataset.id}"
    with monkeypatch.context() as past:
        past.setattr("itsdangerous.timed.time.time", lambda: 1_000_000_000.0)
        old = device_path(facts, anna.id)
    other_purpose = f"/join/{sign(facts, 'phone', anna.id)}"
    for bad in (old, other_purpose, f"{path}x", "/join/x"):
        assert ask(APP, bad).status == ask(APP, bad, method="POST").status == 403
    remove_person(server, anna.id)
    assert ask(APP, path, method="POST").status == 403


def test_link_of_the_teacher_lets_in_and_a_wrong_one_does_not(server: Workspace) -> None:
    answer = ask(APP, f"/teacher/{Classroom(server).facts().teacher_key}")
    assert (answer.status, answer.headers["location"]) == (303, "/Class")
    visitor = visitor_with(server, answer)
    assert visitor and visitor.role == "teacher"
    for key in ("", "x", Classroom(server).facts().code, "\u00e9"):
        answer = ask(APP, f"/teacher/{key}")
        assert answer.status == 403 and "set-cookie" not in answer.headers


def test_leaving_asks_first_and_then_forgets_the_cookie(server: Workspace) -> None:
    page = ask(APP, "/leave")
    assert "Leave this place?" in page.text and "set-cookie" not in page.headers
    answer = ask(APP, "/leave", method="POST", origin=f"http://{HOST}")
    assert answer.headers["location"] == "/join" and cookie_in(answer)[COOKIE]["max-age"] == "0"


def test_who_has_joined_goes_on_or_leaves(server: Workspace) -> None:
    answer = type_in(server, name="Anna")
    page = ask(APP, "/join", cookie_in(answer)[COOKIE].value).text
    assert "You are Anna" in page and 'href="/"' in page and 'href="/leave"' in page


@pytest.mark.parametrize("path", ["/join", "/join/1", "/teacher/1", "/leave"])
def test_without_a_class_there_is_nothing_to_join(page_workspace: Workspace, path: str) -> None:
    answer = ask(APP, path)
    assert answer.status == 404 and "No class here" in answer.text
    assert not page_workspace.root.exists()


def test_tries_come_back_with_time() -> None:
    now = [0.0]
    limit = RateLimit(burst=2, seconds_each=5.0, clock=lambda: now[0])
    limit.count("a")
    assert limit.seconds_to_wait("a") == limit.seconds_to_wait("b") == 0
    limit.count("a")
    assert limit.seconds_to_wait("a") == 5
    now[0] = 5.0
    assert limit.seconds_to_wait("a") == 0
    now[0] = 1_000.0
    limit.count("a")
    assert limit.seconds_to_wait("a") == 0
