"""A project saved on one computer and opened on another: the same photo gets the same answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import TrainOnce
from tests.e2e.conftest import Server, click_button, heading, running_server, settle
from transfer_core.config import TrainingConfig
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source

pytestmark = pytest.mark.browser


def answer_to(page: Page, photo: Path) -> list[str]:
    """What the Test page says of a photo: each class with its share."""
    page.get_by_role("radio", name="Photos", exact=True).click()
    settle(page)
    page.locator("[data-testid=stFileUploader] input[type=file]").set_input_files(photo)
    expect(page.locator(".bars")).to_have_count(1)
    settle(page)
    return page.locator(".bars").all_inner_texts()


def test_saved_on_one_server_and_opened_on_another(
    server: Server,
    person: Callable[..., Page],
    image_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
    train_once: TrainOnce,
) -> None:
    dataset = add_files(create_dataset(server.workspace, "colors"), folder_source(image_folder))
    run = train_once(server.workspace, dataset, TrainingConfig(backbone="tiny_random", epochs=10))
    photo = image_folder / "red" / "red-3.jpg"

    page = person(f"/Test?pick={run.id}")
    expected = answer_to(page, photo)
    page.locator("[data-testid=stSidebar]").get_by_role("link", name="Projects").click()
    expect(heading(page, "Projects")).to_be_visible()
    expect(page.get_by_text("The file will have 24 photos and 1 trained model")).to_be_visible()
    page.get_by_role("button", name="Create the file").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "colors.project.zip"
    project = tmp_path_factory.mktemp("downloads") / "colors.project.zip"
    download.value.save_as(project)

    with running_server(tmp_path_factory.mktemp("elsewhere")) as elsewhere:
        page.goto(elsewhere.url)
        settle(page)
        page.get_by_role("link", name="Open a project").click()
        expect(page.get_by_text("There is nothing to save yet. Add photos first.")).to_be_visible()
        settle(page)
        field = page.locator("[data-testid=stFileUploader] input[type=file]")
        (project.parent / "other.zip").write_bytes(project.read_bytes()[:1000])
        field.set_input_files(project.parent / "other.zip")
        expect(page.get_by_text("This is not a project of Transfer Studio")).to_be_visible()
        settle(page)
        field.set_input_files(project)
        expect(page.get_by_text("Opened: “colors” with 24 photos and 1 trained model.")).to_be_visible()
        settle(page)
        click_button(page, "Test it")
        expect(heading(page, "6 · Test")).to_be_visible()
        settle(page)
        assert answer_to(page, photo) == expected
        assert elsewhere.workspace.run_ids() == [run.id]
        page.goto("about:blank")
