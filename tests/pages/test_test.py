"""Step 6: the test of a trained model."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.conftest import MakeImage
from tests.pages.conftest import OpenPage, StagedRuns, submit, texts
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.predictor import Predictor
from transfer_core.runs.event_log import EventLog
from transfer_core.runs.execute import execute_run
from transfer_core.runs.training_run import EVENTS_FILE, TrainingRun
from transfer_core.workspace import Workspace


@pytest.fixture
def trained_run(page_workspace: Workspace, dataset: ImageDataset) -> Iterator[TrainingRun]:
    run = TrainingRun.create(page_workspace, dataset, TrainingConfig(backbone="tiny_random", epochs=40))
    execute_run(page_workspace, run, EventLog(run.folder / EVENTS_FILE).append, lambda: False)
    yield run


def test_without_a_model_it_says_what_to_do(open_page: OpenPage) -> None:
    page = open_page("6_Test")
    assert "There is no trained model yet. Train one first." in texts(page)
    assert not page.file_uploader


def test_new_photos_get_class_bars_and_time(
    open_page: OpenPage, trained_run: TrainingRun, make_image: MakeImage
) -> None:
    page = open_page("6_Test", run=trained_run.id)
    photos = {"first.png": make_image("red", seed=901), "second.png": make_image("blue", seed=902)}
    for name, content in photos.items():
        page.file_uploader[0].upload(name, content, "image/png")
    page.run()
    assert not page.exception and not page.error
    predictor = Predictor.load(trained_run.folder)
    answers = [f"### {predictor.predict(content).class_name}" for content in photos.values()]
    assert [found.value for found in page.markdown if found.value.startswith("###")] == answers
    bars = [found.proto.body for found in page.get("html") if 'class="bars"' in found.proto.body]
    assert len(bars) == 2
    for name in ("red", "green", "blue"):
        assert name in bars[0]
    assert re.search(r"first\.png · \d+ ms", texts(page))


def test_a_file_that_is_no_picture_is_one_sentence_beside_the_good_ones(
    open_page: OpenPage, trained_run: TrainingRun, make_image: MakeImage
) -> None:
    page = open_page("6_Test", run=trained_run.id)
    page.file_uploader[0].upload("bad.jpg", b"plain text", "image/jpeg")
    page.file_uploader[0].upload("good.png", make_image("green", seed=903), "image/png")
    page.run()
    assert page.error[0].value == "bad.jpg was left out: it is not a picture, whatever its name says."
    assert [found for found in page.markdown if found.value.startswith("###")]


def test_names_from_outside_are_not_acted_upon(
    open_page: OpenPage, trained_run: TrainingRun, make_image: MakeImage
) -> None:
    page = open_page("6_Test", run=trained_run.id)
    page.file_uploader[0].upload("[click](http://x)<b>.png", make_image("red"), "image/png").run()
    assert "[click](http://x)" not in texts(page)
    assert r"\[click\](http\://x)\<b\>" in texts(page)


def test_looking_at_a_finished_run_does_not_lose_the_one_in_training(
    open_page: OpenPage, trained_run: TrainingRun, dataset: ImageDataset, staged_runs: StagedRuns
) -> None:
    running = submit(dataset)
    page = open_page("6_Test", run=running)
    assert page.selectbox[0].value == trained_run.id
    assert page.query_params["run"] == running
    page.switch_page("pages/4_Train.py").run()
    assert "Stop and keep the best" in [found.label for found in page.button]


def test_a_damaged_run_is_not_offered(
    open_page: OpenPage, trained_run: TrainingRun, dataset: ImageDataset, page_workspace: Workspace
) -> None:
    damaged = TrainingRun.create(page_workspace, dataset, TrainingConfig())
    (damaged.folder / "config.json").write_text("{")
    page = open_page("6_Test")
    assert page.selectbox[0].value == trained_run.id


def test_the_camera_is_offered(open_page: OpenPage, trained_run: TrainingRun) -> None:
    page = open_page("6_Test", run=trained_run.id)
    assert not page.get("camera_input")
    page.toggle[0].set_value(True).run()
    assert len(page.get("camera_input")) == 1


def test_a_damaged_model_is_one_sentence(
    open_page: OpenPage, trained_run: TrainingRun, make_image: MakeImage
) -> None:
    (trained_run.folder / "model.keras").write_bytes(b"no model")
    page = open_page("6_Test", run=trained_run.id)
    page.file_uploader[0].upload("a.png", make_image("red"), "image/png").run()
    assert page.error[0].value.startswith("The saved model is damaged")
