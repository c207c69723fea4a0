"""The welcome page."""

import threading
from pathlib import Path

import pytest

import pages.ui.app.process
import tests.pages.conftest
from pages.ui.app.steps import Step
from tests.conftest import TrainOnce
from tests.pages.conftest import HALF_WAY, TINY, HeldTasks, OpenPage, StagedRuns, button, submit, texts
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source
from transfer_core.events import RunEnded
from transfer_core.workspace import Workspace


def test_has_the_three_columns_and_the_seven_steps(open_page: OpenPage) -> None:
    page = open_page()
    assert page.title[0].value == "Teach a computer to see what you see"
    assert [found.value for found in (*page.header, *page.subheader) if found.value[0].isdigit()] == [
        "1 Show examples",
        "2 Train",
        "3 Try it",
    ]
    assert [found.label for found in page.main.get("page_link")][:7] == [
        f"{number} · {step.title}" for number, step in enumerate(Step, 1)
    ]
    assert [button(page, name).disabled for name in ("Clothes", "Drawings", "Digits")] == [False] * 3
    assert button(page, "Train").disabled
    assert "Add photos of two things first." in texts(page)
    assert "The models that you train are listed here." in texts(page)


def test_says_which_class_needs_another_photo(
    open_page: OpenPage, page_workspace: Workspace, image_folder: Path
) -> None:
    files = [file for file in folder_source(image_folder) if file.class_name != "blue"]
    dataset = add_files(create_dataset(page_workspace, "colors"), files)
    some = [image for image in dataset.images if image.class_name == dataset.class_names[0]]
    saved = dataset.without([image.id for image in some[1:]]).save()
    page = open_page(images=saved.id)
    assert button(page, "Train").disabled
    assert f"Add another photo of {dataset.class_names[0]}." in texts(page)


