"""Photos are read before a training, in a real browser, so that the training finds their features on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Server, choose_folder, click_button, running_server, settle
from transfer_core.events import PhaseStarted
from transfer_core.runs.training_run import TrainingRun

pytestmark = pytest.mark.browser


@pytest.fixture
def fresh_server(tmp_path: Path) -> Iterator[Server]:
    with running_server(tmp_path, has_look_ahead=True) as server:
        yield server


def test_training_finds_the_photos_read(
    fresh_server: Server, person: Callable[..., Page], image_folder: Path
) -> None:
    page = person("/Images?model=tiny_random")
    choose_folder(page, image_folder)
    expect(page.locator("[data-testid=stSidebar]").get_by_text("24 of 24 photos read")).to_be_visible()
    settle(page)
    click_button(page, "Next: layers")
    click_button(page, "Next: train")
    page.get_by_role("button", name="Start training").click()
    expect(page.get_by_role("button", name="What it mixes up")).to_be_visible()
    (run_id,) = fresh_server.workspace.run_ids()
    events = TrainingRun.load(fresh_server.workspace, run_id).events()
    features = next(
        event for event in events if isinstance(event, PhaseStarted) and event.phase == "features"
    )
    assert features.first_step == features.num_steps > 0
