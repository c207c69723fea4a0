"""Two people with two languages on one server at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.conftest import MakeImage, write_catalogue
from tests.e2e.conftest import Server, other_devices, running_server, settle
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.upload import uploaded_file
from transfer_core.language import LANGUAGE_VARIABLE
from transfer_core.recipes import LOCALE_VARIABLE

pytestmark = pytest.mark.browser

GERMAN = {
    "Images": "Fotos",
    "One class": "Eine Klasse",
    "From a video": "Aus einem Video",
    "Name of the class": "Name der Klasse",
    "Class": "Klasse",
    "All classes": "Alle Klassen",
    "{name} is not a video that can be read here. Save it as mp4, mov or webm.": "{name} ist kein Video.",
    "Add photos from this video": "Fotos hinzufügen",
}
CHINESE = {
    "Images": "照片",
    "Name of the class": "类别名称",
    "{name} is not a video that can be read here. Save it as mp4, mov or webm.": "{name} 不是视频。",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with two small catalogues in place of the app's own."""
    folder = tmp_path_factory.mktemp("locale")
    write_catalogue(folder, "de", GERMAN)
    write_catalogue(folder, "zh_CN", CHINESE)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(LOCALE_VARIABLE, str(folder))
        environment.delenv(LANGUAGE_VARIABLE, raising=False)
        with running_server(tmp_path_factory.mktemp("server")) as server:
            yield server


def choose_language(page: Page, name: str) -> None:
    settle(page)
    choose(page, page.get_by_test_id("stSidebar").get_by_role("combobox", name="Language"), name)


def choose(page: Page, box: Locator, name: str) -> None:
    # A click scrolls to the box, and scrolling closes it again.
    box.focus()
    box.press("ArrowDown")
    page.get_by_role("option", name=name, exact=True).click()
    settle(page)


def expect_language(page: Page, title: str, code: str) -> None:
    """The heading, the tab and the document are in one language."""
    expect(page.get_by_role("heading", level=1)).to_have_text(f"2 · {title}")
    expect(page).to_have_title(f"{title} · Transfer Studio")
    expect(page.locator("html")).to_have_attribute("lang", code)


def test_everyone_reads_their_own_language_also_what_a_task_says_later(
    server: Server, browser: Browser, tmp_path: Path
) -> None:
    video = tmp_path / "cup.mp4"
    video.write_bytes(b"no video")
    with other_devices(browser, server.url) as arrive:
        german, chinese = arrive("/Images", locale="de-AT"), arrive("/Images", locale="zh-CN")
        expect_language(german, "Fotos", "de")
        expect_language(chinese, "照片", "zh-CN")
        german.get_by_text("Aus einem Video", exact=True).click()
        # Until then the field for files may be that of the way before.
        settle(german)
        german.get_by_role("textbox", name="Name der Klasse").fill("Tasse")
        german.locator("input[type=file]").set_input_files(video)
        expect(german.get_by_text("cup.mp4", exact=True)).to_be_visible()
        german.get_by_role("button", name="Fotos hinzufügen").click()
        expect(german.get_by_text("cup.mp4 ist kein Video.")).to_be_visible()
        # A thread of the server said it, in no one's language.
        choose_language(german, "简体中文")
        expect(german.get_by_text("cup.mp4 不是视频。")).to_be_visible()
        expect_language(german, "照片", "zh-CN")
        chinese.reload()
        expect_language(chinese, "照片", "zh-CN")


def test_a_choice_is_kept_with_what_is_typed_and_in_other_tabs(server: Server, browser: Browser) -> None:
    with other_devices(browser, server.url) as arrive:
        page = arrive("/Images", locale="de-DE")
        page.get_by_text("Eine Klasse", exact=True).click()
        page.get_by_role("textbox", name="Name der Klasse").fill("Tasse")
        choose_language(page, "English")
        expect_language(page, "Images", "en")
        expect(page.get_by_role("textbox", name="Name of the class")).to_have_value("Tasse")
        page.reload()
        expect_language(page, "Images", "en")
        other = page.context.new_page()
        other.goto("/Images?lang=zh_CN")
        expect_language(other, "照片", "zh-CN")
        other.reload()
        expect_language(other, "照片", "zh-CN")


def test_what_is_selected_in_a_box_is_kept_under_its_new_label(
    server: Server, browser: Browser, make_image: MakeImage
) -> None:
    photos = [uploaded_file(f"/{seed}.png", make_image("red", seed=seed)) for seed in range(2)]
    dataset = add_files(create_dataset(server.workspace, "reds"), photos, class_name="red")
    with other_devices(browser, server.url) as arrive:
        page = arrive(f"/Images?images={dataset.id}", locale="en-US")
        settle(page)
        box = page.locator(f".st-key-gallery-class-{dataset.id}-all").get_by_role("combobox")
        choose(page, box, "red")
        choose(page, box, "All classes")
        choose_language(page, "Deutsch")
        expect(box).to_have_value("Alle Klassen")
