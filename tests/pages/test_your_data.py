"""The page Your data: what is stored, and deleting it for good; deleting on the Images page."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.runtime.context import ContextProxy

from tests.pages.conftest import OpenPage, texts
from transfer_core.classroom.facts import CLASS_VARIABLE, Classroom
from transfer_core.classroom.people import join
from transfer_core.classroom.visitor import COOKIE, cookie_of_person
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source
from transfer_core.runs.training_run import TrainingRun
from transfer_core.runs.trash import move_to_trash
from transfer_core.workspace import Workspace

pytestmark = pytest.mark.usefixtures("tasks_at_once")

PAGE = "12_Your_data"


@pytest.fixture
def run(page_workspace: Workspace, dataset: ImageDataset) -> TrainingRun:
    return TrainingRun.create(page_workspace, dataset, TrainingConfig(backbone="tiny_random"))


def test_with_nothing_stored(open_page: OpenPage, page_workspace: Workspace) -> None:
    page = open_page(PAGE)
    assert "Nothing is stored yet." in texts(page)
    assert page.code[0].value == str(page_workspace.root)


def test_each_thing_is_listed_and_asked_about_before_it_is_deleted(
    open_page: OpenPage, page_workspace: Workspace, dataset: ImageDataset, run: TrainingRun
) -> None:
    page = open_page(PAGE)
    assert [found.value for found in page.header][:2] == ["Photo sets", "Models"]
    page.button(key=f"delete-dataset-{dataset.id}").click().run()
    assert "**This cannot be undone.**" in texts(page)
    assert page_workspace.dataset_ids() == [dataset.id]
    page.button(key="no").click().run()
    assert page_workspace.dataset_ids() == [dataset.id]
    page.button(key=f"delete-dataset-{dataset.id}").click().run()
    page.button(key="yes").click().run()
    assert not page.exception
    assert page_workspace.dataset_ids() == []
    assert list(page_workspace.root.rglob("*.jpg")) == []
    assert page_workspace.run_ids() == [run.id]


def test_trash_is_shown_taken_back_and_emptied(
    open_page: OpenPage, page_workspace: Workspace, run: TrainingRun
) -> None:
    move_to_trash(page_workspace, run.id)
    page = open_page(PAGE)
    assert any("7 days left" in found.value for found in page.caption)
    page.button(key=f"back-run-{run.id}").click().run()
    assert page_workspace.run_ids() == [run.id]
    move_to_trash(page_workspace, run.id)
    page.run()
    page.button(key="delete-trash").click().run()
    page.button(key="yes").click().run()
    assert list(page_workspace.trash_dir.glob("[!.]*")) == []


def test_everything_is_deleted(
    open_page: OpenPage, page_workspace: Workspace, dataset: ImageDataset, run: TrainingRun
) -> None:
    page = open_page(PAGE, run=run.id, images=dataset.id)
    page.button(key="delete-everything").click().run()
    page.button(key="yes").click().run()
    page.run()
    assert not page.exception
    assert "Nothing is stored yet." in texts(page)
    assert list(page_workspace.root.rglob("*.jpg")) == list(page_workspace.root.rglob("config.json")) == []


def test_pupil_sees_and_deletes_only_what_is_theirs(
    open_page: OpenPage,
    page_workspace: Workspace,
    dataset: ImageDataset,
    image_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(CLASS_VARIABLE, "1")
    person = join(page_workspace, "Fox")
    own = page_workspace.person(person.id)
    theirs = add_files(create_dataset(own, "Fox's photos"), folder_source(image_folder))
    cookie = cookie_of_person(Classroom(page_workspace).facts(), person.id)
    monkeypatch.setattr(ContextProxy, "cookies", property(lambda _self: {COOKIE: cookie}))
    collected = page_workspace.cache_dir / "collected" / "all.zip"
    collected.parent.mkdir()
    collected.write_bytes(b"copies of everybody's photos")
    page = open_page(PAGE)
    keys = [found.key for found in page.button]
    assert f"delete-dataset-{theirs.id}" in keys
    assert f"delete-dataset-{dataset.id}" not in keys
    assert not page.code
    page.button(key="delete-everything").click().run()
    page.button(key="yes").click().run()
    page.run()
    assert "Nothing is stored yet." in texts(page)
    assert own.dataset_ids() == []
    assert not collected.exists()
    assert page_workspace.dataset_ids() == [dataset.id]
    assert page_workspace.person_ids() == [person.id]


class TestImagesPage:
    def test_photo_set_is_deleted_and_undone(
        self, open_page: OpenPage, page_workspace: Workspace, dataset: ImageDataset
    ) -> None:
        page = open_page("2_Images", images=dataset.id)
        page.button(key="delete-photo-set").click().run()
        assert page_workspace.dataset_ids() == []
        page.button(key="undo-delete-photo-set").click().run()
        assert not page.exception
        assert page_workspace.dataset_ids() == [dataset.id]
        assert page.button(key="delete-photo-set")

    def test_excluded_photos_are_deleted_for_good(
        self, open_page: OpenPage, page_workspace: Workspace, dataset: ImageDataset
    ) -> None:
        image = dataset.images[0]
        changed = dataset.without([image.id]).save()
        page = open_page("2_Images", images=dataset.id)
        assert "1 photo is excluded, but still stored." in texts(page)
        page.button(key="delete-excluded").click().run()
        page.button(key="yes").click().run()
        assert not changed.image_path(image).exists()
        assert ImageDataset.load(page_workspace, dataset.id).excluded == ()
