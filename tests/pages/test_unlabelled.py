"""Photos without labels on the Images page: their piles, and what a person does with them."""

from __future__ import annotations

import io
import zipfile

import pytest
from streamlit.testing.v1 import AppTest

from pages.ui.app.dataset_choice import stored_datasets
from pages.ui.app.process import work_queue
from tests.conftest import MakeImage, TrainOnce
from tests.pages.conftest import TINY, HeldTasks, OpenPage, button, open_ways, texts
from transfer_core.data.dataset import ImageDataset
from transfer_core.runs.training_run import TrainingRun
from transfer_core.runs.unlabelled import Unlabelled, move, throw_away, unlabelled_of
from transfer_core.work.task import TaskProgress
from transfer_core.workspace import Workspace


@pytest.fixture(autouse=True)
def tiny_backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pages.ui.app.tasks.DEFAULT_BACKBONE", "tiny_random")


@pytest.fixture
def pile(make_image: MakeImage) -> dict[str, bytes]:
    """Three photos of each colour in no order, by their names."""
    return {
        f"IMG-{seed}-{color}.png": make_image(color, seed=seed)
        for seed in range(500, 503)
        for color in ("blue", "green", "red")
    }


@pytest.fixture
def run(page_workspace: Workspace, dataset: ImageDataset, train_once: TrainOnce) -> TrainingRun:
    return train_once(page_workspace, dataset, TINY)


def open_way(open_page: OpenPage, **query: object) -> AppTest:
    page = open_page("2_Images", **query)
    if query:
        open_ways(page)
    page.button_group(key="image-source").set_value("Photos without labels").run()
    assert not page.exception
    return page


def drop(page: AppTest, pile: dict[str, bytes]) -> None:
    for name, content in pile.items():
        page.file_uploader[0].upload(name, content, "image/png")
    page.run()
    assert not page.exception


def drop_zip(page: AppTest, pile: dict[str, bytes]) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in pile.items():
            archive.writestr(name, content)
    page.file_uploader[2].upload("desk.zip", buffer.getvalue(), "application/zip").run()
    assert not page.exception


def waiting(workspace: Workspace) -> Unlabelled:
    (dataset_id,) = workspace.dataset_ids()
    found = unlabelled_of(ImageDataset.load(workspace, dataset_id))
    assert found
    return found


def options(page: AppTest) -> list[str]:
    return list(next(group for group in page.button_group if group.label == "Pile").options)


def choose_pile(page: AppTest, label: str) -> None:
    group = next(group for group in page.button_group if group.label == "Pile")
    group.set_value(label).run()
    assert not page.exception


@pytest.mark.usefixtures("tasks_at_once")
class TestWithoutAModel:
    @pytest.mark.parametrize("bring", [drop, drop_zip])
    def test_piles_by_looks_are_named_and_added(
        self, open_page: OpenPage, page_workspace: Workspace, pile: dict[str, bytes], bring: object
    ) -> None:
        page = open_way(open_page)
        assert "A photo counts only when you have added it to a class." in texts(page)
        bring(page, pile)
        assert "9 photos wait for you." in texts(page) and not page.info
        assert [file.value for file in page.file_uploader] == [[], [], None]
        found = waiting(page_workspace)
        assert len(found.photos.images) == 9
        page.number_input[0].set_value(1).run()
        assert options(page) == ["Pile 1 · 9"]
        accept = page.button(key="accept-pile")
        assert (accept.label, accept.disabled) == ("Add 9 photos", True)
        # A simulated page cannot type a new class.
        dataset = ImageDataset.load(page_workspace, page.query_params["images"])
        move(dataset, {image.id for image in found.photos.images}, "colors")
        page.run()
        accept = page.button(key="accept-pile")
        assert (accept.label, accept.disabled) == ("Add 9 photos to colors", False)
        accept.click().run()
        assert "9 photos added to **colors**." in texts(page)
        dataset = ImageDataset.load(page_workspace, page.query_params["images"])
        assert dataset.counts() == {"colors": 9}
        page.button(key="undo-accepted").click().run()
        assert options(page) == ["colors · 9"]
        assert ImageDataset.load(page_workspace, dataset.id).images == ()

    def test_a_refresh_and_a_new_server_show_them_again(
        self, open_page: OpenPage, pile: dict[str, bytes]
    ) -> None:
        page = open_way(open_page)
        drop(page, pile)
        again = open_page("2_Images", images=page.query_params["images"])
        assert "9 photos wait for you." in texts(again)
        assert options(again) == options(page)

    def test_a_folder_joins_the_dataset_that_they_wait_beside(
        self, open_page: OpenPage, page_workspace: Workspace, pile: dict[str, bytes]
    ) -> None:
        page = open_way(open_page)
        drop(page, pile)
        page.button_group[0].set_value("A zip or tar file").run()
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, content in list(pile.items())[:2]:
                archive.writestr(f"colors/{name[-7:-4]}/{name}", content)
        page.file_uploader[0].upload("colors.zip", buffer.getvalue(), "application/zip").run()
        assert not page.exception
        (dataset_id,) = page_workspace.dataset_ids()
        dataset = ImageDataset.load(page_workspace, dataset_id)
        assert len(dataset.images) == 2
        found = unlabelled_of(dataset)
        assert found and sum(len(pile.images) for pile in found.piles) == 7

    def test_files_that_are_no_photos_are_listed(self, open_page: OpenPage, pile: dict[str, bytes]) -> None:
        page = open_way(open_page)
        drop(page, {"notes.txt": b"only words"})
        assert page.error[0].value.startswith("The only file, notes.txt, cannot be used")
        drop(page, {**pile, "notes.txt": b"only words"})
        assert page.dataframe[0].value.values.tolist() == [
            ["notes.txt", "it is not a photo, whatever its name says"]
        ]

    def test_a_pile_is_thrown_away(
        self, open_page: OpenPage, page_workspace: Workspace, pile: dict[str, bytes]
    ) -> None:
        page = open_way(open_page)
        drop(page, pile)
        page.number_input[0].set_value(1).run()
        page.button(key="throw-away-pile").click().run()
        assert "wait for you" not in texts(page)
        (dataset_id,) = page_workspace.dataset_ids()
        assert not list(page_workspace.dataset_dir(dataset_id).rglob("*.jpg"))
        assert stored_datasets() == {}


