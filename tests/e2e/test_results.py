"""Mistakes found, fixed and trained again, by clicking in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import TrainOnce
from tests.e2e.conftest import Server, click_button, heading, settle
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
    """A model that was checked with twelve pictures, one of which carries a wrong label."""
    dataset = add_files(create_dataset(server.workspace, "colors"), folder_source(image_folder))
    dataset = dataset.with_split(0.5, seed=1)
    wrong = next(image for image in dataset.images_in("validation") if image.class_name == "red")
    dataset = dataset.relabelled([wrong.id], "blue").save()
    return train_once(server.workspace, dataset, TrainingConfig(backbone="tiny_random", epochs=40))


def click_cell(page: Page, row: int, column: int, num_classes: int = 3) -> None:
    """Click into a square of the confusion matrix, beside its middle."""
    point = page.locator(".js-plotly-plot .scatterlayer path.point").nth(row * num_classes + column)
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] + 15, box["y"] + box["height"] / 2)


def test_a_cell_is_clicked_a_photo_relabelled_and_the_model_trained_again(
    server: Server, person: Person, run: TrainingRun
) -> None:
    evaluation = run.evaluation()
    assert evaluation is not None
    mistakes = in_cell(evaluation, "blue", "red")
    assert len(mistakes) == 1, evaluation.confusion_matrix

    page = person(f"/Results?run={run.id}")
    expect(page.get_by_text("12 photos were tested.")).to_be_visible()
    page.get_by_role("radio", name="Mistakes").click()
    expect(heading(page, "What was taken for what")).to_be_visible()
    settle(page)
    expect(page.locator(".js-plotly-plot .scatterlayer path.point")).to_have_count(9)
    click_cell(page, row=0, column=2)
    expect(page.get_by_text("1 photo of blue that the network took for red.")).to_be_visible()
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
    # The part that was open stays open, now with the new model.
    expect(page.get_by_text("Click a square to see its photos.")).to_be_visible()
