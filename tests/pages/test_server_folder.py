"""A folder on the server's own disk."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import MakeImage
from tests.pages.conftest import OpenPage, button, texts
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.sources.server_folder import ROOT_VARIABLE
from transfer_core.workspace import Workspace


@pytest.fixture
def root(image_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(ROOT_VARIABLE, str(image_folder.parent))
    return image_folder.parent


def take_in(page: AppTest) -> None:
    page.selectbox(key="server-folder-").set_value("colors").run()
    button(page, "Add these photos").click().run()
    assert not page.exception


def open_way(open_page: OpenPage) -> AppTest:
    page = open_page("2_Images")
    page.button_group[0].set_value("This computer").run()
    return page


def test_it_is_offered_only_where_the_server_allows_a_folder(open_page: OpenPage) -> None:
    assert "This computer" not in open_page("2_Images").button_group[0].options


def test_a_folder_of_the_server_comes_in(root: Path, open_page: OpenPage, page_workspace: Workspace) -> None:
    page = open_way(open_page)
    assert button(page, "Add these photos").disabled
    page.selectbox(key="server-folder-").set_value("colors").run()
    assert "Folders in it: blue, green, red" in texts(page)
    take_in(page)
    (dataset_id,) = page_workspace.dataset_ids()
    dataset = ImageDataset.load(page_workspace, dataset_id)
    assert (dataset.name, dataset.counts()) == ("colors", {"blue": 8, "green": 8, "red": 8})
    assert page.query_params["images"] == dataset_id


def test_a_folder_with_two_meanings_is_asked_about(
    root: Path, open_page: OpenPage, page_workspace: Workspace
) -> None:
    for part in ("first", "second"):
        shutil.copytree(root / "colors", root / "parted" / part)
    shutil.rmtree(root / "colors")
    (root / "parted").rename(root / "colors")
    page = open_way(open_page)
    take_in(page)
    assert "first and second seem to hold the same photos" in texts(page)
    assert not page_workspace.dataset_ids()
    button(page, "Only first").click().run()
    (dataset_id,) = page_workspace.dataset_ids()
    dataset = ImageDataset.load(page_workspace, dataset_id)
    assert dataset.counts() == {"blue": 8, "green": 8, "red": 8}
    assert "Only the folder first is used." in texts(page)


def test_a_folder_that_has_no_right_meaning_is_left_alone(
    root: Path, open_page: OpenPage, page_workspace: Workspace
) -> None:
    (root / "colors").rename(root / "inner")
    (root / "colors").mkdir()
    for part in ("train", "test"):
        for color in ("blue", "red"):
            source = next((root / "inner" / color).glob("*.jpg"))
            target = root / "colors" / part / source.name
            target.parent.mkdir(exist_ok=True)
            shutil.copy(source, target)
    page = open_way(open_page)
    take_in(page)
    assert "Where are their classes?" in texts(page)
    button(page, "None of these").click().run()
    assert "Make a folder with the photos of each class, then choose it again." in texts(page)
    assert not page_workspace.dataset_ids()


def test_a_folder_that_comes_in_by_batches_counts_each_file_once(
    root: Path, open_page: OpenPage, page_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.ui.images.server_folder.BATCH_FILES", 10)
    take_in(open_way(open_page))
    (dataset_id,) = page_workspace.dataset_ids()
    dataset = ImageDataset.load(page_workspace, dataset_id)
    assert (len(dataset.images), dataset.version) == (24, 3)


def test_a_folder_without_pictures_is_explained(
    root: Path, open_page: OpenPage, page_workspace: Workspace
) -> None:
    (root / "empty").mkdir()
    page = open_way(open_page)
    page.selectbox(key="server-folder-").set_value("empty").run()
    button(page, "Add these photos").click().run()
    assert page.error[0].value.startswith("There are no photos in it.")
    assert not page_workspace.dataset_ids()


def test_a_wrong_setting_is_one_sentence(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path / "nowhere"))
    page = open_way(open_page)
    assert ROOT_VARIABLE.replace("_", r"\_") in page.error[0].value


def test_what_is_in_is_kept_when_it_is_stopped(
    root: Path,
    open_page: OpenPage,
    page_workspace: Workspace,
    make_image: MakeImage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import pages.ui.images.server_folder as module

    monkeypatch.setattr(module, "BATCH_FILES", 10)
    add_batch = module._add_batch

    def stop_after_the_first(session, upload, *rest) -> None:
        add_batch(session, upload, *rest)
        module._stop(session, upload)
        module.st.rerun()

    monkeypatch.setattr(module, "_add_batch", stop_after_the_first)
    page = open_way(open_page)
    take_in(page)
    assert "Stopped. 10 photos are added." in page.info[0].value
    monkeypatch.setattr(module, "_add_batch", add_batch)
    page.toggle(key="join-images").set_value(True).run()
    button(page, "Add these photos").click().run()
    (dataset_id,) = page_workspace.dataset_ids()
    dataset = ImageDataset.load(page_workspace, dataset_id)
    assert (len(dataset.images), dataset.left_out) == (24, ())
    assert "10 photos were there already and were not added twice." in [info.value for info in page.info]
