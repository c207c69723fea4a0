"""Photos without labels in a real browser: moved, accepted and undone, many at once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import MakeImage
from tests.e2e.conftest import Server, click_button, settle
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import create_dataset
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.runs.unlabelled import add_unlabelled, unlabelled_of

pytestmark = pytest.mark.browser


def test_photos_are_moved_accepted_undone_and_thrown_away(
    server: Server, person: Callable[..., Page], make_image: MakeImage
) -> None:
    files = [
        ImportedFile((f"{color}-{seed}.png",), lambda c=color, s=seed: make_image(c, seed=s))
        for color in ("blue", "red")
        for seed in range(3)
    ]
    dataset = add_unlabelled(create_dataset(server.workspace, "desk"), files)

    def counts() -> dict[str, int]:
        return ImageDataset.load(server.workspace, dataset.id).counts()

    page = person(f"/Images?images={dataset.id}")
    expect(page.get_by_text("6 photos wait for you.")).to_be_visible()
    page.get_by_role("checkbox", name="red-0.png").check()
    page.get_by_role("checkbox", name="red-2.png").click(modifiers=["Shift"])
    actions = page.get_by_role("toolbar").filter(has_text="3 selected")
    actions.get_by_role("combobox").select_option("a new class …")
    actions.get_by_role("textbox", name="Name of the new class").fill("violet")
    actions.get_by_role("button", name="Move", exact=True).click()
    expect(page.get_by_role("radio", name="Not sorted yet · 3")).to_be_visible()
    assert counts() == {}
    page.get_by_role("radio", name="violet · 3").click()
    click_button(page, "Add 3 photos to violet")
    expect(page.get_by_text("3 photos added to violet.")).to_be_visible()
    assert counts() == {"violet": 3}
    page.locator(".st-key-accepted").get_by_role("button", name="Undo").click()
    expect(page.get_by_role("radio", name="violet · 3")).to_be_visible()
    assert counts() == {}
    page.get_by_role("radio", name="Not sorted yet · 3").click()
    settle(page)
    page.get_by_role("button", name="Throw away this pile").click()
    click_button(page, "Delete them")
    expect(page.get_by_text("3 photos wait for you.")).to_be_visible()
    found = unlabelled_of(ImageDataset.load(server.workspace, dataset.id))
    assert found and {image.name for image in found.photos.images} == {"red-0.png", "red-1.png", "red-2.png"}
