"""Every visitor reads the pages and the answers of the routes in a language of their own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware

from pages.ui.server.routes import MIDDLEWARE, ROUTES
from pages.ui.server.visitor_language import (
    LANGUAGE_COOKIE,
    SpeaksToVisitor,
    accepted_languages,
    asked_language,
    kept_language,
)
from tests.asgi import ask
from tests.conftest import MakeImage, write_catalogue
from tests.pages.conftest import OpenPage, texts
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.upload import uploaded_file
from transfer_core.language import LANGUAGE_VARIABLE, _, language
from transfer_core.recipes import LOCALE_VARIABLE
from transfer_core.workspace import Workspace

GERMAN = {
    "Welcome": "Willkommen",
    "Language": "Sprache",
    "Model": "Modell",
    "Images": "Bilder",
    "Join the class": "Der Klasse beitreten",
    "No class here": "Hier ist keine Klasse",
    "A page of another server sent this. It was refused.": "Eine fremde Seite hat das gesendet.",
    "Add a second class": "Eine zweite Klasse hinzufügen",
    "Choose this if Lite0 mixes up classes that look alike.": "Nehmen Sie dieses, wenn Lite0 Klassen verwechselt.",
}
CHINESE = {
    "Welcome": "欢迎",
    "Language": "语言",
    "Model": "模型",
    "Images": "图片",
    "Join the class": "加入班级",
}


@pytest.fixture(autouse=True)
def catalogues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two small catalogues in place of the app's own."""
    folder = tmp_path / "locale"
    write_catalogue(folder, "de", GERMAN)
    write_catalogue(folder, "zh_CN", CHINESE)
    monkeypatch.setenv(LOCALE_VARIABLE, str(folder))
    monkeypatch.delenv(LANGUAGE_VARIABLE, raising=False)
    return folder


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("", [""]),
        ("de", ["de"]),
        ("fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5", ["fr-CH", "fr", "en", "de", "*"]),
        ("en;q=0.2, zh-Hans-CN", ["zh-Hans-CN", "en"]),
        ("de;q=0, en;q=much, it", ["it"]),
    ],
)
def test_the_languages_of_a_browser_come_by_their_weight(header: str, wanted: list[str]) -> None:
    assert accepted_languages(header) == wanted


@pytest.mark.parametrize("wanted", ["", "xx", "../../de", "<script>", "de" * 500, "\x00", "*", "-"])
def test_an_address_cannot_ask_for_a_language_that_there_is_not(wanted: str) -> None:
    assert asked_language(wanted) == ""


def test_a_choice_counts_more_than_the_browser() -> None:
    assert kept_language({LANGUAGE_COOKIE: "zh_CN"}, ["de-AT"]) == "zh_CN"
    assert kept_language({LANGUAGE_COOKIE: "en"}, ["de-AT"]) == "en"
    assert kept_language({LANGUAGE_COOKIE: "xx"}, ["nl", "de-AT", "zh"]) == "de"
    assert kept_language({}, ["nl", "it"]) == ""


def test_a_page_is_in_the_language_of_its_address(open_page: OpenPage) -> None:
    page = open_page(lang="de")
    assert "1 · Modell" in [link.label for link in page.sidebar.get("page_link")]
    assert "lang" not in page.query_params
    # It holds on other pages.
    page.switch_page("pages/1_Model.py").run()
    assert page.title[0].value == "1 · Modell"


def test_an_unknown_language_in_the_address_changes_nothing(open_page: OpenPage) -> None:
    page = open_page("1_Model", lang="../../etc/passwd")
    assert page.title[0].value == "1 · Model"


def test_a_choice_in_the_sidebar_holds_at_once_and_on_every_page(open_page: OpenPage) -> None:
    page = open_page("1_Model", model="efficientnet_lite2")
    choice = page.sidebar.selectbox(key="language")
    assert choice.value == "en" and choice.options == ["English", "Deutsch", "简体中文"]
    choice.set_value("zh_CN").run()
    assert page.title[0].value == "1 · 模型"
    assert page.query_params["model"] == "efficientnet_lite2"
    page.switch_page("pages/2_Images.py").run()
    assert page.title[0].value == "2 · 图片"
    assert page.sidebar.selectbox(key="language").value == "zh_CN"
    page.sidebar.selectbox(key="language").set_value("en").run()
    assert page.title[0].value == "2 · Images"


