"""Two trainings at once on a real cluster of two nodes, from the photos to a downloaded model, in a real browser."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import ConsoleMessage, Page, expect

from tests.core.work.cluster.conftest import TwoNodes, cluster_environment, two_nodes
from tests.e2e.conftest import (
    Server,
    choose_folder,
    choose_long_training,
    click_button,
    heading,
    running_server,
    settle,
    wait_for_more_points,
)
from transfer_core.events import RunPlaced
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.executor import EXECUTOR_VARIABLE

pytestmark = pytest.mark.browser

COMPUTER = platform.node()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[TwoNodes]:
    folder = tmp_path / "cluster"
    folder.mkdir()
    with two_nodes(folder, cluster_environment()) as cluster:
        yield cluster


@pytest.fixture
def fresh_server(tmp_path: Path, cluster: TwoNodes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The app on that cluster."""
    monkeypatch.setenv(EXECUTOR_VARIABLE, "ray")
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    with running_server(tmp_path) as server:
        yield server


def stop(page: Page) -> None:
    page.get_by_role("button", name="Stop and keep the model").click()
    expect(page.get_by_text("Stopped on request.")).to_be_visible()


def test_two_trainings_run_at_once_and_one_is_tried_and_taken_away(
    fresh_server: Server, person: Callable[..., Page], image_folder: Path
) -> None:
    complaints: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        # Streamlit looks for its server below the address of a page first.
        if message.type == "error" and "404" not in message.text:
            complaints.append(message.text)

    page = person("/Images?model=tiny_random")
    page.on("console", listen)
    choose_folder(page, image_folder)
    expect(page.get_by_text("24 photos in 3 classes").first).to_be_visible()
    settle(page)
    click_button(page, "Next: layers")
    click_button(page, "Next: train")
    expect(heading(page, "4 · Train")).to_be_visible()
    second = person(page.url)
    for each in (page, second):
        choose_long_training(each)
    for each in (page, second):
        each.get_by_role("button", name="Start training").click()
    for each in (page, second):
        expect(each.get_by_test_id("stMain").get_by_text(f"Runs on {COMPUTER}")).to_be_visible()
        wait_for_more_points(each, 0)

    page.get_by_role("link", name="Compare").click()
    expect(heading(page, "Compare")).to_be_visible()
    sidebar = page.get_by_test_id("stSidebar")
    expect(sidebar.get_by_text(f"Training now · {COMPUTER}")).to_have_count(2)
    sidebar.get_by_text("Computers", exact=True).click()
    expect(sidebar.get_by_text("2 trainings now")).to_be_visible()
    page.get_by_role("link", name="4 · Train").click()
    stop(page)
    stop(second)
    runs = [TrainingRun.load(fresh_server.workspace, run_id) for run_id in fresh_server.workspace.run_ids()]
    assert len(runs) == 2
    for run in runs:
        assert [event.node for event in run.events() if isinstance(event, RunPlaced)] == [COMPUTER]
        assert (run.folder / "model.keras").is_file()

    click_button(page, "What it mixes up")
    expect(heading(page, "5 · Results")).to_be_visible()
    expect(page.get_by_text(f"Trained on {COMPUTER}")).to_be_visible()
    click_button(page, "Next: try it")
    expect(heading(page, "6 · Test")).to_be_visible()
    settle(page)
    page.get_by_text("Photos", exact=True).click()
    photo = image_folder / "red" / "red-3.jpg"
    page.locator("[data-testid=stFileUploader] input[type=file]").first.set_input_files(photo)
    expect(page.locator(".answer-said").first).to_have_text("red")
    settle(page)
    click_button(page, "Next: export")
    card = page.locator(".st-key-export-code")
    card.get_by_role("button", name="Create").click()
    with page.expect_download() as download:
        card.get_by_role("button", name="Download").click()
    assert Path(download.value.suggested_filename).suffix == ".zip"
    assert complaints == []
