"""The Model page in a real browser: look for a model, read about it, try two on one's own images."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Server, settle
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source

pytestmark = pytest.mark.browser

Person = Callable[..., Page]


def models(page: Page):
    """The buttons of the list of all models."""
    return page.locator("[class*=st-key-look-at-]")


def test_search_filter_and_details_of_a_model_that_is_not_here(person: Person) -> None:
    page = person("/Model")
    page.get_by_text("All 46 models").click()
    expect(models(page)).to_have_count(46)
    fast = page.get_by_role("button", name="Fast", exact=True)
    fast.click()
    page.get_by_role("button", name=re.compile("Accurate")).click()
    expect(page.get_by_text("No model fits.")).to_be_visible()
    fast.click()
    search = page.get_by_role("textbox", name="Search")
    search.fill("conv next")
    search.press("Enter")
    expect(models(page)).to_have_count(5)
    page.get_by_role("button", name=re.compile("ConvNeXtTiny")).click()
    details = page.get_by_role("dialog")
    for words in ("27.8 million", "81\u00a0% of photos", "MIT", "convnext_tiny_notop.h5"):
        expect(details.get_by_text(words).first).to_be_visible()
    # The address of this server's downloads leads nowhere: an error is shown, and no file counts as the weights.
    details.get_by_role("button", name=re.compile("Download")).click()
    expect(page.get_by_text("Choose a model that works offline")).to_be_visible()
    expect(details).to_be_hidden()
    page.get_by_role("button", name="Dismiss").click()
    expect(page.get_by_text("Choose a model that works offline")).to_be_hidden()


def test_two_models_try_the_images_and_the_better_one_is_taken(
    person: Person, server: Server, image_folder: Path
) -> None:
    dataset = add_files(create_dataset(server.workspace, "colors"), folder_source(image_folder))
    page = person(f"/Model?images={dataset.id}")
    page.get_by_text("Compare models on your photos").click()
    settle(page)
    page.get_by_role("button", name="Compare on my photos").click()
    expect(page.get_by_text(re.compile("Best trade-off: EfficientNet-Lite"))).to_be_visible()
    chart = page.locator(".st-key-audition-chart")
    expect(chart.get_by_text("★ best trade-off")).to_be_visible()
    expect(chart.get_by_text("seconds for 100 photos here")).to_be_visible()
    page.get_by_role("button", name=re.compile("Use EfficientNet-Lite")).click()
    expect(page.get_by_role("button", name="Chosen").first).to_be_visible()
    expect(page).to_have_url(re.compile("model=efficientnet_lite"))
