"""A video on the Images page."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

import pages.ui.images.add_video
from pages.ui.app.process import work_queue
from tests.films import film, scene
from tests.pages.conftest import HeldTasks, OpenPage, button, open_ways, texts
from transfer_core.data.dataset import ImageDataset
from transfer_core.work.task import TaskProgress
from transfer_core.workspace import Workspace


def open_way(open_page: OpenPage, **query: object) -> AppTest:
    page = open_page("2_Images", **query)
    if query:
        open_ways(page)
    page.button_group(key="image-source").set_value("From a video").run()
    return page


def add(page: AppTest, content: bytes, class_name: str = "mug") -> None:
    page.text_input[0].set_value(class_name)
    page.file_uploader[0].upload("mug.mp4", content, "video/mp4")
    button(page, "Add photos from this video").click().run()
    assert not page.exception


def test_a_video_becomes_photos_of_a_new_dataset(
    open_page: OpenPage, page_workspace: Workspace, tasks_at_once: None
) -> None:
    page = open_way(open_page)
    add(page, film([scene(number) for number in range(7)]).getvalue())
    assert page.success[0].value == "7 photos added to **mug**."
    (dataset_id,) = page_workspace.dataset_ids()
    assert page.query_params["images"] == dataset_id
    images = ImageDataset.load(page_workspace, dataset_id).images
    assert len(images) == 7 and len({image.burst for image in images}) == 1
    assert not page.file_uploader[0].value
    add(page, film([scene(number) for number in range(10, 13)]).getvalue())
    assert page.success[0].value == "3 photos added to **mug**."
    assert page_workspace.dataset_ids() == [dataset_id]


def test_a_video_joins_the_photos_that_are_shown(
    open_page: OpenPage, dataset: ImageDataset, page_workspace: Workspace, tasks_at_once: None
) -> None:
    page = open_way(open_page, images=dataset.id)
    add(page, film([scene(number) for number in range(3)]).getvalue(), "red")
    assert page.success[0].value == "3 photos added to **red**."
    assert ImageDataset.load(page_workspace, dataset.id).counts()["red"] == 11


def test_progress_is_shown_and_a_stop_adds_nothing(
    open_page: OpenPage, page_workspace: Workspace, held_tasks: HeldTasks
) -> None:
    page = open_way(open_page)
    add(page, film([scene(number) for number in range(7)]).getvalue())
    (bar,) = page.get("progress")
    assert bar.proto.text == "Opening the video …"
    (task,) = work_queue().tasks("video")
    task.report(TaskProgress("", 30, 120))
    page.run()
    (bar,) = page.get("progress")
    assert (bar.proto.text, bar.proto.value) == ("30 of 120 frames", 25)
    page.button(key="stop-video").click().run()
    held_tasks.carry_out()
    page.run()
    assert "Stopped. Nothing was added." in texts(page)
    assert page_workspace.dataset_ids() == []


def test_a_bad_video_is_one_sentence(open_page: OpenPage, tasks_at_once: None) -> None:
    page = open_way(open_page)
    add(page, b"no video at all")
    assert page.error[0].value.startswith("mug.mp4 is not a video that can be read here.")


def test_class_and_video_are_needed(open_page: OpenPage) -> None:
    page = open_way(open_page)
    button(page, "Add photos from this video").click().run()
    assert page.error[0].value.startswith("The class needs a name.")
    page.text_input[0].set_value("mug")
    button(page, "Add photos from this video").click().run()
    assert page.error[0].value == "There is no video yet. Choose a video of this class."


def test_without_pyav_the_page_says_how_to_install_it(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages.ui.images.add_video, "can_read_videos", lambda: False)
    page = open_way(open_page)
    assert "pip install -r requirements-video.txt" in page.info[0].value
    assert not page.file_uploader
