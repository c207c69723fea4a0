"""Step 4: the training."""

import json
import re
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import pages.ui.app.process
import pages.ui.server.service
import transfer_core.work.service
import transfer_core.work.tasks
from pages.ui.app.words import expected_sentence, plain
from pages.ui.train import advanced
from tests.conftest import TrainOnce
from tests.pages.conftest import HALF_WAY, TINY, OpenPage, StagedRuns, button, submit, texts
from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.registry import get_backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import TrainingError
from transfer_core.events import HeadChosen, PhotosLeftOut, PrecisionChosen, RunEnded
from transfer_core.runs.event_log import EventLog
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training import variants
from transfer_core.training.advice import recommend
from transfer_core.training.features.feature_cache import FeaturesStoppedError
from transfer_core.training.rate_finder import RateCurve
from transfer_core.training.stages import remember_run
from transfer_core.work.live_run import LiveRun
from transfer_core.workspace import Workspace, new_id


def wait_for(run_id: str, *statuses: str) -> None:
    deadline = time.monotonic() + 60
    while pages.ui.app.process.trainings().status(run_id) not in statuses:
        assert time.monotonic() < deadline, "the run did not get there"


def finish(staged_runs: StagedRuns, run_id: str) -> None:
    assert staged_runs.reached_half_way.wait(30)
    staged_runs.let_go.set()
    wait_for(run_id, "finished", "stopped", "failed", "interrupted")


def bars(page: AppTest) -> list[str]:
    """The words on the progress bars."""
    return [found.proto.text for found in page.get("progress")]


def drawn(page: AppTest, key: str) -> dict[str, Any]:
    """What a component got to draw."""
    (found,) = [one.proto for one in page.get("bidi_component") if key in one.proto.id]
    data: dict[str, Any] = json.loads(found.json)
    return data


def test_says_what_is_missing(open_page: OpenPage) -> None:
    page = open_page("4_Train")
    assert "Still missing: Model, Images, Layers." in texts(page)
    assert "Start training" not in [found.label for found in page.button]


def test_a_newcomer_sees_what_is_recommended_and_why_and_nothing_to_decide(
    open_page: OpenPage, dataset: ImageDataset, staged_runs: StagedRuns, page_workspace: Workspace
) -> None:
    page = open_page("4_Train", model="efficientnet_lite0", images=dataset.id, unfrozen=0)
    recommended = recommend(dataset, get_backbone("efficientnet_lite0"))
    assert all(plain(reason) in texts(page) for reason in recommended.reasons)
    assert not [*page.number_input, *page.select_slider, *page.slider]
    assert re.search(r"^Trains in about \d+ s\.$", texts(page), re.MULTILINE)
    button(page, "Start training").click().run()
    (run_id,) = page_workspace.run_ids()
    run = TrainingRun.load(page_workspace, run_id)
    assert (run.config, run.dataset_id) == (recommended.config, dataset.id)
    assert page.query_params["run"] == run_id


def test_another_depth_than_recommended_counts_and_is_said(
    open_page: OpenPage, dataset: ImageDataset, staged_runs: StagedRuns, page_workspace: Workspace
) -> None:
    page = open_page("4_Train", model="efficientnet_lite0", images=dataset.id, unfrozen=2)
    assert "Using your choice from Layers." in texts(page)
    button(page, "Start training").click().run()
    (run_id,) = page_workspace.run_ids()
    assert TrainingRun.load(page_workspace, run_id).config.num_unfrozen_blocks == 2


