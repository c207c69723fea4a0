"""Why a model decides so, and the map of its photos: parts of the Results page, and on demand on the Test page."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import keras
import pytest
from streamlit.testing.v1 import AppTest

from pages.ui.app.tasks import split_scoring
from pages.ui.results.photos import prediction_words
from tests.conftest import MakeImage, TrainOnce, swap_classes
from tests.pages.conftest import TINY, OpenPage, texts
from transfer_core.data.dataset import ImageDataset
from transfer_core.inference.calibration import Calibration
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace

pytestmark = pytest.mark.usefixtures("tasks_at_once")


@pytest.fixture
def trained_run(page_workspace: Workspace, dataset: ImageDataset, train_once: TrainOnce) -> TrainingRun:
    return train_once(page_workspace, dataset, TINY)


def sent(page: AppTest, key: str) -> dict[str, Any]:
    """What a component got to draw."""
    (found,) = [one.proto for one in page.get("bidi_component") if key in one.proto.id]
    return json.loads(found.json)


def test_one_photo_is_explained_for_any_class(open_page: OpenPage, trained_run: TrainingRun) -> None:
    page = open_page("5_Results", run=trained_run.id, part="why")
    assert not page.error and "layer block2\\_relu" in texts(page)
    class_name = page.main.selectbox[0]
    evaluation = trained_run.evaluation()
    assert evaluation is not None
    photos = sent(page, "explained-2")["photos"]
    assert [photo["is_right"] for photo in photos] == sorted(evaluation.is_right)
    assert all(photo["source"].startswith("data:image/jpeg") for photo in photos)
    (first,) = sent(page, "heat")["pictures"]
    assert first["photo"].startswith("data:image/jpeg;base64,") and first["heat"].startswith("data:image/png")
    other = next(name for name in trained_run.class_names if name not in str(class_name.value))
    class_name.set_value(other).run()
    (second,) = sent(page, "heat")["pictures"]
    assert second["title"] == f"Warm colours support {other}" and second["heat"] != first["heat"]


def test_all_photos_of_a_class_are_averaged_with_a_sentence(
    open_page: OpenPage, trained_run: TrainingRun
) -> None:
    page = open_page("5_Results", run=trained_run.id, part="why")
    page.session_state["explained-view"] = "class"
    page.run()
    pictures = sent(page, "class-heat")["pictures"]
    assert [picture["title"] for picture in pictures] == [
        f"{name}, 8 photos" for name in ("blue", "green", "red")
    ]
    assert all(picture["caption"] for picture in pictures)


def test_the_map_shows_every_photo_and_marks_mistakes(open_page: OpenPage, trained_run: TrainingRun) -> None:
    page = open_page("5_Results", run=trained_run.id, part="map")
    assert not page.error
    drawn = sent(page, "image-map")
    assert len(drawn["points"]) == 24 and drawn["class_names"] == ["blue", "green", "red"]
    num_wrong = sum(point["is_wrong"] for point in drawn["points"])
    assert f" {num_wrong} mistake" in drawn["words"]["described"]
    assert all(
        abs(point["x"]) <= 1 and point["source"].startswith("data:image/jpeg") for point in drawn["points"]
    )


def test_the_map_is_as_sure_as_the_other_parts(
    open_page: OpenPage, trained_run: TrainingRun, dataset: ImageDataset
) -> None:
    before = sent(open_page("5_Results", run=trained_run.id, part="map"), "image-map")["points"]
    Calibration(5.0, 40).save(trained_run.folder)
    after = sent(open_page("5_Results", run=trained_run.id, part="map"), "image-map")["points"]
    shown = {point["id"]: point["text"] for point in after}
    assert shown != {point["id"]: point["text"] for point in before}
    scored = split_scoring(trained_run.id, "train", dataset.version).result.outcomes
    assert all(prediction_words(outcome) == shown[outcome.image_id] for outcome in scored)


def test_the_map_counts_the_mistakes_of_the_evaluation(open_page: OpenPage, trained_run: TrainingRun) -> None:
    stored = trained_run.evaluation()
    assert stored is not None
    names = stored.class_names
    wrong = [
        replace(one, predicted_class_name=names[names.index(one.class_name) - 1]) for one in stored.outcomes
    ]
    trained_run.files.write_evaluation(replace(stored, outcomes=tuple(wrong)))
    points = sent(open_page("5_Results", run=trained_run.id, part="map"), "image-map")["points"]
    mistakes = {point["id"] for point in points if point["is_wrong"]}
    assert mistakes >= {outcome.image_id for outcome in wrong}


def test_the_images_may_be_gone(open_page: OpenPage, trained_run: TrainingRun, dataset: ImageDataset) -> None:
    (dataset.folder / "dataset.json").unlink()
    page = open_page("5_Results", run=trained_run.id, part="map")
    assert page.error[0].value.startswith("There are no photos with the id")


def test_another_model_in_its_place_answers_and_is_explained_at_once(
    open_page: OpenPage, trained_run: TrainingRun, make_image: MakeImage
) -> None:
    page = open_page("6_Test", run=trained_run.id)
    page.segmented_control(key="test-way").set_value("photos").run()
    page.file_uploader[0].upload("one.png", make_image("red", seed=903), "image/png").run()
    page.toggle(key="explain-answer").set_value(True).run()
    (before,) = sent(page, "shown-photo")["pictures"]
    bars = next(found.proto.body for found in page.get("html") if 'class="bars"' in found.proto.body)
    swap_classes(keras, trained_run.folder)
    page.run()
    assert not page.exception and not page.error
    (after,) = sent(page, "shown-photo")["pictures"]
    assert bars != next(found.proto.body for found in page.get("html") if 'class="bars"' in found.proto.body)
    assert after["title"] == before["title"] and after["heat"] != before["heat"]

    page = open_page("5_Results", run=trained_run.id, part="why")
    page.session_state["explained-view"] = "class"
    first = sent(page.run(), "class-heat")["pictures"]
    swap_classes(keras, trained_run.folder)
    assert [one["heat"] for one in sent(page.run(), "class-heat")["pictures"]] != [
        one["heat"] for one in first
    ]


def test_a_new_photo_is_explained_on_demand_and_the_next_one_too(
    open_page: OpenPage, trained_run: TrainingRun, make_image: MakeImage
) -> None:
    page = open_page("6_Test", run=trained_run.id)
    page.segmented_control(key="test-way").set_value("photos").run()
    page.file_uploader[0].upload("one.png", make_image("red", seed=901), "image/png").run()
    assert not sent(page, "shown-photo")["pictures"][0]["heat"]
    page.toggle(key="explain-answer").set_value(True).run()
    assert not page.exception and not page.error
    (first,) = sent(page, "shown-photo")["pictures"]
    assert first["heat"].startswith("data:image/png")
    (field,) = [found for found in page.selectbox if found.label == "Explain the answer for"]
    field.set_value(next(name for name in trained_run.class_names if name not in str(field.value))).run()
    (second,) = sent(page, "shown-photo")["pictures"]
    assert second["heat"] not in ("", first["heat"])
    page.file_uploader[0].upload("two.png", make_image("blue", seed=902), "image/png").run()
    (third,) = sent(page, "shown-photo")["pictures"]
    assert third["photo"] != first["photo"] and third["heat"]
