"""The guessing game of the Test page, and the third column of the quick start."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from pages.ui.app.session import Session
from pages.ui.components import guess_game
from tests.conftest import MakeImage, TrainOnce
from tests.pages.conftest import TINY, OpenPage, StagedRuns, button, submit, texts
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.inference.predictor import Predictor
from transfer_core.runs.guessing import draw_quiz
from transfer_core.runs.new_photos import add_new_photos
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace

pytestmark = pytest.mark.usefixtures("tasks_at_once")


@pytest.fixture
def trained_run(page_workspace: Workspace, dataset: ImageDataset, train_once: TrainOnce) -> TrainingRun:
    return train_once(page_workspace, dataset, TINY)


def add_test_photos(run: TrainingRun, make_image: MakeImage, num_of_each: int) -> None:
    photos = [
        ImportedFile((color, f"{color}-{number}.png"), partial(make_image, color, seed=960 + number), color)
        for color in ("red", "blue", "green")
        for number in range(num_of_each)
    ]
    add_new_photos(run, photos)


def sent(page: AppTest, key: str) -> dict[str, Any]:
    """What a component got to draw."""
    (found,) = [one.proto for one in page.get("bidi_component") if key in one.proto.id]
    drawn: dict[str, Any] = json.loads(found.json)
    return drawn


def html_of(page: AppTest) -> str:
    return "\n".join(found.proto.body for found in page.get("html"))


def open_game(open_page: OpenPage, run: TrainingRun) -> AppTest:
    page = open_page("6_Test", run=run.id)
    page.segmented_control(key="test-way").set_value("game").run()
    assert not page.exception and not page.error
    return page


def guess(page: AppTest, guesses: list[str]) -> AppTest:
    """Draw the page after all photos were sorted."""
    page.session_state["session"].guesses[sent(page, "guess-game")["id"]] = tuple(guesses)
    page.run()
    assert not page.exception and not page.error
    return page


def test_ten_photos_are_sorted_before_the_score_of_the_model_is_shown(
    open_page: OpenPage, trained_run: TrainingRun, dataset: ImageDataset, make_image: MakeImage
) -> None:
    add_test_photos(trained_run, make_image, 4)
    page = open_game(open_page, trained_run)
    assert "Sort 10 photos that your model has never seen." in texts(page)
    drawn = sent(page, "guess-game")
    assert len(drawn["photos"]) == 10 and drawn["class_names"] == ["blue", "green", "red"]
    assert 'class="score"' not in html_of(page)
    page = guess(page, ["red"] * 10)
    predictor = Predictor.load(trained_run.folder)
    quiz = draw_quiz(trained_run, dataset, None, round_number=0)
    said = [predictor.predict(photo.file.read()).best_guess for photo in quiz.photos]
    assert f'<span class="score-number">{quiz.num_right(said)} of 10</span>' in html_of(page)
    num_red = quiz.num_right(["red"] * 10)
    assert html_of(page).count("<figure>") == 10 - said.count("red")
    assert [found.value for found in page.header] == ["Your model wins!", "Where you differ"]
    assert f'<span class="score-number">{num_red} of 10</span>' in html_of(page)

    button(page, "Play again").click().run()
    assert sent(page, "guess-game")["id"] != drawn["id"]


def test_validation_photos_are_named_as_such(open_page: OpenPage, trained_run: TrainingRun) -> None:
    page = open_game(open_page, trained_run)
    evaluation = trained_run.evaluation()
    assert evaluation is not None
    number = min(evaluation.num_images, 10)
    text = f"Sort {number} validation photos. The model that judges each was not trained on it."
    assert text in texts(page)
    said = {outcome.name: outcome.predicted_class_name for outcome in evaluation.outcomes}
    page = guess(page, ["none"] * number)
    assert html_of(page).count("<figure>") == number
    assert all(name in html_of(page) for name in set(said.values()))


def test_only_whole_rounds_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session()

    def send(round_id: str, guesses: list[str]) -> None:
        message = {"id": round_id, "guesses": guesses}
        monkeypatch.setattr("pages.ui.components.component.component_value", lambda key, kind: message)
        guess_game.take_guesses(session, "20261128-0", 2)

    send("20261128-0", ["red"])
    send("20261128-1", ["red", "blue"])
    assert session.guesses == {}
    send("20261128-0", ["red", "blue"])
    assert session.guesses == {"20261128-0": ("red", "blue")}


def test_the_quick_start_answers_for_the_model_and_shows_a_quiet_picture_before(
    open_page: OpenPage, trained_run: TrainingRun, dataset: ImageDataset, make_image: MakeImage
) -> None:
    page = open_page(images=dataset.id)
    assert "Your model answers here as soon as it is trained." in html_of(page)
    assert all(f'<span class="bars-name">{name}</span>' in html_of(page) for name in dataset.class_names)
    page = open_page(run=trained_run.id)
    assert "as soon as it is trained" not in html_of(page)
    assert sent(page, "live-camera")["control"].startswith("try-way-")
    add_test_photos(trained_run, make_image, 1)
    page = open_page(run=trained_run.id)
    shown = sent(page, "photo-strip")["photos"]
    color = shown[0]["label"].removesuffix("-0.png")
    expected = Predictor.load(trained_run.folder).predict(make_image(color, seed=960))
    assert f'<p class="answer-said">{expected.class_name}</p>' in html_of(page)


def test_a_training_under_way_shows_no_answer_of_an_earlier_model(
    open_page: OpenPage, trained_run: TrainingRun, dataset: ImageDataset, staged_runs: StagedRuns
) -> None:
    page = open_page(run=submit(dataset))
    assert "Your model answers here as soon as it is trained." in html_of(page)
