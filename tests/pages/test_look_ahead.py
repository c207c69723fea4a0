"""Reading photos before a training: which photos, with which model, and the line that counts them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pages.ui.app.process import work_queue
from pages.ui.images import server_folder
from tests.conftest import MakeImage
from tests.pages.conftest import HeldTasks, OpenPage, button, texts
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, collect_files
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.data.sources.server_folder import ROOT_VARIABLE
from transfer_core.work.executor import EXECUTOR_VARIABLE
from transfer_core.work.look_ahead import LOOK_AHEAD_VARIABLE


@pytest.fixture(autouse=True)
def look_ahead_on(held_tasks: HeldTasks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LOOK_AHEAD_VARIABLE)
    monkeypatch.delenv(EXECUTOR_VARIABLE, raising=False)


def keys() -> list[tuple[str, ...]]:
    """What is read or will be."""
    return [task.key for task in work_queue().tasks("look-ahead") if not task.is_over]


def test_line_counts_the_photos(open_page: OpenPage, dataset: ImageDataset, held_tasks: HeldTasks) -> None:
    page = open_page("2_Images", model="tiny_random", images=dataset.id)
    assert keys() == [(dataset.id, "tiny_random")]
    assert "photos read" not in texts(page)
    held_tasks.carry_out()
    page.run()
    assert page.sidebar.caption[2].value.endswith("24 of 24 photos read")
    page.run()
    assert not held_tasks


def test_new_photos_are_read_when_a_page_is_drawn(
    open_page: OpenPage, dataset: ImageDataset, held_tasks: HeldTasks, make_image: MakeImage
) -> None:
    page = open_page("3_Layers", model="tiny_random", images=dataset.id)
    held_tasks.carry_out()
    add_files(dataset, [ImportedFile(("red", "new.png"), lambda: make_image("red", seed=77))])
    page.run()
    held_tasks.carry_out()
    page.run()
    assert "25 of 25 photos read" in texts(page)


def test_another_choice_stops_the_reading(open_page: OpenPage, dataset: ImageDataset) -> None:
    page = open_page("1_Model", images=dataset.id)
    careful = "efficientnet_lite0_lite2", "efficientnet_lite0_regions"
    assert keys() == [(dataset.id, "efficientnet_lite0", *careful)]
    (first,) = work_queue().tasks("look-ahead")
    next(button for button in page.button if button.label == "Use this model").click().run()
    page.session_state["session"].choose_backbone("tiny_random")
    page.run()
    assert first.is_stopping
    assert keys()[-1] == (dataset.id, "tiny_random")


def test_nothing_is_read_without_photos_from_scratch_or_when_it_is_off(
    open_page: OpenPage, dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_page("1_Model", model="tiny_random")
    open_page("4_Train", model="tiny_random", images=dataset.id, unfrozen=3, scratch=1)
    monkeypatch.setenv(LOOK_AHEAD_VARIABLE, "off")
    open_page("4_Train", model="tiny_random", images=dataset.id, unfrozen=0)
    assert keys() == []


def test_photos_are_read_while_others_arrive(
    open_page: OpenPage, image_folder: Path, held_tasks: HeldTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    num_tasks: list[int] = []

    def collect(*arguments: Any, **options: Any) -> ImageDataset:
        num_tasks.append(len(held_tasks))
        return collect_files(*arguments, **options)

    monkeypatch.setenv(ROOT_VARIABLE, str(image_folder.parent))
    monkeypatch.setattr(server_folder, "BATCH_FILES", 10)
    monkeypatch.setattr(server_folder, "collect_files", collect)
    page = open_page("2_Images")
    page.button_group[0].set_value("This computer").run()
    page.selectbox(key="server-folder-").set_value("colors").run()
    button(page, "Add these photos").click().run()
    assert num_tasks == [0, 1, 1]
    assert "24 photos in 3 classes" in texts(page)
