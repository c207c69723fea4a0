"""Folders and zips from a real browser, good and bad ones."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import MakeImage
from tests.e2e.conftest import Server, choose_folder, heading, settle
from transfer_core.data.dataset import ImageDataset

pytestmark = pytest.mark.browser

Person = Callable[[], Page]


def open_images(page: Page) -> None:
    page.goto("/Images")
    settle(page)


def test_nothing_good_is_lost_among_bad_files(
    server: Server, person: Person, image_folder: Path, make_image: MakeImage
) -> None:
    whole = make_image("red", seed=77, image_format="JPEG", size=(200, 160))
    (image_folder / "red" / "cut-off.jpg").write_bytes(whole[: len(whole) // 2])
    (image_folder / "red" / "text.jpg").write_text("these are only words")
    (image_folder / "blue" / "empty.png").touch()
    (image_folder / "blue" / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (image_folder / "__MACOSX").mkdir()
    (image_folder / "__MACOSX" / "._red-0.jpg").write_bytes(b"\0\5\x16\7")
    (image_folder / "stray.png").write_bytes(make_image("green", seed=78))
    page = person()
    open_images(page)
    choose_folder(page, image_folder)
    expect(heading(page, "Gallery")).to_be_visible()
    expect(page.get_by_text("24 images in 3 classes")).to_be_visible()
    expect(page.get_by_text("4 files were left out")).to_be_visible()
    (dataset_id,) = server.workspace.dataset_ids()
    dataset = ImageDataset.load(server.workspace, dataset_id)
    assert {file.name: file.reason for file in dataset.left_out if not file.is_expected} == {
        "red/cut-off.jpg": "the picture is cut off or damaged",
        "red/text.jpg": "it is not a picture, whatever its name says",
        "blue/empty.png": "the file is empty (0 bytes)",
        "stray.png": "it is not in a class folder",
    }


def test_many_files_arrive_in_batches_and_each_once(
    server: Server, person: Person, tmp_path: Path, make_image: MakeImage
) -> None:
    for number in range(450):
        target = tmp_path / "many" / ("red" if number % 2 else "blue") / f"{number}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(make_image(target.parent.name, seed=number, image_format="JPEG"))
    page = person()
    open_images(page)
    choose_folder(page, tmp_path / "many")
    expect(page.get_by_text("450 images in 2 classes")).to_be_visible()
    (dataset_id,) = server.workspace.dataset_ids()
    dataset = ImageDataset.load(server.workspace, dataset_id)
    assert len({image.name for image in dataset.images}) == 450
    assert dataset.version >= 3, "the folder came in one piece"


def test_a_folder_without_subfolders_is_explained(person: Person, image_folder: Path) -> None:
    page = person()
    open_images(page)
    choose_folder(page, image_folder / "red")
    expect(page.get_by_text("There are no subfolders in it, so the classes cannot be told.")).to_be_visible()
    choose_folder(page, image_folder)
    expect(page.get_by_text("24 images in 3 classes")).to_be_visible()


def test_more_images_join_those_that_are_there(
    server: Server, person: Person, image_folder: Path, tmp_path: Path, make_image: MakeImage
) -> None:
    page = person()
    open_images(page)
    choose_folder(page, image_folder)
    expect(page.get_by_text("24 images in 3 classes")).to_be_visible()
    (tmp_path / "more" / "grey").mkdir(parents=True)
    for number in range(3):
        (tmp_path / "more" / "grey" / f"{number}.png").write_bytes(make_image("grey", seed=number))
    page.get_by_text("Add to the images below, rather than start anew").click()
    settle(page)
    choose_folder(page, tmp_path / "more")
    expect(page.get_by_text("27 images in 4 classes")).to_be_visible()
    assert len(server.workspace.dataset_ids()) == 1


def test_a_zip_comes_in(person: Person, image_folder: Path, tmp_path: Path) -> None:
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", image_folder.parent, image_folder.name)
    page = person()
    open_images(page)
    page.get_by_text("A zip file", exact=True).click()
    page.locator("[data-testid=stFileUploader] input[type=file]").set_input_files(archive)
    expect(page.get_by_text("24 images in 3 classes")).to_be_visible()


def test_stopping_half_way_keeps_what_has_arrived(
    server: Server, person: Person, tmp_path: Path, make_image: MakeImage
) -> None:
    for number in range(900):
        target = tmp_path / "many" / ("red" if number % 2 else "blue") / f"{number}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(make_image(target.parent.name, seed=number, image_format="JPEG"))
    page = person()
    open_images(page)
    choose_folder(page, tmp_path / "many")
    page.get_by_role("button", name="Stop here and keep what has arrived").click()
    expect(heading(page, "Gallery")).to_be_visible()
    expect(page.get_by_role("button", name="Choose a folder")).to_be_visible()
    (dataset_id,) = server.workspace.dataset_ids()
    num_images = len(ImageDataset.load(server.workspace, dataset_id).images)
    assert 0 < num_images < 900
    assert dataset_id in page.url