def test_paints_before_tensorflow_is_there(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    may_load, loading = threading.Event(), threading.Event()

    def load_slowly(num_threads: int | None = None) -> None:
        loading.set()
        may_load.wait(60)

    monkeypatch.setattr(pages.ui.app.process, "load_keras", load_slowly)
    page = open_page()
    assert page.title, "the page waited for TensorFlow"
    assert loading.wait(10), "TensorFlow is not loaded behind the page"
    may_load.set()


def test_two_clicks_train_on_a_ready_made_set(
    open_page: OpenPage, staged_runs: StagedRuns, page_workspace: Workspace
) -> None:
    page = open_page()
    button(page, "Clothes").click().run()
    assert page.query_params["images"] == page_workspace.dataset_ids()[0]
    button(page, "Train").click().run()
    assert staged_runs.reached_half_way.wait(30)
    (run_id,) = page_workspace.run_ids()
    (dataset_id,) = page_workspace.dataset_ids()
    assert ImageDataset.load(page_workspace, dataset_id).sample == "clothes"
    assert page.query_params["run"] == run_id
    assert page.title[0].value == "Teach a computer to see what you see", "the page was left"


def test_a_training_is_shown_and_can_be_stopped(
    open_page: OpenPage, staged_runs: StagedRuns, dataset: ImageDataset
) -> None:
    staged_runs.obeys = True
    run_id = submit(dataset)
    assert staged_runs.reached_half_way.wait(30)
    page = open_page(images=dataset.id, run=run_id)
    assert "Training the new layer" in page.main.get("progress")[0].proto.text
    assert button(page, "Clothes").disabled, "another set would hide the training"
    button(page, "Stop and keep the model").click().run()
    trainings = pages.ui.app.process.trainings()
    task = trainings._find(run_id)
    assert task is None or task.wait(30)
    page.run()
    assert button(page, "Train again")


def test_another_set_leaves_the_model_of_the_earlier_one(
    open_page: OpenPage, staged_runs: StagedRuns, dataset: ImageDataset
) -> None:
    page = open_page(images=dataset.id, run=ended_run(staged_runs, dataset))
    assert button(page, "Train again")
    button(page, "Drawings").click().run()
    assert "run" not in page.query_params
    assert not button(page, "Train").disabled


def test_a_model_of_other_photos_is_not_shown_beside_these(
    open_page: OpenPage, staged_runs: StagedRuns, dataset: ImageDataset, image_folder: Path
) -> None:
    run_id = ended_run(staged_runs, dataset)
    others = add_files(
        create_dataset(pages.ui.app.process.workspace(), "others"), folder_source(image_folder)
    )
    page = open_page(images=others.id, run=run_id)
    assert not button(page, "Train").disabled
    assert "24 photos in 3 classes. Ready to train." in texts(page)


def test_a_training_that_was_cut_off_can_be_started_again(
    open_page: OpenPage, staged_runs: StagedRuns, dataset: ImageDataset
) -> None:
    staged_runs.ending = RunEnded(110.0, "interrupted", "")
    page = open_page(images=dataset.id, run=ended_run(staged_runs, dataset))
    assert "This training was cut off. Train again." in [error.value for error in page.error]
    assert button(page, "Train again").proto.type == "primary"
    assert "Add ten more" not in texts(page)


def test_a_cancelled_training_asks_for_no_more_photos(
    open_page: OpenPage, staged_runs: StagedRuns, dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tests.pages.conftest, "HALF_WAY", HALF_WAY[:1])
    staged_runs.ending = RunEnded(110.0, "stopped", "Stopped before anything was learned.")
    page = open_page(images=dataset.id, run=ended_run(staged_runs, dataset))
    assert "Stopped before anything was learned." in texts(page)
    assert button(page, "Train again").proto.type == "primary"
    assert "Add ten more" not in texts(page)


def test_classes_that_were_recorded_once_are_a_calm_hint(
    open_page: OpenPage, staged_runs: StagedRuns, page_workspace: Workspace, image_folder: Path
) -> None:
    files = folder_source(image_folder)
    dataset = create_dataset(page_workspace, "recorded")
    for name in sorted({str(file.class_name) for file in files}):
        dataset = add_files(dataset, [file for file in files if file.class_name == name], burst=name)
    page = open_page(images=dataset.id, run=ended_run(staged_runs, dataset))
    assert not button(page, "Train again").disabled
    assert f"Record {dataset.class_names[0]} once more, from another angle." in texts(page)
    assert not page.error and not page.warning


def test_new_photos_make_training_again_the_next_thing(
    open_page: OpenPage, staged_runs: StagedRuns, dataset: ImageDataset
) -> None:
    run_id = ended_run(staged_runs, dataset)
    page = open_page(images=dataset.id, run=run_id)
    assert button(page, "Train again").proto.type == "secondary"
    dataset.without([dataset.images[0].id]).save()
    page.run()
    assert button(page, "Train again").proto.type == "primary"
    button(page, "Train again").click().run()
    assert page.query_params["run"] != run_id


def test_a_failed_training_says_why(
    open_page: OpenPage, staged_runs: StagedRuns, dataset: ImageDataset
) -> None:
    staged_runs.ending = RunEnded(110.0, "failed", "The disk is full. Free some space.")
    page = open_page(images=dataset.id, run=ended_run(staged_runs, dataset))
    assert "The disk is full. Free some space." in texts(page)
    assert not button(page, "Train again").disabled


def test_a_model_of_the_list_is_opened_on_the_same_page(
    open_page: OpenPage, staged_runs: StagedRuns, dataset: ImageDataset
) -> None:
    run_id = ended_run(staged_runs, dataset)
    page = open_page()
    assert "colors, " in texts(page)
    button(page, "Open").click().run()
    assert page.query_params["run"] == run_id
    assert page.query_params["images"] == dataset.id
    assert button(page, "Train again")


def ended_run(staged_runs: StagedRuns, dataset: ImageDataset) -> str:
    """Return the id of a run that is over."""
    staged_runs.let_go.set()
    run_id = submit(dataset)
    task = pages.ui.app.process.trainings()._find(run_id)
    assert task is None or task.wait(30)
    return run_id


def test_a_damaged_run_does_not_hide_the_others(
    open_page: OpenPage, staged_runs: StagedRuns, dataset: ImageDataset, page_workspace: Workspace
) -> None:
    first, second = submit(dataset), submit(dataset)
    (page_workspace.run_dir(second) / "config.json").write_text("{")
    page = open_page()
    assert f"config.json of {second} is damaged" in texts(page)
    assert f"open-{first}" in [found.key for found in page.button]


def test_a_model_that_loads_keeps_nothing_of_the_page_waiting(
    open_page: OpenPage,
    page_workspace: Workspace,
    dataset: ImageDataset,
    train_once: TrainOnce,
    held_tasks: HeldTasks,
) -> None:
    run = train_once(page_workspace, dataset, TINY)
    page = open_page(images=dataset.id, run=run.id)
    assert [found.proto.text for found in page.get("progress")] == ["Getting your model ready …"]
    assert "Test it further" not in texts(page)
    assert "Your models" in [found.value for found in page.header]
    held_tasks.carry_out()
    page.run()
    assert "Test it further" in [found.label for found in page.main.get("page_link")]