@pytest.fixture
def careful_pays(dataset: ImageDataset, page_workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stored comparison in which two models are right about each photo, and one model about some."""

    def features(photos: ImageDataset, backbone: Backbone, cache_dir: Path, *, images, should_stop) -> Any:
        noise = 0.1 if backbone.name == "efficientnet_lite0_lite2" else 2.0
        labels = np.array([photos.class_index(image) for image in images])
        return np.eye(8)[labels] + np.random.default_rng(0).normal(0, noise, (len(images), 8))

    monkeypatch.setattr(variants, "pooled_features", features)
    variants.compare_variants(dataset, get_backbone("efficientnet_lite0"), page_workspace.cache_dir)


@pytest.mark.usefixtures("careful_pays", "staged_runs")
def test_a_careful_version_that_pays_is_taken_for_frozen_layers_and_can_be_switched_off(
    open_page: OpenPage, dataset: ImageDataset, page_workspace: Workspace
) -> None:
    page = open_page("4_Train", model="efficientnet_lite0", images=dataset.id, unfrozen=2)
    assert "Two models" not in texts(page)
    page = open_page("4_Train", model="efficientnet_lite0", images=dataset.id, unfrozen=0)
    assert "Two models look at each photo" in texts(page)
    assert "4 times slower" in texts(page)
    page.toggle(key="careful").set_value(False).run()
    assert not page.toggle(key="careful").value
    assert "EfficientNet-Lite0 and Lite2" not in texts(page)
    page.toggle(key="careful").set_value(True).run()
    button(page, "Start training").click().run()
    (run_id,) = page_workspace.run_ids()
    config = TrainingRun.load(page_workspace, run_id).config
    assert (config.backbone, config.num_unfrozen_blocks) == ("efficientnet_lite0_lite2", 0)


def choose_for_myself(page: AppTest) -> None:
    next(found for found in page.toggle if found.label == "Choose for myself").set_value(True).run()


@pytest.mark.parametrize("is_offered", [False, True])
def test_mixed_precision_is_offered_where_a_gpu_may_have_it(
    is_offered: bool,
    open_page: OpenPage,
    dataset: ImageDataset,
    staged_runs: StagedRuns,
    page_workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(advanced, "offers_mixed_precision", lambda: is_offered)
    page = open_page("4_Train", model="efficientnet_lite0", images=dataset.id, unfrozen=1)
    choose_for_myself(page)
    assert ("Mixed precision" in [found.label for found in page.toggle]) == is_offered
    if is_offered:
        page.toggle(key="mixed-precision-0").set_value(True).run()
    button(page, "Start training").click().run()
    (run_id,) = page_workspace.run_ids()
    assert TrainingRun.load(page_workspace, run_id).config.mixed_precision == is_offered


def test_an_expert_changes_every_choice(
    open_page: OpenPage, dataset: ImageDataset, staged_runs: StagedRuns, page_workspace: Workspace
) -> None:
    page = open_page("4_Train", model="efficientnet_lite0", images=dataset.id, unfrozen=1)
    choose_for_myself(page)
    recommended = recommend(dataset, get_backbone("efficientnet_lite0")).config
    assert page.number_input(key="epochs-0").value == recommended.epochs
    page.number_input(key="epochs-0").set_value(12)
    page.number_input(key="fine-tune-epochs-0").set_value(3)
    page.number_input(key="early-stopping-patience-0").set_value(0)
    page.number_input(key="num-views-0").set_value(2)
    page.number_input(key="seed-0").set_value(7)
    for key, value in {"learning-rate-0": 0.01, "batch-size-0": 16, "weight-decay-0": 0.1}.items():
        page.select_slider(key=key).set_value(value)
    for key, value in {"layer-decay-0": 0.5, "dropout-0": 0.4, "label-smoothing-0": 0.1}.items():
        page.slider(key=key).set_value(value)
    choices = {"schedule-0": "gradual", "optimizer-0": "sgd", "head-0": "hidden", "augmentation-0": "strong"}
    for key, value in {**choices, "class-weights-0": "on", "cache-dtype-0": "float32"}.items():
        page.segmented_control(key=key).set_value(value)
    page.pills(key="augmentation-kinds-0").set_value(["flip", "color"])
    page.toggle(key="oversampling-0").set_value(True)
    page.run()
    button(page, "Start training").click().run()
    assert not page.exception
    (run_id,) = page_workspace.run_ids()
    config = TrainingRun.load(page_workspace, run_id).config
    assert config == recommended.with_changes(
        num_unfrozen_blocks=1,
        epochs=12,
        fine_tune_epochs=3,
        early_stopping_patience=0,
        num_views=2,
        seed=7,
        learning_rate=0.01,
        batch_size=16,
        weight_decay=0.1,
        layer_decay=0.5,
        dropout=0.4,
        label_smoothing=0.1,
        schedule="gradual",
        optimizer="sgd",
        head="hidden",
        augmentation="strong",
        augmentation_kinds=("flip", "color"),
        class_weights="on",
        cache_dtype="float32",
        oversampling=True,
    )


def test_an_expert_sees_which_last_layer_augmentation_allows(
    open_page: OpenPage, dataset: ImageDataset
) -> None:
    page = open_page("4_Train", model="efficientnet_lite0", images=dataset.id, unfrozen=0)
    choose_for_myself(page)
    assert "last layer will be linear" not in texts(page)
    page.toggle(key="oversampling-0").set_value(True).run()
    assert "last layer will be linear" in texts(page)
    page.segmented_control(key="head-0").set_value("lda").run()
    assert "choose the linear one" in texts(page)
    assert "last layer will be linear" not in texts(page)


def test_every_expert_choice_has_a_help_text(open_page: OpenPage, dataset: ImageDataset) -> None:
    page = open_page("4_Train", model="efficientnet_lite0", images=dataset.id, unfrozen=0)
    choose_for_myself(page)
    fields = [*page.number_input, *page.select_slider, *page.slider, *page.toggle]
    assert len(fields) > 12
    assert [field.label for field in fields if not field.help] == []


def test_single_layers_are_chosen_by_name(
    open_page: OpenPage, dataset: ImageDataset, staged_runs: StagedRuns, page_workspace: Workspace
) -> None:
    page = open_page("4_Train", model="efficientnet_lite0", images=dataset.id, unfrozen=0)
    choose_for_myself(page)
    assert not page.multiselect
    page.toggle(key="single-layers-0").set_value(True).run()
    layer = page.multiselect[0].options[0]
    page.multiselect[0].set_value([layer]).run()
    button(page, "Start training").click().run()
    (run_id,) = page_workspace.run_ids()
    assert TrainingRun.load(page_workspace, run_id).config.unfrozen_layers == (layer,)


def test_augmentation_is_shown_on_the_persons_own_photos(open_page: OpenPage, dataset: ImageDataset) -> None:
    page = open_page("4_Train", model="efficientnet_lite0", images=dataset.id, unfrozen=0)
    choose_for_myself(page)
    assert not page.get("image")
    page.segmented_control(key="augmentation-0").set_value("strong").run()
    assert [len(found.proto.imgs) for found in page.get("image")] == [4, 4, 4]


def test_class_weights_are_shown_when_they_are_on(open_page: OpenPage, dataset: ImageDataset) -> None:
    page = open_page("4_Train", model="efficientnet_lite0", images=dataset.id, unfrozen=0)
    choose_for_myself(page)
    assert "Every photo counts the same." in texts(page)
    page.segmented_control(key="class-weights-0").set_value("on").run()
    assert page.dataframe[0].value["weight"].tolist() == [1.0, 1.0, 1.0]


class StagedSearch:
    """A search for a learning rate that reports a step, then ends as a test wants."""

    def __init__(self) -> None:
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.problem: Exception | None = None

    def find(self, *_arguments: object, **options: Any) -> RateCurve:
        options["on_step"](50, 100)
        self.begun.set()
        while not self.may_end.wait(0.01):
            if options["should_stop"]():
                raise FeaturesStoppedError
        if self.problem:
            raise self.problem
        return RateCurve((0.001, 0.01, 0.1), (1.6, 0.9, 4.0), 0.00351)


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch) -> Iterator[StagedSearch]:
    staged = StagedSearch()
    monkeypatch.setattr(transfer_core.work.tasks, "find_learning_rate", staged.find)
    yield staged
    staged.may_end.set()


@pytest.fixture
def rate_page(open_page: OpenPage, dataset: ImageDataset) -> AppTest:
    """The form, where a learning rate can be looked for."""
    page = open_page("4_Train", model="efficientnet_lite0", images=dataset.id, unfrozen=0)
    choose_for_myself(page)
    return page


def wait_for_search() -> None:
    for task in pages.ui.app.process.work_queue().tasks("rate search"):
        assert task.wait(60), "the search did not end"


def test_the_learning_rate_finder_works_behind_the_page(rate_page: AppTest, search: StagedSearch) -> None:
    button(rate_page, "Find a learning rate").click().run()
    assert search.begun.wait(30)
    rate_page.run()
    (bar,) = rate_page.get("progress")
    assert (bar.proto.text, bar.proto.value) == ("Trying learning rates", 75)
    search.may_end.set()
    wait_for_search()
    rate_page.run()
    assert "Suggested: 0.0035." in texts(rate_page)
    assert len(rate_page.get("echarts_chart")) == 1
    button(rate_page, "Use this rate").click().run()
    assert rate_page.select_slider(key="learning-rate-1").value == 0.0035
    assert "Use this rate" not in [found.label for found in rate_page.button]


def test_a_search_that_failed_can_be_tried_again(rate_page: AppTest, search: StagedSearch) -> None:
    search.problem = TrainingError("The disk has no room for the features.")
    search.may_end.set()
    button(rate_page, "Find a learning rate").click().run()
    wait_for_search()
    rate_page.run()
    assert "The disk has no room for the features." in texts(rate_page)
    search.problem = None
    button(rate_page, "Find a learning rate").click().run()
    wait_for_search()
    rate_page.run()
    assert "Suggested: 0.0035" in texts(rate_page)


def test_a_search_can_be_stopped(rate_page: AppTest, search: StagedSearch) -> None:
    button(rate_page, "Find a learning rate").click().run()
    assert search.begun.wait(30)
    rate_page.run()
    # Another choice of the form does not hide the search that is under way.
    rate_page.number_input(key="epochs-0").set_value(3).run()
    rate_page.button(key="stop-rate-search").click().run()
    wait_for_search()
    rate_page.run()
    assert "Suggested" not in texts(rate_page)
    assert button(rate_page, "Find a learning rate")


def test_a_search_takes_its_turn_with_trainings(
    staged_runs: StagedRuns, dataset: ImageDataset, rate_page: AppTest, search: StagedSearch
) -> None:
    submit(dataset)
    assert staged_runs.reached_half_way.wait(30)
    button(rate_page, "Find a learning rate").click().run()
    rate_page.run()
    waiting = "Starting. A training that is under way goes first."
    assert waiting in [bar.proto.text for bar in rate_page.get("progress")]
    assert not search.begun.is_set()
    staged_runs.let_go.set()
    assert search.begun.wait(30)


def test_a_running_training_shows_numbers_charts_and_the_sidebar_bar(
    open_page: OpenPage, dataset: ImageDataset, staged_runs: StagedRuns
) -> None:
    run_id = submit(dataset)
    assert staged_runs.reached_half_way.wait(30)
    page = open_page("4_Train", run=run_id)
    shown = {metric.label: metric.value for metric in page.metric}
    assert shown.pop("Time left") in [f"about {seconds} s" for seconds in range(4, 13)]
    assert shown == {
        "Accuracy": "80\u00a0%",
        "Epoch": "3 of 4",
        "Step": "8 of 12",
        "Photos a second": "12",
        "Training accuracy": "80\u00a0%",
        "Loss": "0.600",
        "Learning rate": "8.5e-03",
        "Memory": "820 MB",
    }
    assert "Training the new layer" in bars(page)
    assert len(page.get("echarts_chart")) == 2
    assert "Training now" in texts(page)
    assert button(page, "Stop and keep the model")
    # The same run from a second tab, opened without anything in its address.
    elsewhere = open_page("1_Model")
    assert "Training now" in [caption.value for caption in elsewhere.sidebar.caption]


def test_photos_go_by_and_validation_photos_carry_their_outcomes(
    open_page: OpenPage, dataset: ImageDataset, staged_runs: StagedRuns
) -> None:
    run_id = submit(dataset)
    assert staged_runs.reached_half_way.wait(30)
    page = open_page("4_Train", run=run_id)
    strip, grid = drawn(page, "photos-read"), drawn(page, "photo-grid")
    assert len(strip["tiles"]) == 12
    assert all(tile["source"].startswith("data:image/jpeg") for tile in strip["tiles"])
    assert re.fullmatch(r"Training the new layer, \d0\u00a0%", strip["words"]["status"])
    assert [tile["alt"] for tile in grid["tiles"]] == [
        image.class_name for image in dataset.images_in("validation")
    ]
    assert grid["outcomes"] == [{"epoch": 1, "digits": "01011"}, {"epoch": 2, "digits": "11011"}]


def test_photos_that_the_browser_has_are_not_sent_again(
    open_page: OpenPage, dataset: ImageDataset, staged_runs: StagedRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = submit(dataset)
    assert staged_runs.reached_half_way.wait(30)
    sent = drawn(open_page("4_Train", run=run_id), "photo-grid")
    monkeypatch.setattr("pages.ui.components.photo_grid.component_value", lambda key, name: sent["id"])
    again = drawn(open_page("4_Train", run=run_id), "photo-grid")
    assert (again["tiles"], again["received"]) == (None, sent["id"])
    assert again["outcomes"] == sent["outcomes"]


def test_the_frame_of_the_chart_is_there_before_the_first_epoch(
    open_page: OpenPage, dataset: ImageDataset, page_workspace: Workspace
) -> None:
    live = LiveRun(TrainingRun.create(page_workspace, dataset, TrainingConfig()))
    page = open_page("4_Train", run=live.run.id)
    accuracy = json.loads(page.get("echarts_chart")[0].proto.spec)
    assert (accuracy["yAxis"]["min"], accuracy["yAxis"]["max"]) == (0, 100)
    assert drawn(page, "photo-grid")["outcomes"] == []
    live.log.append(HALF_WAY[0])
    live.log.append(HeadChosen(100.5, "lda", {"lda": 0.9, "average": 0.7}))
    live.log.append(PrecisionChosen(100.6, "float32", "no_gpu"))
    page.run()
    assert "Trained in float32, because there was no GPU." in texts(page)
    assert {metric.label: metric.value for metric in page.metric}["First guess"] == "90\u00a0%"
    live.release()


def test_the_charts_show_raw_and_smoothed_batches_and_mark_the_best(
    open_page: OpenPage, dataset: ImageDataset, staged_runs: StagedRuns
) -> None:
    run_id = submit(dataset)
    assert staged_runs.reached_half_way.wait(30)
    page = open_page("4_Train", run=run_id)
    accuracy, loss = (json.loads(found.proto.spec) for found in page.get("echarts_chart"))
    assert [line["name"] for line in accuracy["series"]] == ["training", "validation"]
    names = [line["name"] for line in loss["series"]]
    assert names == ["each batch", "batches", "training", "validation"]
    assert loss["series"][0]["data"] == [[1.0, 1.3], [2.6, 0.5]]
    assert loss["xAxis"]["max"] == 4
    assert accuracy["series"][-1]["markPoint"]["data"] == [{"coord": [2, 80.0]}]
    assert loss["series"][-1]["markPoint"]["data"] == [{"coord": [2, 0.9]}]


def test_pause_and_go_on(open_page: OpenPage, dataset: ImageDataset, staged_runs: StagedRuns) -> None:
    staged_runs.obeys = True
    run_id = submit(dataset)
    assert staged_runs.reached_half_way.wait(30)
    page = open_page("4_Train", run=run_id)
    button(page, "Pause").click().run()
    wait_for(run_id, "paused")
    page.run()
    assert any("Paused. Nothing is lost while it waits." in text for text in bars(page))
    button(page, "Go on").click().run()
    wait_for(run_id, "running")
    assert button(page, "Pause")


def test_stop_is_passed_on_and_said(
    open_page: OpenPage, dataset: ImageDataset, staged_runs: StagedRuns
) -> None:
    run_id = submit(dataset)
    assert staged_runs.reached_half_way.wait(30)
    page = open_page("4_Train", run=run_id)
    button(page, "Stop and keep the model").click().run()
    assert pages.ui.app.process.trainings().is_stopping(run_id)
    assert "Stopping after the present step …" in bars(page)


def test_a_second_run_waits_and_shows_its_place(
    open_page: OpenPage, dataset: ImageDataset, staged_runs: StagedRuns
) -> None:
    submit(dataset)
    second = submit(dataset)
    page = open_page("4_Train", run=second)
    (sentence, _of_sidebar) = bars(page)
    assert re.fullmatch(r"1 training goes first\. Yours starts in about \d+ s\.", sentence)
    assert button(page, "Leave the queue")


def test_waiting_run_says_when_it_starts(
    open_page: OpenPage, dataset: ImageDataset, staged_runs: StagedRuns, page_workspace: Workspace
) -> None:
    remember_run(page_workspace.cache_dir, TrainingConfig().backbone, 100.0, 20_000.0)
    submit(dataset)
    submit(dataset)
    third = submit(dataset)
    assert staged_runs.reached_half_way.wait(30)
    page = open_page("4_Train", run=third)
    (sentence,) = [bar for bar in bars(page) if "go first" in bar]
    assert re.match(r"2 trainings go first\. Yours starts in about \d+", sentence)


def test_run_that_waits_for_others_is_in_the_sidebar_of_every_page(
    open_page: OpenPage, dataset: ImageDataset, staged_runs: StagedRuns, page_workspace: Workspace
) -> None:
    other = page_workspace.person(new_id())
    shutil.copytree(dataset.folder, other.dataset_dir(dataset.id))
    others = pages.ui.server.service.service().trainings(other)
    others.submit(ImageDataset.load(other, dataset.id), TrainingConfig())
    assert staged_runs.reached_half_way.wait(30)
    submit(dataset)
    page = open_page("2_Images", images=dataset.id)
    (sentence,) = [found.proto.text for found in page.sidebar.get("progress")]
    assert sentence.startswith(f"{dataset.name}: 1 training goes first. Yours starts in about")


def test_pause_that_others_wait_for_says_that_it_ends(
    open_page: OpenPage,
    dataset: ImageDataset,
    staged_runs: StagedRuns,
    page_workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    staged_runs.obeys = True
    run_id = submit(dataset)
    assert staged_runs.reached_half_way.wait(30)
    page = open_page("4_Train", run=run_id)
    assert button(page, "Pause").help == ""
    other = page_workspace.person(new_id())
    shutil.copytree(dataset.folder, other.dataset_dir(dataset.id))
    others = pages.ui.server.service.service().trainings(other)
    others.submit(ImageDataset.load(other, dataset.id), TrainingConfig())
    page.run()
    assert button(page, "Pause").help == "Others wait: a pause ends by itself after some minutes."
    button(page, "Pause").click().run()
    wait_for(run_id, "paused")
    page.run()
    assert any("Others wait: it goes on in about 3 min." in text for text in bars(page))
    monkeypatch.setattr("transfer_core.work.live_run.MOST_SECONDS_OF_PAUSE", 0.0)
    wait_for(run_id, "running")
    page.run()
    assert any("Your pause ended because others wait." in found.value for found in page.caption)
    assert button(page, "Pause").disabled


def test_a_finished_run_shows_its_result(
    open_page: OpenPage, dataset: ImageDataset, staged_runs: StagedRuns
) -> None:
    run_id = submit(dataset)
    finish(staged_runs, run_id)
    page = open_page("4_Train", run=run_id, model="efficientnet_lite0", images=dataset.id, unfrozen=0)
    assert page.success[0].value == "**Training is done.**"
    assert {metric.label: metric.value for metric in page.metric}["Accuracy"] == "80\u00a0%"
    assert len(page.get("echarts_chart")) == 2


def test_after_a_training_one_step_is_next_and_the_photos_show_what_was_right(
    open_page: OpenPage, dataset: ImageDataset, page_workspace: Workspace, train_once: TrainOnce
) -> None:
    run = train_once(page_workspace, dataset, TINY)
    page = open_page("4_Train", run=run.id)
    evaluation = run.evaluation()
    assert evaluation is not None
    assert page.success[0].value == f"**Training is done.** {expected_sentence(evaluation)}"
    primary = [found.label for found in page.main.button if found.proto.type == "primary"]
    assert primary == ["Try it"]
    labels = [found.label for found in page.main.button]
    assert labels == ["Try it", "What it mixes up", "Train again with changes", "Delete"]
    (outcome,) = drawn(page, "photo-grid")["outcomes"]
    right = [found.is_right for found in evaluation.outcomes]
    assert outcome == {"epoch": None, "digits": "".join("01"[found] for found in right)}


def test_run_again_with_changes_starts_from_the_choices_of_the_run(
    open_page: OpenPage, dataset: ImageDataset, staged_runs: StagedRuns
) -> None:
    run_id = submit(dataset, epochs=33, optimizer="sgd")
    finish(staged_runs, run_id)
    # The address of a run alone is enough: its model, photos and depth are chosen as well.
    page = open_page("4_Train", run=run_id)
    button(page, "Train again with changes").click().run()
    (epochs,) = [found.value for found in page.number_input if found.label == "Epochs"]
    (optimizer,) = [found.value for found in page.segmented_control if found.label == "Optimiser"]
    assert (epochs, optimizer) == (33, "sgd")
    assert "run" not in page.query_params


def test_a_deleted_run_can_be_had_back(
    open_page: OpenPage, dataset: ImageDataset, staged_runs: StagedRuns, page_workspace: Workspace
) -> None:
    run_id = submit(dataset)
    finish(staged_runs, run_id)
    page = open_page("4_Train", run=run_id)
    button(page, "Delete").click().run()
    assert page_workspace.run_ids() == []
    assert "The model was deleted." in texts(page)
    button(page, "Undo").click().run()
    assert page_workspace.run_ids() == [run_id]
    assert page.success[0].value == "**Training is done.**"
    assert "The model was deleted." not in texts(page)


def test_a_failed_run_says_why(open_page: OpenPage, dataset: ImageDataset, staged_runs: StagedRuns) -> None:
    staged_runs.ending = RunEnded(120.0, "failed", "The disk is full.")
    run_id = submit(dataset)
    finish(staged_runs, run_id)
    page = open_page("4_Train", run=run_id)
    assert page.error[0].value == "The disk is full."
    assert [found.label for found in page.main.button if found.proto.type == "primary"] == [
        "Train again with changes"
    ]


def test_a_run_that_was_cut_off_goes_on(
    open_page: OpenPage, dataset: ImageDataset, page_workspace: Workspace, staged_runs: StagedRuns
) -> None:
    run = TrainingRun.create(page_workspace, dataset, TrainingConfig())
    EventLog(run.folder / "events.jsonl").append(HALF_WAY[0])
    page = open_page("4_Train", run=run.id)
    assert "This training was cut off" in page.warning[0].value
    button(page, "Go on").click().run()
    assert staged_runs.reached_half_way.wait(30)
    assert pages.ui.app.process.trainings().status(run.id) == "running"
    assert button(page, "Pause")


def test_photos_that_were_left_out_are_named_while_it_runs_and_after(
    open_page: OpenPage, dataset: ImageDataset, page_workspace: Workspace, staged_runs: StagedRuns
) -> None:
    run_id = submit(dataset)
    assert staged_runs.reached_half_way.wait(30)
    run = TrainingRun.load(page_workspace, run_id)
    EventLog(run.folder / "events.jsonl").append(PhotosLeftOut(111.0, ("a1",), ("rose.jpg",), ("roses",)))
    notice = "rose.jpg (roses) is damaged and was left out. Add it again to use it."
    finish(staged_runs, run_id)
    page = open_page("4_Train", run=run_id)
    assert [warning.value for warning in page.warning] == [notice]


def test_why_a_run_was_cut_off_is_said(
    open_page: OpenPage, dataset: ImageDataset, staged_runs: StagedRuns
) -> None:
    staged_runs.ending = RunEnded(120.0, "interrupted", "The memory was not enough.")
    run_id = submit(dataset)
    finish(staged_runs, run_id)
    page = open_page("4_Train", run=run_id)
    assert page.warning[0].value.startswith("The memory was not enough. Go on starts it again.")


def test_a_run_that_another_program_trains_can_only_be_stopped(
    open_page: OpenPage, dataset: ImageDataset, page_workspace: Workspace
) -> None:
    live = LiveRun(TrainingRun.create(page_workspace, dataset, TrainingConfig()))
    for event in HALF_WAY:
        live.log.append(event)
    page = open_page("4_Train", run=live.run.id)
    assert any("Another program on this computer trains this run." in text for text in bars(page))
    assert "Pause" not in [found.label for found in page.button]
    button(page, "Stop and keep the model").click().run()
    assert live.is_stopping
    live.release()


def test_an_error_at_the_start_is_a_sentence(
    open_page: OpenPage, dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> str:
        raise TrainingError("There is no room left.")

    monkeypatch.setattr(transfer_core.work.service.Trainings, "submit", refuse)
    page = open_page("4_Train", model="efficientnet_lite0", images=dataset.id, unfrozen=0)
    button(page, "Start training").click().run()
    assert page.error[0].value == "There is no room left."
