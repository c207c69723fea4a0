"""What the welcome page says about a class, to each kind of visitor."""

from __future__ import annotations

from typing import Literal

import pytest
from streamlit.runtime.context import ContextProxy

from pages.ui.welcome import for_a_class
from tests.pages.conftest import OpenPage, texts
from transfer_core.classroom.facts import ADDRESS_VARIABLE, Classroom
from transfer_core.classroom.visitor import Visitor
from transfer_core.workspace import Workspace

Role = Literal["home", "teacher", "pupil"]


def be(role: Role, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(for_a_class, "visitor", lambda: Visitor(role, "", workspace))


@pytest.mark.parametrize(("platform", "python"), [("linux", "python3"), ("win32", "py")])
def test_one_person_learns_how_to_serve_a_class(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch, platform: str, python: str
) -> None:
    monkeypatch.setattr(for_a_class, "sys", type("sys", (), {"platform": platform}))
    page = open_page()
    assert "For a class" in [found.label for found in page.expander]
    assert [found.value for found in page.code] == [f"{python} start.py --class"]
    assert "Everything stays on this computer." in texts(page)
    assert not (for_a_class.service().workspace.root / "class.json").exists(), "nobody began a class"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://192.168.7.5:8501", "192.168.7.5:8501"),
        ("https://192.168.7.5:8501", "https://192.168.7.5:8501"),
        ("", "no address"),
    ],
)
def test_the_teacher_shows_address_and_code(
    open_page: OpenPage,
    page_workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    address: str,
    shown: str,
) -> None:
    be("teacher", page_workspace, monkeypatch)
    monkeypatch.setattr(ContextProxy, "url", "http://localhost:8501/")
    monkeypatch.setenv(ADDRESS_VARIABLE, address)
    page = open_page()
    labels = [found.label for found in page.expander]
    assert "Show to the class" in labels and "For a class" not in labels
    (html,) = [found.proto.body for found in page.get("html") if '<div class="class-inv' in found.proto.body]
    code = Classroom(page_workspace).facts().code
    assert f">{code}<" in html and f">{shown}<" in html
    assert (f'alt="QR code of {address}/join?code={code}"' in html) is bool(address)
    assert "See who is here" in [found.label for found in page.main.get("page_link")]
    assert (f"[Accept the certificate]({address}/certificate)" in texts(page)) is address.startswith("https")


def test_pupils_see_nothing_of_it(
    open_page: OpenPage, page_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    be("pupil", page_workspace, monkeypatch)
    page = open_page()
    assert not {"Show to the class", "For a class"} & {found.label for found in page.expander}
    assert "See who is here" not in [found.label for found in page.main.get("page_link")]
    assert "Everything stays on your teacher's computer." in texts(page)
