"""The Learn page: lessons that speak of the person's own run."""

from __future__ import annotations

import json

import pytest

from pages.ui.app.process import work_queue
from pages.ui.app.words import accuracy_words, model_name, plain
from tests.conftest import TrainOnce
from tests.pages.conftest import TINY, OpenPage, StagedRuns, texts
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import create_dataset
from transfer_core.runs.event_log import EventLog
from transfer_core.runs.training_run import EVENTS_FILE, TrainingRun
from transfer_core.work.execute import execute_run
from transfer_core.workspace import Workspace

NAMES = (
    "transfer",
    "fine-tuning",
    "freeze",
    "rate",
    "overfitting",
    "validation",
    "accuracy",
    "shortcuts",
    "privacy",
)


def test_without_a_run_each_lesson_says_what_to_do(open_page: OpenPage) -> None:
    page = open_page("9_Learn")
    assert len(page.header) == 9
    assert [found.key for found in page.button if str(found.key).startswith("see-")] == [
        f"see-{name}" for name in NAMES
    ]
    assert texts(page).count("Train a model, then come back") == 6
    assert page.button(key="start-race")
    assert {one.proto.id.rsplit("-", 1)[-1] for one in page.get("echarts_chart")} >= {
        "rates",
        "fits",
        "depths",
    }
    # In the chart it would be cut on a phone.
    assert "Million values that learn in EfficientNet-Lite0" in texts(page)


@pytest.fixture
def trained_run(page_workspace: Workspace, dataset: ImageDataset, train_once: TrainOnce) -> TrainingRun:
    return train_once(page_workspace, dataset, TINY)


def test_with_a_run_each_lesson_shows_its_numbers(
    open_page: OpenPage, trained_run: TrainingRun, page_workspace: Workspace
) -> None:
    page = open_page("9_Learn", run=trained_run.id)
    shown = texts(page)
    evaluation = trained_run.evaluation()
    assert evaluation is not None
    assert "Your model used feature extraction." in shown
    snapshot = trained_run.snapshot()
    assert (
        f"colors has {snapshot.num_train_images} training photos and {snapshot.num_validation_images} validation photos"
        in shown
    )
    assert f"accuracy {accuracy_words(evaluation)}, measured on {evaluation.num_images} photos" in shown
    assert "Train a model" not in shown
    # Its own curves, its own photos and its own network.
    assert {one.proto.id.rsplit("-", 1)[-1] for one in page.get("echarts_chart")} >= {"loss", "accuracy"}
    strips = [one.proto.body for one in page.get("html") if 'class="learn-strip"' in one.proto.body]
    assert [strip.count("data:image/jpeg") for strip in strips] == [6, 6, 6]
    page.button(key="see-shortcuts").click().run()
    assert (page.query_params["part"], page.query_params["run"]) == ("why", trained_run.id)


def test_following_a_lesson_keeps_what_was_chosen(
    open_page: OpenPage, trained_run: TrainingRun, page_workspace: Workspace
) -> None:
    others = create_dataset(page_workspace, "others").save()
    chosen = {"model": "efficientnet_lite0", "images": others.id, "unfrozen": "2"}
    for name in NAMES:
        page = open_page("9_Learn", **chosen)
        page.button(key=f"see-{name}").click().run()
        assert not page.exception
        assert {key: page.query_params[key] for key in chosen} == chosen


def test_a_run_from_scratch_is_not_said_to_have_known_anything(
    open_page: OpenPage, page_workspace: Workspace, dataset: ImageDataset
) -> None:
    scratch = TrainingConfig(backbone="tiny_random", epochs=1, weights="random", num_unfrozen_blocks=3)
    run = TrainingRun.create(page_workspace, dataset, scratch)
    execute_run(page_workspace, run, EventLog(run.folder / EVENTS_FILE).append, lambda: False)
    shown = texts(open_page("9_Learn", run=run.id))
    assert "learned before" not in shown and "fine-tuned" not in shown
    assert "random values. From" in shown
    assert "Your model was trained from scratch." in shown


def test_a_race_is_started_from_the_page_and_drawn_with_both_curves(
    open_page: OpenPage, dataset: ImageDataset, staged_runs: StagedRuns, page_workspace: Workspace
) -> None:
    page = open_page("9_Learn", images=dataset.id)
    page.button(key="start-race").click().run()
    assert not page.exception
    configs = [TrainingRun.load(page_workspace, run_id).config for run_id in page_workspace.run_ids()]
    assert {config.weights for config in configs} == {"imagenet", "random"}
    assert len({(config.backbone, config.epochs) for config in configs}) == 1
    assert not [found for found in page.button if found.key == "play-race"]
    (progress,) = page.main.get("progress")
    assert progress.proto.text.startswith("from scratch: ")
    staged_runs.let_go.set()
    for run_id in page_workspace.run_ids():
        task = work_queue().find("training", run_id)
        assert task is None or task.wait(60)
    page = open_page("9_Learn", images=dataset.id)
    assert "colors, best epoch: pretrained 80\u00a0%, from scratch 80\u00a0%." in texts(page)
    page.button(key="play-race").click().run()
    (chart,) = [one.proto for one in page.get("echarts_chart") if "race-1" in one.proto.id]
    assert json.loads(chart.spec)["animation"]


def test_damage_costs_only_what_is_damaged(
    open_page: OpenPage, trained_run: TrainingRun, page_workspace: Workspace, dataset: ImageDataset
) -> None:
    newest = TrainingRun.create(page_workspace, dataset, TrainingConfig(backbone="tiny_random"))
    (newest.folder / "model.keras").write_bytes(b"x")
    (newest.folder / "config.json").write_text("{", "utf-8")
    page = open_page("9_Learn")
    assert not page.error
    assert f"your model {plain(model_name(trained_run))}" in texts(page)
    (trained_run.folder / "evaluation.json").write_text("{", "utf-8")
    page = open_page("9_Learn")
    assert len(page.header) == 9 and len(page.error) == 1
