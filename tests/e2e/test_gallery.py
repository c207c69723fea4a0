"""Labels changed, pictures left out and taken back in, by clicking in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Server, click_button, settle
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source

pytestmark = pytest.mark.browser

Person = Callable[..., Page]


@pytest.fixture
def dataset(server: Server, image_folder: Path) -> ImageDataset:
    return add_files(create_dataset(server.workspace, "colors"), folder_source(image_folder))


@pytest.fixture
def page(person: Person, dataset: ImageDataset) -> Page:
    page = person(f"/Images?images={dataset.id}")
    expect(page.get_by_text("24 photos.")).to_be_visible()
    return page


def now(server: Server, dataset: ImageDataset) -> ImageDataset:
    return ImageDataset.load(server.workspace, dataset.id)


def choose(page: Page, *names: str) -> None:
    for name in names:
        page.get_by_role("checkbox", name=f"{name}, class").check()


def test_labels_are_changed_and_the_change_is_undone(
    server: Server, page: Page, dataset: ImageDataset
) -> None:
    choose(page, "red-0.jpg", "red-1.jpg")
    expect(page.get_by_text("2 selected")).to_be_visible()
    page.get_by_label("Move to").select_option("blue")
    click_button(page, "Move")
    expect(page.get_by_text("2 photos moved to blue.")).to_be_visible()
    assert now(server, dataset).counts() == {"blue": 10, "green": 8, "red": 6}
    click_button(page, "Undo")
    expect(page.get_by_text("2 photos moved to blue.")).not_to_be_visible()
    assert now(server, dataset).images == dataset.images


def test_a_new_class_is_named_while_relabelling(server: Server, page: Page, dataset: ImageDataset) -> None:
    choose(page, "red-0.jpg", "red-1.jpg")
    page.get_by_label("Move to").select_option("a new class …")
    expect(page.get_by_role("button", name="Move")).to_be_disabled()
    page.get_by_placeholder("Name of the new class").fill("orange")
    click_button(page, "Move")
    expect(page.get_by_text("2 photos moved to orange.")).to_be_visible()
    assert now(server, dataset).counts()["orange"] == 2


def test_pictures_are_left_out_and_come_back_with_the_keyboard_and_classes_are_merged(
    server: Server, page: Page, dataset: ImageDataset
) -> None:
    page.get_by_role("checkbox", name="green-0.jpg, class").focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Exclude", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 photo excluded.")).to_be_visible()
    assert len(now(server, dataset).images) == 23
    page.get_by_role("radio", name="Excluded").click()
    settle(page)
    choose(page, "green-0.jpg")
    click_button(page, "Include")
    expect(page.get_by_text("1 photo included.")).to_be_visible()
    assert now(server, dataset).images == dataset.images

    page.get_by_text("Rename, merge or delete a class").click()
    page.get_by_role("textbox", name="New name").fill("green")
    page.keyboard.press("Tab")
    click_button(page, "Merge with green")
    expect(page.get_by_text("The class blue is now called green.")).to_be_visible()
    assert now(server, dataset).counts() == {"green": 16, "red": 8}


def test_tiles_are_one_tab_stop_and_chosen_with_arrow_keys_or_a_range(page: Page) -> None:
    boxes = page.get_by_role("checkbox", name=", class")
    assert [boxes.nth(place).get_attribute("tabindex") for place in range(3)] == ["0", "-1", "-1"]
    boxes.first.focus()
    page.keyboard.press("ArrowRight")
    expect(boxes.nth(1)).to_be_focused()
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    expect(boxes.nth(3)).to_be_focused()
    expect(page.get_by_role("status").filter(has_text="3 selected")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    below = page.evaluate(
        "document.activeElement.shadowRoot?.activeElement?.value ?? document.activeElement.value"
    )
    assert below != boxes.nth(3).input_value()
    page.keyboard.press("End")
    expect(boxes.last).to_be_focused()
    assert [boxes.nth(place).get_attribute("tabindex") for place in (0, 23)] == ["-1", "0"]
    page.keyboard.press("Shift+Tab")
    expect(page.get_by_role("button", name="Clear")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("3 selected")).to_have_count(0)

    boxes.nth(1).click()
    boxes.nth(5).click(modifiers=["Shift"])
    expect(page.get_by_text("5 selected")).to_be_visible()
