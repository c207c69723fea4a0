"""Why a model decides so, the map of its photos, and two runs side by side, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import TrainOnce
from tests.e2e.conftest import Server, click_button, heading
from transfer_core.config import TrainingConfig
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source
from transfer_core.runs.training_run import TrainingRun

pytestmark = pytest.mark.browser

Person = Callable[..., Page]


@pytest.fixture
def runs(server: Server, image_folder: Path, train_once: TrainOnce) -> list[TrainingRun]:
    """Two finished runs on the same photos."""
    dataset = add_files(create_dataset(server.workspace, "colors"), folder_source(image_folder))
    return [
        train_once(server.workspace, dataset, TrainingConfig(backbone="tiny_random", epochs=epochs))
        for epochs in (2, 10)
    ]


def test_a_lesson_leads_to_where_the_model_looks_and_to_the_map(
    person: Person, runs: list[TrainingRun]
) -> None:
    page = person(f"/Learn?run={runs[1].id}")
    lesson = page.locator(".st-key-lesson-shortcuts")
    lesson.get_by_role("button", name="See where your model looks").click()
    expect(heading(page, "5 · Results")).to_be_visible()
    heat = page.locator("img.heat")
    expect(heat).to_have_css("opacity", "0.7")
    slider = page.get_by_role("slider", name="Strength of the colours")
    slider.fill("20")
    expect(heat).to_have_css("opacity", "0.2")

    page.get_by_role("radio", name="Photo map").click()
    photos = page.get_by_role("option")
    expect(photos).to_have_count(24)
    photos.last.click()  # drawn on top of the others
    expect(page.locator(".st-key-map-photo img")).to_have_count(1)


def test_two_runs_are_picked_compared_and_one_is_deleted_and_had_back(
    server: Server, person: Person, runs: list[TrainingRun]
) -> None:
    page = person(f"/Compare?compare={runs[0].id}")
    expect(page.get_by_text("Pick one more model")).to_be_visible()
    page.get_by_role("combobox", name="Models to compare").click()
    page.get_by_role("option").first.click()
    page.keyboard.press("Escape")
    expect(page.get_by_text("The only difference is the number of epochs.")).to_be_visible()
    expect(page.get_by_role("heading", name=re.compile("better|equally|no difference"))).to_be_visible()
    expect(page.get_by_text("How we know")).to_be_visible()

    # The star in the first row of the table, which is drawn on a canvas.
    table = page.get_by_test_id("stDataFrame").last
    table.evaluate("(found) => found.scrollIntoView({ block: 'center' })")
    box = table.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 22, box["y"] + 52)
    expect(page.get_by_text("Saved.", exact=True)).to_be_visible()
    starred = [run for run in runs if run.files.notes().is_starred]
    assert len(starred) == 1

    page.locator(f".st-key-delete-{runs[0].id}").get_by_role("button").click()
    expect(page.get_by_text("The model was deleted.")).to_be_visible()
    assert server.workspace.run_ids() == [runs[1].id]
    click_button(page, "Undo")
    expect(page.get_by_text("The model was deleted.")).not_to_be_visible()
    assert set(server.workspace.run_ids()) == {run.id for run in runs}
