"""The quick start in a real browser: from the first click to an answer, without leaving the page."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import Server, heading, settle
from transfer_core.data.dataset import ImageDataset
from transfer_core.runs.training_run import TrainingRun

pytestmark = pytest.mark.browser

Person = Callable[..., Page]

# Where the claim is about the page and not about the model: it has few weights, and looks at small photos.
TINY = "/?model=tiny_random"
TITLE = "Teach a computer to see what you see"
SLOW_READING = """() => {
    const read = window.createImageBitmap.bind(window);
    window.createImageBitmap = async (file) => {
        await new Promise((resolve) => setTimeout(resolve, 300));
        return read(file);
    };
}"""


def train_button(page: Page, name: str = "Train") -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def expect_classes(page: Page, *names: str) -> None:
    """Wait until the cards are there, in this order."""
    fields = page.get_by_role("textbox", name="Name of the class")
    expect(fields).to_have_count(len(names))
    for place, name in enumerate(names):
        expect(fields.nth(place)).to_have_value(name)


def call_class(page: Page, place: int, name: str) -> None:
    field = page.get_by_role("textbox", name="Name of the class").nth(place)
    field.fill(name)
    field.press("Enter")


def add_photos(page: Page, name: str, files: list[Path]) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name=f"Add photos: {name}").click()
    chooser.value.set_files(files)
    expect(page.get_by_role("img", name=f"{len(files)} photos of {name}")).to_be_visible()


def the_dataset(server: Server) -> ImageDataset:
    (dataset_id,) = server.workspace.dataset_ids()
    return ImageDataset.load(server.workspace, dataset_id)


def test_two_clicks_from_a_ready_made_set_to_an_answer(server: Server, person: Person) -> None:
    page = person()
    page.get_by_role("button", name="Clothes", exact=True).click()
    expect(page.get_by_role("img", name="16 photos of dress")).to_be_visible()
    settle(page)
    expect_classes(page, "dress", "hat", "pants", "shoes", "t-shirt")
    train_button(page).click()
    expect(page.get_by_role("button", name=re.compile("Cancel|Stop and keep"))).to_be_visible()
    expect(train_button(page, "Train again")).to_be_visible()
    expect(page.locator(".answer-said")).to_have_text("dress")
    expect(heading(page, TITLE)).to_be_visible()
    (run_id,) = server.workspace.run_ids()
    evaluation = TrainingRun.load(server.workspace, run_id).files.evaluation()
    assert evaluation is not None and evaluation.accuracy > 0.7  # 0.2 would be a guess
    accuracy = f"{100 * evaluation.accuracy:.0f}\u00a0%"
    expect(page.locator(".st-key-quick-state strong")).to_contain_text(accuracy)


def test_own_photos_train_a_model_and_some_more_train_it_again(
    server: Server, person: Person, photos: dict[str, list[Path]]
) -> None:
    page = person(TINY)
    expect_classes(page, "Class 1", "Class 2")
    expect(train_button(page)).to_be_disabled()
    for place, (name, files) in enumerate(photos.items()):
        call_class(page, place, name)
        add_photos(page, name, files[:4])
    expect(train_button(page)).to_be_enabled()
    train_button(page).click()
    expect(train_button(page, "Train again")).to_be_visible()
    settle(page)
    assert the_dataset(server).counts() == {"red": 4, "blue": 4}

    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Add photos: red").click()
    chooser.value.set_files(photos["red"][4:])
    expect(page.get_by_role("img", name="6 photos of red")).to_be_visible()
    expect(page.get_by_text("Your photos have changed.")).to_be_visible()
    train_button(page, "Train again").click()
    expect(page.get_by_text("Your photos have changed.")).to_have_count(0)
    expect(train_button(page, "Train again")).to_be_visible()
    settle(page)
    assert len(server.workspace.run_ids()) == 2
    assert heading(page, TITLE).is_visible()


def test_photos_chosen_while_others_are_read_are_read_after_them(
    server: Server, person: Person, photos: dict[str, list[Path]]
) -> None:
    page = person()
    call_class(page, 0, "red")
    call_class(page, 1, "blue")
    page.evaluate(SLOW_READING)
    for name in ("red", "blue"):
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name=f"Add photos: {name}").click()
        chooser.value.set_files(photos[name])
    for name in ("red", "blue"):
        expect(page.get_by_role("img", name=f"6 photos of {name}")).to_be_visible()
    settle(page)
    assert the_dataset(server).counts() == {"blue": 6, "red": 6}


def test_classes_are_named_added_deleted_and_brought_back(
    server: Server, person: Person, photos: dict[str, list[Path]]
) -> None:
    page = person()
    for place, (name, files) in enumerate(photos.items()):
        call_class(page, place, name)
        add_photos(page, name, files[:2])
    call_class(page, 0, "blue")
    expect(page.get_by_role("status").filter(has_text="“blue” is there already.")).to_be_visible()
    call_class(page, 0, "tomato")
    expect(page.get_by_role("img", name="2 photos of tomato")).to_be_visible()
    while the_dataset(server).class_names != ("blue", "tomato"):
        page.wait_for_timeout(50)
    expect_classes(page, "tomato", "blue")

    page.get_by_role("button", name="another class").click()
    expect_classes(page, "tomato", "blue", "Class 1")
    page.get_by_role("button", name="Delete the class: tomato").click()
    expect(page.get_by_text("“tomato” was deleted.")).to_be_visible()
    settle(page)
    assert the_dataset(server).class_names == ("blue",)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("img", name="2 photos of tomato")).to_be_visible()
    while the_dataset(server).class_names != ("blue", "tomato"):
        page.wait_for_timeout(50)


def test_two_classes_by_camera_with_pointer_and_key(server: Server, person: Person) -> None:
    page = person(TINY)
    page.get_by_role("button", name="Switch the camera on").first.click()
    call_class(page, 0, "mug")
    page.get_by_role("button", name="Hold to record: mug").hover()
    page.mouse.down()
    expect(page.get_by_role("img", name=re.compile(r"^([5-9]|\d\d) photos of mug"))).to_be_visible()
    page.mouse.up()
    expect(page.get_by_role("button", name="Hold to record: mug")).to_be_visible()
    page.get_by_role("button", name="Hold to record: Class 2").focus()
    page.keyboard.down(" ")
    expect(page.get_by_role("img", name=re.compile(r"^([5-9]|\d\d) photos of Class 2"))).to_be_visible()
    page.keyboard.up(" ")
    expect(train_button(page)).to_be_enabled()
    settle(page)
    dataset = the_dataset(server)
    assert dataset.class_names == ("Class 2", "mug")
    assert min(dataset.counts().values()) >= 4
    for name in dataset.class_names:
        recordings = {image.burst for image in dataset.images if image.class_name == name}
        assert len(recordings) == 1 and "" not in recordings
    train_button(page).click()
    expect(train_button(page, "Train again")).to_be_visible()
    expect(page.get_by_text("once more, from another angle.")).to_be_visible()


def test_a_phone_shows_the_camera_first_and_cuts_nothing(server: Server, person: Person) -> None:
    page = person()
    page.set_viewport_size({"width": 320, "height": 700})
    page.get_by_role("button", name="Digits", exact=True).click()
    expect(page.get_by_role("img", name="60 photos of 0")).to_be_visible()
    settle(page)
    camera = page.get_by_role("button", name="Switch the camera on").bounding_box()
    train = train_button(page).bounding_box()
    assert camera and train and camera["y"] < train["y"]
    widths = page.evaluate(
        "() => [document.querySelector('[data-testid=stMain]').scrollWidth, document.documentElement.scrollWidth]"
    )
    assert max(widths) <= 320
