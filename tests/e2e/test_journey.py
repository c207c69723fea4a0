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
NUM_KEPT_ASIDE = 2
NUM_PHOTOS = 40  # of a class, with those kept aside


@pytest.fixture
def photos(tmp_path: Path, make_image: MakeImage) -> tuple[Path, dict[Path, str]]:
    """A folder of labelled photos, and some of each class that are kept aside to test with.

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
        files = sorted(folder.iterdir())
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
    click_button(page, "Start")
    expect(heading(page, "1 · Model")).to_be_visible()
    pick_first_model(page)
    click_button(page, "Next: photos")

    choose_folder(page, folder)
    expect(heading(page, "All photos")).to_be_visible()
    expect(page.get_by_text("114 photos in 3 classes")).to_be_visible()
    expect(page.locator(".st-key-gallery img")).to_have_count(48)
    click_button(page, "Next: layers")

    blocks = page.get_by_role("slider", name="Number of frozen blocks")
    expect(blocks.locator(".frozen")).to_have_count(9)
    blocks.locator(".cell").last.click()
    expect(blocks.locator(".learning")).to_have_count(1)
    expect(page.get_by_text("0.4 of 3.4 million values learn.")).to_be_visible()
    blocks.press("End")
    expect(blocks.locator(".frozen")).to_have_count(9)
    expect(page).to_have_url(re.compile("unfrozen=0"))
    settle(page)
    click_button(page, "Next: train")

    choose_long_training(page)
    page.get_by_role("button", name="Start training").click()
    expect(page.get_by_role("button", name="Stop and keep the model")).to_be_visible()
    main = page.locator("[data-testid=stMain]")
    expect(main.get_by_text(re.compile("training the new layer", re.IGNORECASE))).to_be_visible()
    first = wait_for_more_points(page, 0)
    second = wait_for_more_points(page, first)
    assert second > first > 0, "the chart did not gain points while training ran"

    page.reload()
    settle(page)
    expect(page.get_by_role("button", name="Stop and keep the model")).to_be_visible()
    wait_for_more_points(page, second)
    page.get_by_role("button", name="Stop and keep the model").click()
    expect(page.get_by_text("Stopped on request. The best model so far was kept.")).to_be_visible()
    click_button(page, "See where it fails")
    expect(heading(page, "Class by class")).to_be_visible()
    click_button(page, "Next: test it on new photos")
    expect(heading(page, "6 · Test")).to_be_visible()
    settle(page)

    page.locator("[data-testid=stFileUploader] input[type=file]").set_input_files(list(kept_aside))
    expect(page.locator(".bars")).to_have_count(len(kept_aside))
    settle(page)
    answers = page.locator("[data-testid=stMain] h3").all_inner_texts()
    num_right = sum(
        answer.strip() == label for answer, label in zip(answers, kept_aside.values(), strict=True)
    )
    assert num_right >= len(kept_aside) - 1, answers
    assert len(server.workspace.run_ids()) == 1


def test_one_click_to_a_trained_model(server: Server, person: Person) -> None:
    page = person()
    page.get_by_role("button", name="Try it with sample images").click()
    expect(page.get_by_text("Training is done.")).to_be_visible()
    right = page.locator("[data-testid=stMetric]", has_text="Accuracy").first
    assert int(re.search(r"(\d+)%", right.inner_text())[1]) >= 65  # 20 would be a guess
    click_button(page, "Next: test it on new photos")
    expect(heading(page, "6 · Test")).to_be_visible()
    settle(page)
    page.get_by_text("Use the pictures of the sample that were kept aside").click()
    expect(page.locator(".bars")).to_have_count(25)
    settle(page)
    answers = page.locator("[data-testid=stMain] h3").all_inner_texts()
    labels = [name for name in ("animals", "clothing", "food", "smileys", "vehicles") for _ in range(5)]
    num_right = sum(answer.strip() == label for answer, label in zip(answers, labels, strict=True))
    assert num_right >= 15, answers  # 5 would be a guess
