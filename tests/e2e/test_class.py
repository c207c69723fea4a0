"""A lesson in real browsers: a teacher and three pupils, from joining to collecting what they made."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.conftest import (
    Server,
    click_button,
    heading,
    join_class,
    other_devices,
    running_server,
    settle,
)
from transfer_core.classroom.facts import Classroom
from transfer_core.classroom.people import people
from transfer_core.classroom.phone import phone_token
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source
from transfer_core.workspace import new_id

pytestmark = pytest.mark.browser

DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}

Arrive = Callable[..., Page]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running_server(tmp_path, is_class=True) as server:
        yield server


@pytest.fixture
def arrive(browser: Browser, server: Server) -> Iterator[Arrive]:
    """`arrive("/join", **PHONE)` opens a path in the browser of somebody else, by default on a desk."""
    with other_devices(browser, server.url) as open_path:
        yield lambda path, **device: open_path(path, **(device or DESK))


def card(teacher: Page, name: str) -> Locator:
    """The card of a pupil on the board."""
    return teacher.get_by_role("article").filter(has=teacher.get_by_role("heading", name=name, exact=True))


def open_part(teacher: Page, name: str) -> None:
    teacher.get_by_role("radio", name=name, exact=True).click()
    settle(teacher)


def teach(page: Page, photos: dict[str, list[Path]]) -> None:
    """Bring photos of two classes to the quick start and train on them."""
    names = page.get_by_role("textbox", name="Name of the class")
    expect(names).to_have_count(2)
    for place, (name, files) in enumerate(photos.items()):
        names.nth(place).fill(name)
        names.nth(place).press("Enter")
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name=f"Add photos: {name}").click()
        chooser.value.set_files(files)
        expect(page.get_by_role("img", name=f"{len(files)} photos of {name}")).to_be_visible()
    settle(page)
    page.get_by_role("button", name="Train", exact=True).click()


def test_a_lesson(
    server: Server, arrive: Arrive, photos: dict[str, list[Path]], image_folder: Path, tmp_path: Path
) -> None:
    workspace = server.workspace
    facts = Classroom(workspace).facts()
    teacher = arrive(f"/teacher/{facts.teacher_key}")
    settle(teacher)
    expect(heading(teacher, "Your class")).to_be_visible()
    expect(teacher.get_by_text("Nobody is here yet.")).to_be_visible()
    expect(teacher.get_by_text(facts.code, exact=True)).to_be_visible()

    mia, ben, zoe = arrive("/"), arrive("/"), arrive("/", **PHONE)
    for page, name in ((mia, "Mia"), (ben, "Ben"), (zoe, "Zoe")):
        join_class(page, facts.code, name)
    expect(teacher.get_by_text("3 of 3 pupils here now")).to_be_visible()

    teach(mia, photos)
    expect(card(teacher, "Mia").get_by_text("12 photos in 2 classes")).to_be_visible()
    expect(card(teacher, "Mia").get_by_role("progressbar")).to_be_visible()
    open_part(teacher, "Queue")
    expect(teacher.get_by_text("Mia", exact=True)).to_be_visible()

    place = workspace.person(next(person.id for person in people(workspace) if person.name == "Zoe"))
    zoe.goto(f"/phone/{phone_token(place, new_id())}")
    zoe.get_by_role("textbox").fill("cat")
    zoe.get_by_role("button", name="Add").click()
    zoe.locator("input[capture]").set_input_files(photos["red"])
    expect(zoe.get_by_text("All photos have arrived.")).to_be_visible()
    open_part(teacher, "Pupils")
    expect(card(teacher, "Zoe").get_by_text("6 photos in 1 class")).to_be_visible()

    # Meanwhile the teacher hands photos out.
    add_files(create_dataset(workspace, "colors"), folder_source(image_folder))
    open_part(teacher, "Hand out")
    click_button(teacher, "Hand out")
    expect(teacher.get_by_text("3 pupils got a copy.")).to_be_visible()
    open_part(teacher, "Pupils")
    ben.reload()
    click_button(ben, "colors (from your teacher)")
    expect(ben.get_by_text("24 photos", exact=False).first).to_be_visible()
    expect(card(teacher, "Ben").get_by_text("24 photos in 3 classes")).to_be_visible()
    expect(card(teacher, "Mia").get_by_text("accuracy")).to_be_visible()

    card(teacher, "Mia").get_by_role("button", name="Show the work of Mia").click()
    expect(heading(teacher, "Mia")).to_be_visible()
    expect(teacher.get_by_text("correct on photos like these")).to_be_visible()
    click_button(teacher, "Close")

    open_part(teacher, "Collect")
    click_button(teacher, "Collect all projects")
    with teacher.expect_download() as download:
        teacher.get_by_role("link", name="Download").click()
    download.value.save_as(tmp_path / "class.zip")
    with zipfile.ZipFile(tmp_path / "class.zip") as archive:
        assert [name.partition("/")[0] for name in archive.namelist()] == ["01 Mia", "02 Ben", "03 Zoe"]

    open_part(teacher, "Pupils")
    gone = next(person for person in people(workspace) if person.name == "Ben")
    card(teacher, "Ben").get_by_role("button", name="Remove Ben").click()
    teacher.get_by_role("button", name="Remove and delete").click()
    expect(card(teacher, "Ben")).to_have_count(0)
    expect(card(teacher, "Zoe")).to_be_visible()
    assert not workspace.person(gone.id).root.exists()
    ben.reload()
    expect(ben).to_have_url(re.compile("/join"))

    click_button(teacher, "Close the class")
    expect(teacher.get_by_role("button", name="Open the class")).to_be_visible()
    mia.reload()
    expect(mia.get_by_text("The class is closed")).to_be_visible()
    click_button(teacher, "Open the class")
    expect(teacher.get_by_role("button", name="Close the class")).to_be_visible()
    mia.reload()
    expect(mia.get_by_role("img", name="6 photos of red")).to_be_visible()
