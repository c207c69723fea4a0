"""A training in a real browser: pause, stop, a server that is killed and started again, and two runs in line."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import (
    Server,
    choose_long_training,
    click_button,
    heading,
    settle,
    wait_for_more_points,
)
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source
from transfer_core.events import RunContinued, RunPaused, RunResumed
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.stored_queue import StoredTraining, read_queue

pytestmark = pytest.mark.browser

Person = Callable[..., Page]


@pytest.fixture
def train_page(server: Server, image_folder: Path) -> str:
    """The address of the Train page with a tiny network and small pictures chosen."""
    dataset = add_files(create_dataset(server.workspace, "colors"), folder_source(image_folder))
    return f"/Train?model=tiny_random&images={dataset.id}&unfrozen=0"


def start_long_training(page: Page) -> None:
    """Start a training that does not end by itself within a test."""
    choose_long_training(page)
    start_training(page)


def start_training(page: Page) -> None:
    page.get_by_role("button", name="Start training").click()
    expect(
        page.get_by_role("button", name=re.compile("Stop and keep|Cancel|Leave the queue"))
    ).to_be_visible()


def newest_run(server: Server) -> TrainingRun:
    return TrainingRun.load(server.workspace, server.workspace.run_ids()[0])


def test_pause_go_on_and_stop(server: Server, person: Person, train_page: str) -> None:
    page = person(train_page)
    start_long_training(page)
    wait_for_more_points(page, 0)
    main = page.locator("[data-testid=stMain]")
    for label in ("Time left", "Accuracy", "Epoch"):
        expect(main.locator("[data-testid=stMetric]", has_text=label).first).to_be_visible()

    page.get_by_role("button", name="Pause", exact=True).click()
    expect(main.get_by_text("Nothing is lost while it waits")).to_be_visible()
    epochs = len(newest_run(server).snapshot().epochs)
    expect(main.get_by_text("Paused. Nothing is lost")).to_be_visible()
    assert len(newest_run(server).snapshot().epochs) == epochs
    page.get_by_role("button", name="Go on", exact=True).click()
    expect(page.get_by_role("button", name="Pause", exact=True)).to_be_visible()
    wait_for_more_points(page, epochs)

    page.get_by_role("button", name="Stop and keep the model").click()
    expect(page.get_by_text("Stopped on request.")).to_be_visible()
    kinds = [type(event) for event in newest_run(server).events()]
    assert kinds.count(RunPaused) == kinds.count(RunContinued) == 1

    settle(page)
    click_button(page, "More")
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("The model was deleted.")).to_be_visible()
    assert server.workspace.run_ids() == []
    click_button(page, "Undo")
    expect(page.get_by_text("Stopped on request.")).to_be_visible()
    assert len(server.workspace.run_ids()) == 1


def test_validation_photos_turn_green_or_red_in_place(
    server: Server, person: Person, train_page: str
) -> None:
    page = person(train_page)
    start_long_training(page)
    tiles = page.locator(".st-key-photo-grid .tile")
    expect(tiles.locator("img").first).to_have_attribute("src", re.compile("^data:image/jpeg"))
    tiles.evaluate_all("(tiles) => tiles.forEach((tile) => { tile.wasThere = true; })")
    scored = page.locator(".st-key-photo-grid .tile.right, .st-key-photo-grid .tile.wrong")
    expect(scored.first).to_be_visible()
    assert scored.count() == tiles.count() == len(newest_run(server).snapshot().scored_ids)
    expect(scored.first.locator("img")).to_have_attribute("alt", re.compile(": (correct|wrong)$"))
    wait_for_more_points(page, 3)
    expect(page.locator(".st-key-photo-grid .count")).to_have_text(re.compile(r"Epoch [3-9]|Epoch \d\d"))
    assert tiles.evaluate_all("(tiles) => tiles.every((tile) => tile.wasThere)")
    expect(page.locator(".st-key-photos-read [role=status]")).to_have_text(
        re.compile(r"Training the new layer, \d+\u00a0%")
    )
    page.get_by_role("button", name="Stop and keep the model").click()
    expect(page.get_by_role("button", name="Try it")).to_be_visible()


@pytest.mark.parametrize("is_killed", [True, False])
def test_server_that_is_started_again_goes_on_where_it_was(
    server: Server, person: Person, train_page: str, is_killed: bool
) -> None:
    page = person(train_page)
    start_long_training(page)
    wait_for_more_points(page, 0)
    run = newest_run(server)
    checkpoint = run.folder / "checkpoints" / "checkpoint.npz"
    while not checkpoint.exists():
        page.wait_for_timeout(50)
    server.stop(at_once=is_killed)
    num_epochs = len(run.snapshot().epochs)
    (stored,) = read_queue(server.workspace)
    assert stored == StoredTraining("", run.id, is_running=is_killed)
    server.start()
    page.goto(f"/Train?run={run.id}")
    wait_for_more_points(page, num_epochs)
    (resumed,) = [event for event in run.events() if isinstance(event, RunResumed)]
    assert resumed.epoch > 0
    page.get_by_role("button", name="Stop and keep the model").click()
    expect(page.get_by_text("Stopped on request.")).to_be_visible()
    expect(page.get_by_role("button", name="What it mixes up")).to_be_visible()
    epochs = [epoch.epoch for epoch in run.snapshot().epochs]
    assert epochs == list(range(1, len(epochs) + 1))
    assert server.workspace.run_ids() == [run.id]
    assert read_queue(server.workspace) == ()


def test_two_people_take_turns_and_another_window_shows_the_same_run(
    server: Server, person: Person, train_page: str
) -> None:
    first, second = person(train_page), person(train_page)
    for page in (first, second):
        choose_long_training(page)
    for page in (first, second):
        start_training(page)
    expect(second.get_by_text("1 training goes first.").first).to_be_visible()

    tab = person(first.url)
    expect(tab.get_by_role("button", name="Stop and keep the model")).to_be_visible()
    tab.get_by_role("link", name="1 · Model").click()
    expect(heading(tab, "1 · Model")).to_be_visible()
    expect(tab.locator("[data-testid=stSidebar]").get_by_text("Training now").first).to_be_visible()

    wait_for_more_points(first, 0)
    first.get_by_role("button", name="Stop and keep the model").click()
    expect(first.get_by_text("Stopped on request.")).to_be_visible()
    wait_for_more_points(second, 0)
    second.get_by_role("button", name="Stop and keep the model").click()
    expect(second.get_by_text("Stopped on request.")).to_be_visible()
    outcomes = [TrainingRun.load(server.workspace, run_id) for run_id in server.workspace.run_ids()]
    assert [run.snapshot().outcome for run in outcomes] == ["stopped", "stopped"]
