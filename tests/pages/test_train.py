"""Step 4: the training."""

import pytest

import pages.ui.process
from tests.pages.conftest import OpenPage, StagedRuns, button, submit, texts
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import TrainingError
from transfer_core.events import RunEnded
from transfer_core.runs.event_log import EventLog
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace


def finish(staged_runs: StagedRuns, run_id: str) -> None:
    assert staged_runs.reached_half_way.wait(30)
    staged_runs.let_go.set()
    queue = pages.ui.process.run_queue()
    for _attempt in range(10_000_000):
        if queue.status(run_id) not in ("queued", "running"):
            return
    pytest.fail("the run did not end")


def test_says_what_is_missing(open_page: OpenPage) -> None:
    page = open_page("4_Train")
    assert "Still missing: Model, Images, Layers." in texts(page)
    assert "Start training" not in [found.label for found in page.button]


def test_the_form_has_sensible_defaults_and_starts_a_run(
    open_page: OpenPage, dataset: ImageDataset, staged_runs: StagedRuns, page_workspace: Workspace
) -> None:
    page = open_page("4_Train", model="efficientnet_lite0", images=dataset.id, unfrozen=0)
    defaults = TrainingConfig()
    assert page.number_input(key="epochs").value == defaults.epochs
    assert page.select_slider(key="learning-rate").value == defaults.learning_rate
    assert page.select_slider(key="batch-size").value == defaults.batch_size
    page.number_input(key="epochs").set_value(12)
    button(page, "Start training").click().run()
    (run_id,) = page_workspace.run_ids()
    run = TrainingRun.load(page_workspace, run_id)
    assert (run.config.epochs, run.config.backbone, run.dataset_id) == (12, "efficientnet_lite0", dataset.id)
    assert page.query_params["run"] == run_id


def test_fine_tuning_choices_appear_only_when_blocks_learn_along(
    open_page: OpenPage, dataset: ImageDataset
) -> None:
    query = {"model": "efficientnet_lite0", "images": dataset.id}
    keys = [found.key for found in open_page("4_Train", **query, unfrozen=0).number_input]
    assert "fine-tune-epochs" not in keys
    keys = [found.key for found in open_page("4_Train", **query, unfrozen=2).number_input]
    assert "fine-tune-epochs" in keys


def test_a_running_training_shows_numbers_charts_and_the_sidebar_bar(
    open_page: OpenPage, dataset: ImageDataset, staged_runs: StagedRuns
) -> None:
    run_id = submit(dataset)
    assert staged_runs.reached_half_way.wait(30)
    page = open_page("4_Train", run=run_id)
    shown = {metric.label: metric.value for metric in page.metric}
    assert shown["Epoch"] == "3 of 4"
    assert shown["Step"] == "8 of 12"
    assert shown["Images a second"] == "12"
    assert shown["Left in this part"] == "2 s"
    assert len(page.get("echarts_chart")) == 2
    assert "Training now" in texts(page)
    assert button(page, "Stop and keep the best")
    # The same run from a second tab, opened without anything in its address.
    elsewhere = open_page("1_Model")
    assert "Training now" in [caption.value for caption in elsewhere.sidebar.caption]


def test_stop_is_passed_on_and_said(
    open_page: OpenPage, dataset: ImageDataset, staged_runs: StagedRuns
) -> None:
    run_id = submit(dataset)
    assert staged_runs.reached_half_way.wait(30)
    page = open_page("4_Train", run=run_id)
    button(page, "Stop and keep the best").click().run()
    assert pages.ui.process.run_queue().is_stopping(run_id)
    assert "Stopping after the present step …" in texts(page)


def test_a_second_run_waits_and_shows_its_place(
    open_page: OpenPage, dataset: ImageDataset, staged_runs: StagedRuns
) -> None:
    submit(dataset)
    second = submit(dataset)
    page = open_page("4_Train", run=second)
    assert "Another training goes first: 1 before yours. Yours starts by itself." in texts(page)
    assert button(page, "Leave the queue")


def test_a_finished_run_shows_its_result_and_leads_to_the_next_training(
    open_page: OpenPage, dataset: ImageDataset, staged_runs: StagedRuns
) -> None:
    run_id = submit(dataset)
    finish(staged_runs, run_id)
    page = open_page("4_Train", run=run_id, model="efficientnet_lite0", images=dataset.id, unfrozen=0)
    assert page.success[0].value == "Training is done."
    assert {metric.label: metric.value for metric in page.metric}["Right on validation"] == "80%"
    assert "Train again" in texts(page)


def test_a_failed_run_says_why(open_page: OpenPage, dataset: ImageDataset, staged_runs: StagedRuns) -> None:
    staged_runs.ending = RunEnded(120.0, "failed", "The disk is full.")
    run_id = submit(dataset)
    finish(staged_runs, run_id)
    page = open_page("4_Train", run=run_id)
    assert page.error[0].value == "The disk is full."


def test_a_run_that_was_cut_off_is_called_interrupted(
    open_page: OpenPage, dataset: ImageDataset, page_workspace: Workspace
) -> None:
    run = TrainingRun.create(page_workspace, dataset, TrainingConfig())
    EventLog(run.folder / "events.jsonl")
    page = open_page("4_Train", run=run.id)
    assert "This training was cut off" in page.warning[0].value


def test_an_error_at_the_start_is_a_sentence(
    open_page: OpenPage, dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> str:
        raise TrainingError("There is no room left.")

    monkeypatch.setattr(pages.ui.process.RunQueue, "submit", refuse)
    page = open_page("4_Train", model="efficientnet_lite0", images=dataset.id, unfrozen=0)
    button(page, "Start training").click().run()
    assert page.error[0].value == "There is no room left."
