"""The blocks of the Layers page in a real browser: by click, by keyboard, and through the ways to train."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Server, click_button, heading, settle
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source

pytestmark = pytest.mark.browser

Person = Callable[..., Page]


def test_blocks_freeze_and_melt_by_click_and_by_keyboard(
    person: Person, server: Server, image_folder: Path
) -> None:
    dataset = add_files(create_dataset(server.workspace, "colors"), folder_source(image_folder))
    page = person(f"/Layers?model=efficientnet_lite0&images={dataset.id}")
    blocks = page.get_by_role("slider", name="Number of frozen blocks")
    learning = blocks.locator(".learning")
    expect(learning).to_have_count(0)
    place = blocks.bounding_box()

    blocks.locator(".cell").nth(6).click()
    expect(learning).to_have_count(3)
    expect(page.get_by_role("radio", name="Fine-tuning")).to_be_checked()
    expect(page).to_have_url(re.compile("unfrozen=3"))
    blocks.locator(".cell").nth(6).click()
    expect(learning).to_have_count(2)

    blocks.press("ArrowLeft")
    blocks.press("ArrowLeft")
    expect(blocks).to_have_attribute("aria-valuenow", "5")
    expect(blocks).to_have_attribute("aria-valuetext", "The new layer and the last 4 blocks learn.")
    expect(page.get_by_role("status").filter(has_text="Trains in about")).to_contain_text("million values")
    expect(page).to_have_url(re.compile("unfrozen=4"))

    page.get_by_text("From scratch", exact=True).click()
    expect(learning).to_have_count(9)
    expect(page).to_have_url(re.compile("scratch=1"))
    page.get_by_text("Feature extraction", exact=True).click()
    expect(learning).to_have_count(0)
    settle(page)
    page.get_by_text("Fine-tuning", exact=True).click()
    expect(learning).to_have_count(4)
    assert blocks.bounding_box() == place, "the blocks moved"

    # A choice reaches the server even if the next click follows at once.
    blocks.press("End")
    click_button(page, "Next: train")
    expect(heading(page, "4 · Train")).to_be_visible()
    expect(page).to_have_url(re.compile("unfrozen=0"))
