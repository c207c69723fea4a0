"""The Projects page: what is saved, what is opened, and what is refused."""

from __future__ import annotations

import gc
import io
import weakref
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import pages.ui.app.process
from pages.ui.app.tasks import opening_of, start_opening
from tests.pages.conftest import HeldTasks, OpenPage, button, texts
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.projects.open import open_project
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.live_run import LiveRun
from transfer_core.workspace import Workspace

pytestmark = pytest.mark.usefixtures("tasks_at_once")

PAGE = "10_Projects"
SHIPPED = Path(__file__).parents[1] / "core" / "projects" / "data" / "version-1.zip"


def downloads(page: AppTest) -> list[str]:
    return [found.proto.label for found in page.get("download_button")]


def bring(page: AppTest, name: str, content: bytes) -> AppTest:
    page.file_uploader[0].upload(name, content, "application/zip").run()
    assert not page.exception
    return page


def test_it_is_reached_from_the_sidebar(open_page: OpenPage) -> None:
    page = open_page()
    labels = [link.label for link in page.get("page_link")]
    assert "Projects" in labels
    assert "Open a project from a file" in labels


def test_with_nothing_there_it_says_what_to_do(open_page: OpenPage) -> None:
    page = open_page(PAGE)
    assert page.title[0].value == "Projects"
    assert "There is nothing to save yet. Add photos first." in texts(page)
    assert "Go to Images" in [link.label for link in page.get("page_link")]
    assert len(page.file_uploader) == 1


def test_it_says_what_goes_in_and_what_stays_behind(
    open_page: OpenPage, dataset: ImageDataset, page_workspace: Workspace, tmp_path: Path
) -> None:
    live = LiveRun(TrainingRun.create(page_workspace, dataset, TrainingConfig(backbone="tiny_random")))
    page = open_page(PAGE, images=dataset.id)
    assert page.selectbox[0].options[0].startswith("colors · 24 photos · ")
    assert "The file will have 24 photos and 0 trained models: about 1 MB." in texts(page)
    assert "Not included: 1 training" in texts(page)
    assert "it has not ended. (1)" in texts(page)
    assert not downloads(page)
    button(page, "Create the file").click().run()
    assert downloads(page) == ["Download (1 MB)"]
    path = pages.ui.app.process.workspace().cache_dir / "projects" / f"{dataset.id}.zip"
    with path.open("rb") as content:
        opened = open_project(Workspace(tmp_path / "there"), content)
    assert (opened.dataset_id, opened.run_ids) == (dataset.id, ())
    live.release()
    # Changed photos need another file.
    dataset.without([dataset.images[0].id]).save()
    page = open_page(PAGE, images=dataset.id)
    assert not downloads(page)
    assert button(page, "Create the file")


def test_a_project_is_opened_with_ways_to_go_on(open_page: OpenPage, page_workspace: Workspace) -> None:
    page = bring(open_page(PAGE), "colours.zip", SHIPPED.read_bytes())
    assert "Opened: “Colours” with 11 photos and 2 trained models." in page.success[0].value
    assert len(page_workspace.run_ids()) == 2
    button(page, "See its results").click().run()
    assert page.title[0].value == "5 · Results"
    assert TrainingRun.load(page_workspace, page.query_params["pick"]).dataset_name == "Colours"

    page = bring(open_page(PAGE), "colours.zip", SHIPPED.read_bytes())
    assert "everything was here already" in page.info[0].value
    (dataset_id,) = page_workspace.dataset_ids()
    dataset = ImageDataset.load(page_workspace, dataset_id)
    dataset.without([dataset.images[0].id]).save()
    page = bring(open_page(PAGE), "colours.zip", SHIPPED.read_bytes())
    assert "Opened as a copy: “Colours”" in page.success[0].value
    assert len(page_workspace.run_ids()) == 4


def test_what_was_opened_can_be_built_on(open_page: OpenPage, page_workspace: Workspace) -> None:
    bring(open_page(PAGE), "colours.zip", SHIPPED.read_bytes())
    page = open_page("1_Model")
    newest, oldest = page_workspace.run_ids()
    assert [found.key for found in page.button if found.label == "Build on this"] == [f"build-on-{newest}"]
    assert f"use-{oldest}" in [found.key for found in page.button]


