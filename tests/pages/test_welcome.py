"""The welcome page."""

import threading

import pytest

import pages.ui.app.process
from tests.pages.conftest import OpenPage, StagedRuns, button, submit, texts
from transfer_core.data.dataset import ImageDataset
from transfer_core.workspace import Workspace


def test_has_the_three_columns_and_the_seven_steps(open_page: OpenPage) -> None:
    page = open_page()
    assert page.title[0].value == "Teach a computer to see what you see"
    assert [found.value for found in page.subheader] == ["1 Show examples", "2 Train", "3 Try it"]
    assert button(page, "Train").disabled, "there are no photos yet"
    assert "Earlier runs" not in texts(page)


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
    button(page, "Little pictures").click().run()
    button(page, "Train").click().run()
    assert staged_runs.reached_half_way.wait(30)
    (run_id,) = page_workspace.run_ids()
    (dataset_id,) = page_workspace.dataset_ids()
    assert ImageDataset.load(page_workspace, dataset_id).sample == "pictures"
    assert page.query_params["run"] == run_id


def test_lists_earlier_runs_and_opens_one(
    open_page: OpenPage, staged_runs: StagedRuns, dataset: ImageDataset
) -> None:
    staged_runs.let_go.set()
    run_id = submit(dataset, epochs=7)
    while pages.ui.app.process.trainings().status(run_id) != "finished":
        assert staged_runs.reached_half_way.wait(30)
    page = open_page()
    assert "Earlier runs" in texts(page)
    assert "Accuracy 80%" in texts(page)
    button(page, "Open").click()
    page.run()
    assert page.title[0].value == "4 · Train"
    assert page.query_params["run"] == run_id
    button(page, "Run again with changes").click().run()
    assert next(found for found in page.number_input if found.label == "Epochs").value == 7


def test_a_damaged_run_does_not_hide_the_others(
    open_page: OpenPage, staged_runs: StagedRuns, dataset: ImageDataset, page_workspace: Workspace
) -> None:
    first, second = submit(dataset), submit(dataset)
    (page_workspace.run_dir(second) / "config.json").write_text("{")
    page = open_page()
    assert f"config.json of {second} is damaged" in texts(page)
    assert f"open-{first}" in [found.key for found in page.button]