@pytest.mark.usefixtures("tasks_at_once")
class TestWithAModel:
    def test_classes_are_proposed_and_nothing_counts_until_it_is_added(
        self,
        open_page: OpenPage,
        page_workspace: Workspace,
        dataset: ImageDataset,
        run: TrainingRun,
        pile: dict[str, bytes],
    ) -> None:
        page = open_way(open_page, images=dataset.id)
        assert "Your model proposes a class for each" in texts(page)
        drop(page, pile)
        assert waiting(page_workspace).run_id == run.id
        assert ImageDataset.load(page_workspace, dataset.id) == dataset
        assert sum(int(label.rpartition(" ")[2]) for label in options(page)) == 9
        name = next(label for label in options(page) if not label.startswith("Not sure")).partition(" ")[0]
        count = next(int(label.rpartition(" ")[2]) for label in options(page) if label.startswith(name))
        choose_pile(page, f"{name} · {count}")
        assert page.selectbox[0].value == name
        page.button(key="accept-pile").click().run()
        changed = ImageDataset.load(page_workspace, dataset.id)
        assert changed.counts()[name] == 8 + count
        assert all(not label.startswith(name) for label in options(page))

    def test_a_model_that_is_trained_later_proposes_too(
        self,
        open_page: OpenPage,
        page_workspace: Workspace,
        dataset: ImageDataset,
        train_once: TrainOnce,
        pile: dict[str, bytes],
    ) -> None:
        page = open_way(open_page, images=dataset.id)
        drop(page, pile)
        assert waiting(page_workspace).run_id == ""
        run = train_once(page_workspace, dataset, TINY)
        page.run()
        button(page, "Let your model propose classes").click().run()
        assert waiting(page_workspace).run_id == run.id
        assert "Let your model propose classes" not in [found.label for found in page.button]

    def test_photos_that_are_gone_meanwhile_are_one_sentence(
        self,
        open_page: OpenPage,
        dataset: ImageDataset,
        run: TrainingRun,
        pile: dict[str, bytes],
        page_workspace: Workspace,
    ) -> None:
        page = open_way(open_page, images=dataset.id)
        drop(page, pile)
        found = waiting(page_workspace)
        throw_away(dataset, {image.id for image in found.photos.images})
        page.run()
        assert not page.exception and "wait for you" not in texts(page)


def test_sorting_shows_its_bar_and_can_be_stopped(
    open_page: OpenPage, page_workspace: Workspace, held_tasks: HeldTasks, pile: dict[str, bytes]
) -> None:
    page = open_way(open_page)
    drop(page, pile)
    (bar,) = page.get("progress")
    assert bar.proto.text == "Starting the model …"
    (task,) = work_queue().tasks("piles")
    task.report(TaskProgress("", 3, 9))
    page.run()
    (bar,) = page.get("progress")
    assert (bar.proto.text, bar.proto.value) == ("Sorting: 3 of 9 photos", 33)
    page.button(key="stop-piles").click().run()
    held_tasks.carry_out()
    page.run()
    assert options(page) == ["Not sorted yet · 9"]
    button(page, "Sort the photos").click().run()
    held_tasks.carry_out()
    page.run()
    assert not page.error and "Not sorted yet · 9" not in options(page)