def test_threads_without_a_visitor_speak_the_language_of_the_server(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_page(lang="zh_CN")
    monkeypatch.setenv(LANGUAGE_VARIABLE, "de")
    said: list[str] = []
    thread = threading.Thread(target=lambda: said.append(_("Welcome")))
    thread.start()
    thread.join()
    assert said == ["Willkommen"]


@pytest.fixture
def routes(server: Workspace) -> Iterator[Starlette]:
    """The routes of a class behind the middleware of the server."""
    yield Starlette(routes=ROUTES, middleware=[Middleware(SpeaksToVisitor)])


def test_a_route_answers_each_browser_in_its_language(routes: Starlette) -> None:
    german = ask(routes, "/join", accept_language="de-AT,de;q=0.9")
    chinese = ask(routes, "/join", accept_language="zh-CN")
    assert 'lang="de"' in german.text and "Der Klasse beitreten" in german.text
    assert 'lang="zh-CN"' in chinese.text and "加入班级" in chinese.text
    assert "Join the class" in ask(routes, "/join", accept_language="nl").text
    assert language() == "en"


def test_a_route_keeps_the_language_of_its_address(routes: Starlette) -> None:
    answer = ask(routes, "/join?lang=de&code=ABC", accept_language="zh-CN")
    assert "Der Klasse beitreten" in answer.text
    kept = answer.headers["set-cookie"]
    assert kept == f"{LANGUAGE_COOKIE}=de; Path=/; Max-Age=31536000; SameSite=Lax"
    assert ask(routes, "/join?lang=de", scheme="https").headers["set-cookie"] == f"{kept}; Secure"
    again = ask(routes, "/join", cookie=f"x; {LANGUAGE_COOKIE}=de", accept_language="zh-CN")
    assert "Der Klasse beitreten" in again.text and "set-cookie" not in again.headers
    assert 'href="?code=ABC&amp;lang=zh_CN" lang="zh-CN"' in answer.text


def test_the_language_is_known_before_the_gate_refuses() -> None:
    assert MIDDLEWARE[0].cls is SpeaksToVisitor


def test_what_is_typed_and_chosen_is_kept_when_the_language_changes(
    open_page: OpenPage, dataset: ImageDataset
) -> None:
    page = open_page("2_Images", images=dataset.id)
    page.button(key="add-or-replace").click().run()
    page.button_group(key="image-source").set_value("class").run()
    page.text_input(key=f"new-class-name-{dataset.version}").set_value("yellow")
    page.selectbox(key=f"gallery-class-{dataset.id}-all").set_value("green")
    page.button_group(key=f"gallery-side-{dataset.id}").set_value("all").run()
    page.sidebar.selectbox(key="language").set_value("de").run()
    assert page.title[0].value == "2 · Bilder"
    assert page.text_input(key=f"new-class-name-{dataset.version}").value == "yellow"
    assert page.button_group(key="image-source").value == "class"
    assert page.selectbox(key=f"gallery-class-{dataset.id}-all").value == "green"
    page.selectbox(key=f"gallery-class-{dataset.id}-all").set_value(" ").run()
    page.sidebar.selectbox(key="language").set_value("zh_CN").run()
    assert page.selectbox(key=f"gallery-class-{dataset.id}-all").value == " "


def test_a_selection_whose_label_has_a_date_is_kept(open_page: OpenPage, dataset: ImageDataset) -> None:
    page = open_page("2_Images")
    page.button_group(key="image-source").set_value("earlier").run()
    page.selectbox(key="earlier-images").set_value(dataset.id).run()
    (before,) = page.selectbox(key="earlier-images").options
    page.sidebar.selectbox(key="language").set_value("zh_CN").run()
    (after,) = page.selectbox(key="earlier-images").options
    assert before != after and "年" in after
    assert page.selectbox(key="earlier-images").value == dataset.id


def test_the_photo_check_of_each_visitor_is_in_their_language(
    open_page: OpenPage, page_workspace: Workspace, make_image: MakeImage
) -> None:
    """Its findings are kept for later visitors."""
    photos = [uploaded_file(f"/{seed}.png", make_image("red", seed=seed)) for seed in range(5)]
    dataset = add_files(create_dataset(page_workspace, "reds"), photos, class_name="red")
    assert "Add a second class" in texts(open_page("2_Images", images=dataset.id))
    assert "Eine zweite Klasse" in texts(open_page("2_Images", images=dataset.id, lang="de"))
    assert "Add a second class" in texts(open_page("2_Images", images=dataset.id))


def test_the_facts_of_a_pretrained_model_are_in_the_language_of_each_visitor(open_page: OpenPage) -> None:
    """They are read once for all visitors."""
    chosen = {"model": "efficientnet_lite1"}
    assert "Choose this if Lite0" in texts(open_page("1_Model", **chosen))
    assert "Nehmen Sie dieses" in texts(open_page("1_Model", lang="de", **chosen))


def test_the_gate_refuses_in_the_language_of_the_browser(server: Workspace) -> None:
    app = Starlette(routes=ROUTES, middleware=MIDDLEWARE)
    answer = ask(app, "/", scheme="http", accept_language="de", origin="http://other.example", method="POST")
    assert answer.status == 403 and "Eine fremde Seite" in answer.text


def test_the_page_for_a_phone_names_its_language(routes: Starlette) -> None:
    assert 'lang="zh-CN"' in ask(routes, "/phone/unknown", accept_language="zh").text