def test_another_file_is_refused_with_the_reason(open_page: OpenPage, page_workspace: Workspace) -> None:
    page = bring(open_page(PAGE), "model.zip", b"PK\5\6" + bytes(18))
    assert "This is not a project of Transfer Studio" in page.error[0].value
    assert page_workspace.dataset_ids() == []
    # Another try is possible at once.
    assert "Opened" in bring(page, "colours.zip", SHIPPED.read_bytes()).success[0].value


def test_a_failed_saving_says_why(
    open_page: OpenPage, dataset: ImageDataset, page_workspace: Workspace
) -> None:
    page = open_page(PAGE, images=dataset.id)
    (page_workspace.root / "cache").mkdir(exist_ok=True)
    (page_workspace.root / "cache" / "projects").write_text("in the way")
    button(page, "Create the file").click().run()
    assert "could not be saved" in page.error[0].value
    assert not downloads(page)


def test_a_large_file_is_shown_where_it_lies_and_those_of_other_images_stay(
    open_page: OpenPage, dataset: ImageDataset, page_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.ui.projects.project_file.MOST_DOWNLOAD_BYTES", 100)
    folder = page_workspace.cache_dir / "projects"
    folder.mkdir()
    other = "20260101-000000-0123456789abcdef.zip"
    (folder / other).write_bytes(b"of other images")
    page = open_page(PAGE, images=dataset.id)
    button(page, "Create the file").click().run()
    assert not downloads(page)
    assert str((folder / f"{dataset.id}.zip").resolve()) in page.success[0].value
    assert f"project save {dataset.id} --out" in page.success[0].value
    assert {path.name for path in folder.iterdir()} == {f"{dataset.id}.zip", other}


def test_what_was_opened_is_not_kept_in_memory(page_workspace: Workspace) -> None:
    content = io.BytesIO(b"no project")
    kept = weakref.ref(content)
    start_opening("first", content)
    del content
    gc.collect()
    task = opening_of("first")
    assert task is not None
    assert task.problem
    assert kept() is None


def test_work_under_way_is_shown(open_page: OpenPage, dataset: ImageDataset, held_tasks: HeldTasks) -> None:
    page = open_page(PAGE, images=dataset.id)
    button(page, "Create the file").click().run()
    assert [found.proto.text for found in page.get("progress")] == ["Saving …"]
    assert "Create the file" not in [found.label for found in page.button]
    page = bring(page, "colours.zip", SHIPPED.read_bytes())
    assert [found.proto.text for found in page.get("progress")] == ["Saving …", "Checking and unpacking …"]
    assert not page.file_uploader


def test_saving_and_opening_can_be_stopped(
    open_page: OpenPage, dataset: ImageDataset, page_workspace: Workspace, held_tasks: HeldTasks
) -> None:
    page = open_page(PAGE, images=dataset.id)
    button(page, "Create the file").click().run()
    bring(page, "colours.zip", SHIPPED.read_bytes())
    for name in ("saving", "opening"):
        page.button(key=f"stop-{name}").click().run()
        assert page.button(key=f"stop-{name}").disabled
    held_tasks.carry_out()
    page.run()
    assert button(page, "Create the file")
    assert "Stopped. Nothing was saved." in texts(page)
    assert "Stopped. Nothing was opened." in texts(page)
    assert not page.error and not page.success and not downloads(page)
    assert page_workspace.dataset_ids() == [dataset.id]
    assert not list((page_workspace.cache_dir / "projects").iterdir())


def test_a_file_stays_when_making_it_again_is_stopped(
    open_page: OpenPage, dataset: ImageDataset, held_tasks: HeldTasks
) -> None:
    page = open_page(PAGE, images=dataset.id)
    button(page, "Create the file").click().run()
    held_tasks.carry_out()
    page.run()
    button(page, "Recreate").click().run()
    page.button(key="stop-saving").click().run()
    held_tasks.carry_out()
    page.run()
    assert downloads(page) == ["Download (1 MB)"]
