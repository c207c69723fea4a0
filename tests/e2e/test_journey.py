"""The whole journey in a real browser, with really pretrained weights."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import COLORS, ROOT, MakeImage
from tests.e2e.conftest import (
    Server,
    choose_folder,
    choose_long_training,
    click_button,
    heading,
    pick_first_model,
    settle,
    wait_for_more_points,
)

pytestmark = pytest.mark.browser

Person = Callable[..., Page]
NUM_KEPT_ASIDE = 1
NUM_PHOTOS = 20  # of a class, test photos included; together more than a page of the gallery holds


@pytest.fixture
def photos(tmp_path: Path, make_image: MakeImage) -> tuple[Path, dict[Path, str]]:
    """A folder of labelled photos, and some of each class to test with.

    Real photos where they are available. Otherwise pictures of one colour a class, which no rounding of a processor
    makes alike: of the drawings that ship with the app the model is hardly sure.
    """
    source = ROOT.parent / "shared" / "data" / "flowers"
    if not source.is_dir():
        source = tmp_path / "drawn"
        for seed, color in enumerate(COLORS):
            (source / color).mkdir(parents=True)
            for number in range(NUM_PHOTOS):
                content = make_image(color, seed=100 * seed + number, size=(96, 96))
                (source / color / f"{color}-{number:02}.png").write_bytes(content)
    kept_aside: dict[Path, str] = {}
    for folder in sorted(source.iterdir())[:3]:
        files = sorted(folder.iterdir())[:NUM_PHOTOS]
        for file in files[NUM_KEPT_ASIDE:]:
            target = tmp_path / "photos" / folder.name / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        kept_aside |= dict.fromkeys(files[:NUM_KEPT_ASIDE], folder.name)
    return tmp_path / "photos", kept_aside


def test_from_the_welcome_page_to_the_right_class(
    server: Server, person: Person, photos: tuple[Path, dict[Path, str]]
) -> None:
    folder, kept_aside = photos
    page = person()
    expect(heading(page, "Teach a computer to see what you see")).to_be_visible()
    page.get_by_test_id("stSidebar").get_by_role("link", name="1 · Model").click()
    expect(heading(page, "1 · Model")).to_be_visible()
    pick_first_model(page)
    click_button(page, "Next: photos")

    choose_folder(page, folder)
    expect(heading(page, "All photos")).to_be_visible()
    expect(page.get_by_text("57 photos in 3 classes").first).to_be_visible()
    expect(page.locator(".st-key-gallery img")).to_have_count(48)
    click_button(page, "Next: layers")

    blocks = page.get_by_role("slider", name="Number of frozen blocks")
    expect(blocks.locator(".frozen")).to_have_count(9)
    blocks.locator(".cell").last.click()
    expect(blocks.locator(".learning")).to_have_count(1)
    expect(page.get_by_text(re.compile(r"\d{3},\d{3} of 3\.4 million values learn\."))).to_be_visible()
    blocks.press("End")
    expect(blocks.locator(".frozen")).to_have_count(9)
    expect(page).to_have_url(re.compile("unfrozen=0"))
    settle(page)
    click_button(page, "Next: train")

    choose_long_training(page)
    page.get_by_role("button", name="Start training").click()
    expect(page.get_by_role("button", name="Stop and keep the model")).to_be_visible()
    sidebar = page.get_by_test_id("stSidebar")
    expect(sidebar.get_by_text("Ready when training ends")).to_have_count(3)
    first = wait_for_more_points(page, 0)
    second = wait_for_more_points(page, first)
    assert second > first > 0, "the chart did not gain points while training ran"

    page.reload()
    settle(page)
    expect(page.get_by_role("button", name="Stop and keep the model")).to_be_visible()
    wait_for_more_points(page, second)
    page.get_by_role("button", name="Stop and keep the model").click()
    expect(page.get_by_text("Stopped on request.")).to_be_visible()
    click_button(page, "What it mixes up")
    expect(heading(page, "5 · Results")).to_be_visible()
    click_button(page, "Next: try it")
    expect(heading(page, "6 · Test")).to_be_visible()
    settle(page)

    page.get_by_text("Photos", exact=True).click()
    num_right = 0
    for file, label in kept_aside.items():
        page.locator("[data-testid=stFileUploader] input[type=file]").first.set_input_files(file)
        expect(page.get_by_text(file.name).first).to_be_visible()
        settle(page)
        num_right += page.locator(".answer-said").first.inner_text() == label
    assert num_right >= len(kept_aside) - 1
    click_button(page, "Next: export")
    expect(heading(page, "7 · Export")).to_be_visible()
    assert len(server.workspace.run_ids()) == 1
