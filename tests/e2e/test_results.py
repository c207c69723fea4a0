"""Mistakes found, fixed and trained again, by clicking in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.conftest import TrainOnce
from tests.e2e.conftest import Server, click_button, heading
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source
from transfer_core.evaluation.outcomes import in_cell
from transfer_core.runs.run_status import run_status
from transfer_core.runs.training_run import TrainingRun

pytestmark = pytest.mark.browser

Person = Callable[..., Page]


@pytest.fixture
def run(server: Server, image_folder: Path, train_once: TrainOnce) -> TrainingRun:
    """A model with twelve validation photos, one of which has a wrong label."""
    dataset = add_files(create_dataset(server.workspace, "colors"), folder_source(image_folder))
    dataset = dataset.with_split(0.5, seed=1)
    wrong = next(image for image in dataset.images_in("validation") if image.class_name == "red")
    dataset = dataset.relabelled([wrong.id], "blue").save()
    return train_once(server.workspace, dataset, TrainingConfig(backbone="tiny_random", epochs=40))


def cell(page: Page, true: str, said: str) -> Locator:
    """A cell of the confusion matrix."""
    name = f"{true}, correct:" if true == said else f"{true}, said {said}:"
    return page.get_by_role("gridcell", name=name)


def test_a_cell_is_clicked_a_photo_relabelled_and_the_model_trained_again(
    server: Server, person: Person, run: TrainingRun
) -> None:
    evaluation = run.evaluation()
    assert evaluation is not None
    mistakes = in_cell(evaluation, "blue", "red")
    assert len(mistakes) == 1, evaluation.confusion_matrix

    page = person(f"/Results?run={run.id}")
    expect(page.get_by_text("of 12 photos wrong.")).to_be_visible()
    expect(page.locator(".st-key-list-wrong img").first).to_be_visible()
    page.get_by_role("radio", name="Class by class").click()
    expect(heading(page, "Confusion matrix")).to_be_visible()
    expect(page.get_by_role("gridcell")).to_have_count(9)
    cell(page, "green", "green").click()
    expect(page.get_by_role("heading", name="green, correct: ")).to_be_visible()
    cell(page, "blue", "red").click()
    expect(page.get_by_role("heading", name="blue, said red: 1")).to_be_visible()
    photos = page.locator(".st-key-cell-photos")
    expect(photos.locator("img")).to_have_count(1)

    photos.get_by_role("checkbox", name=f"{mistakes[0].name}, class blue").check()
    photos.get_by_label("Move to").select_option("red")
    photos.get_by_role("button", name="Move").click()
    expect(page.get_by_text("1 photo has changed since this model was trained.")).to_be_visible()
    dataset = ImageDataset.load(server.workspace, run.dataset_id)
    fixed = next(image for image in dataset.images if image.id == mistakes[0].image_id)
    assert fixed.class_name == "red"

    click_button(page, "Train again with these changes")
    expect(page.get_by_text("The same settings are being trained on the changed photos.")).to_be_visible()
    expect(page.get_by_role("link", name="Compare the two")).to_be_visible()
    page.get_by_role("link", name="Watch it train").click()
    expect(page.get_by_role("button", name="What it mixes up")).to_be_visible()
    again = TrainingRun.load(server.workspace, server.workspace.run_ids()[0])
    assert again.id != run.id and run_status(again) == "finished"
    assert again.config == run.config
    after = again.evaluation()
    assert after is not None and in_cell(after, "blue", "red") == []
    click_button(page, "What it mixes up")
    # The part that was open is open again, now with the new model.
    expect(page.get_by_text("Pick a cell to see its photos.")).to_be_visible()


def test_the_matrix_is_one_tab_stop_and_arrow_keys_open_its_cells(person: Person, run: TrainingRun) -> None:
    page = person(f"/Results?run={run.id}&part=classes")
    expect(page.get_by_role("gridcell")).to_have_count(9)
    expect(page.locator("td[tabindex='0']")).to_have_count(1)
    cell(page, "green", "green").click()
    expect(page.get_by_role("heading", name="green, correct: ")).to_be_visible()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowRight")
    expect(cell(page, "blue", "red")).to_be_focused()
    # Moving alone picks nothing.
    expect(cell(page, "green", "green")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(cell(page, "blue", "red")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("heading", name="blue, said red: 1")).to_be_visible()
    page.keyboard.press("Control+End")
    expect(cell(page, "red", "red")).to_be_focused()
    expect(page.locator("td[tabindex='0']")).to_have_count(1)
    page.get_by_text("All cells as a list").click()
    page.get_by_role("button", name="blue, said red: 1").click()
    expect(page.locator(".st-key-cell-photos img")).to_have_count(1)


def test_photos_are_picked_with_arrow_keys_on_the_map_and_beside_the_explanation(
    person: Person, run: TrainingRun
) -> None:
    page = person(f"/Results?run={run.id}&part=map")
    photos = page.get_by_role("option")
    expect(photos).to_have_count(24)
    expect(page.locator(".photo[tabindex='0']")).to_have_count(1)
    first = photos.first.get_attribute("aria-label")
    photos.first.focus()
    for key in ("ArrowRight", "ArrowLeft", "ArrowDown", "ArrowUp"):
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    picked = page.get_by_role("option", selected=True)
    expect(picked).to_be_focused()
    expect(
        page.locator(".st-key-map-photo").get_by_text(picked.get_attribute("aria-label") or "")
    ).to_be_visible()
    assert first is not None

    page.get_by_role("radio", name="Why").click()
    thumbnails = page.get_by_role("group", name="Pick a photo").get_by_role("radio")
    expect(thumbnails).to_have_count(12)
    # The map is removed as soon as another part is open.
    expect(photos).to_have_count(0)
    before = page.locator(".st-key-heat figcaption").inner_text()
    thumbnails.first.focus()
    page.keyboard.press("ArrowRight")
    expect(thumbnails.nth(1)).to_be_checked()
    expect(page.locator(".st-key-heat figcaption")).not_to_have_text(before)
