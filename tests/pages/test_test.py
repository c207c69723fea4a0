"""Step 6: the test of a trained model."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from pages.ui.app import paging
from pages.ui.app.session import Session
from pages.ui.components import live_camera, pasted_photos
from pages.ui.test import many_photos
from tests.conftest import MakeImage, TrainOnce, near_duplicate
from tests.pages.conftest import TINY, HeldTasks, OpenPage, StagedRuns, button, submit, texts
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.data.sources.upload import uploaded_file
from transfer_core.inference.predictor import Predictor
from transfer_core.inference.rejection import Rejection
from transfer_core.language import percent
from transfer_core.runs.new_photos import add_new_photos
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace

pytestmark = pytest.mark.usefixtures("tasks_at_once")


@pytest.fixture
def trained_run(page_workspace: Workspace, dataset: ImageDataset, train_once: TrainOnce) -> TrainingRun:
    return train_once(page_workspace, dataset, TINY)


def choose_way(page: AppTest, way: str) -> None:
    page.segmented_control(key="test-way").set_value(way).run()
    assert not page.exception


def archive_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def bars_of(page: AppTest) -> list[str]:
    return [found.proto.body for found in page.get("html") if 'class="answer"' in found.proto.body]


def sent(page: AppTest, key: str) -> dict[str, Any]:
    """What a component got to draw."""
    (found,) = [one.proto for one in page.get("bidi_component") if key in one.proto.id]
    drawn: dict[str, Any] = json.loads(found.json)
    return drawn


def open_photos(open_page: OpenPage, run: TrainingRun, **query: str) -> AppTest:
    page = open_page("6_Test", **(query or {"run": run.id}))
    choose_way(page, "photos")
    return page


def upload_field(page: AppTest, label: str) -> Any:
    return next(found for found in page.file_uploader if found.label == label)


def correct(page: AppTest, class_name: str) -> None:
    """Give the photo on the page its right class."""
    (field,) = [found for found in page.selectbox if found.label == "What is it really?"]
    field.set_value(class_name).run()
    button(page, "Add to the training photos").click().run()
    assert not page.exception


def test_without_a_model_it_says_what_to_do(open_page: OpenPage) -> None:
    page = open_page("6_Test")
    assert "There is no trained model yet. Train one first." in texts(page)
    assert not page.file_uploader


def test_the_camera_comes_first_and_photos_where_there_is_none(
    open_page: OpenPage, trained_run: TrainingRun
) -> None:
    page = open_page("6_Test", run=trained_run.id)
    assert sent(page, "live-camera")["control"] == "test-way"
    page.session_state["session"].has_camera = False
    page.run()
    assert not [found for found in page.get("bidi_component") if "live-camera" in found.proto.id]
    assert upload_field(page, "Drop photos here")


def test_the_latest_photo_is_large_with_its_answer_and_all_are_thumbnails(
    open_page: OpenPage, trained_run: TrainingRun, make_image: MakeImage
) -> None:
    page = open_photos(open_page, trained_run)
    photos = {"first.png": make_image("red", seed=901), "second.png": make_image("blue", seed=902)}
    for name, content in photos.items():
        page.file_uploader[0].upload(name, content, "image/png")
    page.run()
    assert not page.exception and not page.error
    assert [photo["label"] for photo in sent(page, "photo-strip")["photos"]] == ["second.png", "first.png"]
    expected = Predictor.load(trained_run.folder).predict(photos["second.png"])
    (body,) = bars_of(page)
    assert f'<p class="answer-said">{expected.class_name}</p>' in body
    assert percent(expected.probability) in body
    assert all(name in body for name in ("red", "green", "blue"))
    assert re.search(r"second\.png · \d+ ms", texts(page))
    (shown,) = sent(page, "shown-photo")["pictures"]
    assert shown["photo"].startswith("data:image/jpeg;base64,") and not shown["heat"]


def test_a_file_that_is_no_picture_is_one_sentence(
    open_page: OpenPage, trained_run: TrainingRun, make_image: MakeImage
) -> None:
    page = open_photos(open_page, trained_run)
    page.file_uploader[0].upload("good.png", make_image("green", seed=903), "image/png")
    page.file_uploader[0].upload("bad.jpg", b"plain text", "image/jpeg").run()
    assert page.error[0].value == "bad.jpg was left out: it is not a photo, whatever its name says."
    assert [photo["label"] for photo in sent(page, "photo-strip")["photos"]] == ["bad.jpg", "good.png"]


def test_a_photo_of_the_training_is_called_no_test(
    open_page: OpenPage, trained_run: TrainingRun, image_folder: Path, make_image: MakeImage
) -> None:
    page = open_photos(open_page, trained_run)
    page.file_uploader[0].upload("new.png", make_image("red", seed=901), "image/png").run()
    assert "So it is no test." not in texts(page)
    known = near_duplicate((image_folder / "red" / "red-0.jpg").read_bytes())
    page.file_uploader[0].upload("known.jpg", known, "image/jpeg").run()
    assert "So it is no test." in texts(page)


def test_photos_kept_aside_are_answered_at_once_with_the_truth(
    open_page: OpenPage, trained_run: TrainingRun, make_image: MakeImage
) -> None:
    contents = [(color, make_image(color, seed=940 + number)) for number, color in enumerate(("red", "blue"))]
    aside = [
        ImportedFile((color, f"{color}.png"), partial(bytes, content), color) for color, content in contents
    ]
    add_new_photos(trained_run, aside)
    page = open_photos(open_page, trained_run)
    assert len(sent(page, "photo-strip")["photos"]) == 2
    (body,) = bars_of(page)
    shown = sent(page, "photo-strip")["photos"][0]["label"].removesuffix(".png")
    expected = Predictor.load(trained_run.folder).predict(dict(contents)[shown])
    assert f'<p class="answer-said">{expected.class_name}</p>' in body
    word = "Right" if expected.best_guess == shown else "Wrong"
    assert [found.value for found in [*page.success, *page.warning]] == [f"{word}. The class is {shown}."]
    # A photo that tests the model does not join its training photos.
    assert "What is it really?" not in [found.label for found in page.selectbox]


def test_names_from_outside_are_not_acted_upon(
    open_page: OpenPage, trained_run: TrainingRun, make_image: MakeImage
) -> None:
    page = open_photos(open_page, trained_run)
    page.file_uploader[0].upload("[click](http:x)<b>.png", make_image("red"), "image/png").run()
    assert "[click](http:x)" not in texts(page)
    assert r"\[click\](http\:x)\<b\>" in texts(page)


def test_looking_at_a_finished_run_does_not_lose_the_one_in_training(
    open_page: OpenPage, trained_run: TrainingRun, dataset: ImageDataset, staged_runs: StagedRuns
) -> None:
    running = submit(dataset)
    page = open_page("6_Test", run=running)
    assert page.selectbox[0].value == trained_run.id
    assert page.query_params["run"] == running
    page.switch_page("pages/4_Train.py").run()
    assert "Stop and keep the model" in [found.label for found in page.button]


def test_a_damaged_run_is_not_offered(
    open_page: OpenPage, trained_run: TrainingRun, dataset: ImageDataset, page_workspace: Workspace
) -> None:
    damaged = TrainingRun.create(page_workspace, dataset, TrainingConfig())
    (damaged.folder / "config.json").write_text("{")
    page = open_page("6_Test")
    assert page.selectbox[0].value == trained_run.id


def test_a_damaged_model_is_one_sentence(open_page: OpenPage, trained_run: TrainingRun) -> None:
    (trained_run.folder / "model.keras").write_bytes(b"no model")
    page = open_page("6_Test", run=trained_run.id)
    assert page.error[0].value.startswith(f"model.keras of {trained_run.id} is damaged")


def test_an_archive_becomes_a_table_the_least_sure_first(
    open_page: OpenPage, trained_run: TrainingRun, make_image: MakeImage
) -> None:
    page = open_page("6_Test", run=trained_run.id)
    choose_way(page, "many")
    assert not page.dataframe
    photos = {
        f"photos/{color}-{seed}.png": make_image(color, seed=950 + seed)
        for color in ("red", "blue")
        for seed in range(3)
    }
    content = archive_of({**photos, "photos/bad.jpg": b"plain text"})
    (field,) = [found for found in page.file_uploader if found.label == "A zip or tar file"]
    field.upload("photos.zip", content, "application/zip").run()
    assert not page.exception and not page.error
    left_out, table = page.dataframe
    assert left_out.value.iloc[0].to_list() == [
        "photos/bad.jpg",
        "it is not a photo, whatever its name says",
    ]
    predictor = Predictor.load(trained_run.folder)
    expected = {name: predictor.predict(photo) for name, photo in photos.items()}
    rows = table.value
    assert "other" not in rows
    certainties = rows["certainty"].to_list()
    assert certainties == sorted(certainties) and len(certainties) == 6
    for row in rows.to_dict("records"):
        found = expected[row["file"]]
        assert (row["answer"], row["guess"]) == (found.class_name, found.class_name)
        assert row["certainty"] == pytest.approx(100 * found.probability, abs=1e-3)
        assert row["photo"].startswith("data:image/jpeg;base64,")
    assert "**6 photos**: 3 " in texts(page)
    assert [found.label for found in page.expander] == ["1 file was left out"]
    assert [found.proto.label for found in page.get("download_button")] == ["Download the answers (CSV)"]


def test_a_long_table_comes_page_by_page(
    open_page: OpenPage, trained_run: TrainingRun, make_image: MakeImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many_photos, "ROWS_A_PAGE", 2)
    monkeypatch.setattr(paging, "FILES_A_PAGE", 1)
    page = open_page("6_Test", run=trained_run.id)
    choose_way(page, "many")
    photos = {f"{seed}.png": make_image("red", seed=seed) for seed in range(5)}
    content = archive_of({**photos, "bad.jpg": b"plain text", "worse.jpg": b"plain text"})
    (field,) = [found for found in page.file_uploader if found.label == "A zip or tar file"]
    field.upload("photos.zip", content, "application/zip").run()
    left_out, table = page.dataframe
    # Two thumbnails, not five, are in the message.
    assert (len(left_out.value), len(table.value)) == (1, 2)
    assert "**5 photos**" in texts(page)
    next(found for found in page.button_group if found.label == "Order").set_value("file").run()
    assert page.dataframe[1].value["file"].to_list() == ["0.png", "1.png"]
    page.session_state[page.get("pagination")[1].key] = 3
    page.run()
    assert page.dataframe[1].value["file"].to_list() == ["4.png"]


def test_many_dropped_photos_become_a_table_too(
    open_page: OpenPage, trained_run: TrainingRun, image_folder: Path, make_image: MakeImage
) -> None:
    page = open_photos(open_page, trained_run)
    known = near_duplicate((image_folder / "red" / "red-0.jpg").read_bytes())
    page.file_uploader[0].upload("known.jpg", known, "image/jpeg")
    for seed in range(48):
        page.file_uploader[0].upload(f"{seed}.png", make_image("red", seed=seed), "image/png")
    page.run()
    assert not page.exception
    assert len(page.dataframe[0].value) == 49
    assert "1 of 49 photos was used in the training, so it is no test." in texts(page)
    assert not bars_of(page)


def test_a_broken_archive_is_one_sentence(open_page: OpenPage, trained_run: TrainingRun) -> None:
    page = open_page("6_Test", run=trained_run.id)
    choose_way(page, "many")
    page.file_uploader[1].upload("photos.zip", b"not a zip at all", "application/zip").run()
    assert not page.exception
    assert [found.value for found in page.error if "zip" in found.value]
    assert not page.dataframe


def test_what_is_not_known_gets_no_answer(
    open_page: OpenPage, trained_run: TrainingRun, make_image: MakeImage
) -> None:
    strict = Rejection.load(trained_run.folder)
    assert strict is not None
    strict.with_min_probability(1.01).save(trained_run.folder)
    page = open_page("6_Test", run=trained_run.id)
    choose_way(page, "many")
    page.file_uploader[1].upload("a.zip", archive_of({"a/b.png": make_image("red")}), "application/zip").run()
    assert page.dataframe[0].value["answer"].to_list() == ["I don't know"]
    assert "**1 photo**: 1 without an answer." in texts(page)


def test_a_wrong_answer_puts_the_photo_among_the_images_once(
    open_page: OpenPage,
    trained_run: TrainingRun,
    dataset: ImageDataset,
    page_workspace: Workspace,
    make_image: MakeImage,
) -> None:
    content = make_image("blue", seed=990)
    said = Predictor.load(trained_run.folder).predict(content).best_guess
    # Whatever the model says, its own answer cannot be chosen as the right one.
    label, other_label = (name for name in dataset.class_names if name != said)
    page = open_photos(open_page, trained_run)
    page.file_uploader[0].upload("odd.png", content, "image/png").run()
    assert button(page, "Add to the training photos").disabled
    correct(page, label)
    now = ImageDataset.load(page_workspace, dataset.id)
    (added,) = [image for image in now.images if image.name == "odd.png"]
    assert added.class_name == label and len(now.images) == len(dataset.images) + 1
    assert f"Added to **{label}**. Train again to learn from it." in texts(page)
    assert "What is it really?" not in [found.label for found in page.selectbox]

    again = open_photos(open_page, trained_run)
    again.file_uploader[0].upload("again.png", content, "image/png").run()
    correct(again, other_label)
    assert f"already in the class {label}" in again.error[0].value
    assert ImageDataset.load(page_workspace, dataset.id) == now

    button(page, "Train again").click().run()
    assert not page.exception
    assert page.title[0].value.endswith("Train")
    assert page.query_params["images"] == dataset.id and "run" not in page.query_params


def test_without_the_images_there_is_nothing_to_put_a_photo_among(
    open_page: OpenPage, trained_run: TrainingRun, dataset: ImageDataset, make_image: MakeImage
) -> None:
    shutil.rmtree(dataset.folder)
    page = open_photos(open_page, trained_run)
    page.file_uploader[0].upload("odd.png", make_image("blue", seed=990), "image/png").run()
    assert not page.exception and not page.error
    assert "The training photos were deleted, so this one cannot join them." in texts(page)
    assert "Add to the training photos" not in [found.label for found in page.button]


def test_two_models_side_by_side(
    open_page: OpenPage,
    trained_run: TrainingRun,
    page_workspace: Workspace,
    dataset: ImageDataset,
    make_image: MakeImage,
    train_once: TrainOnce,
) -> None:
    page = open_page("6_Test", run=trained_run.id)
    assert "Compare with" not in [found.label for found in page.selectbox]
    other = train_once(page_workspace, dataset, TrainingConfig(backbone="tiny_random", epochs=1, seed=5))
    page = open_photos(open_page, trained_run, pick=trained_run.id)
    content = make_image("red", seed=901)
    page.file_uploader[0].upload("first.png", content, "image/png").run()
    assert len(bars_of(page)) == 1
    page.selectbox(key=f"other-run-{trained_run.id}").set_value(other.id).run()
    assert not page.exception
    first, second = bars_of(page)
    for run, drawn in ((trained_run, first), (other, second)):
        assert percent(Predictor.load(run.folder).predict(content).probability) in drawn
    assert first != second
    choose_way(page, "many")
    page.file_uploader[1].upload("a.zip", archive_of({"a/b.png": content}), "application/zip").run()
    (said,) = page.dataframe[0].value["other"]
    assert said.startswith(Predictor.load(other.folder).predict(content).class_name)


def pasted(page: AppTest, **photos: bytes) -> AppTest:
    """Draw the page as it is after these have come from the clipboard."""
    page.session_state["session"].pasted = {
        f"id-of-{name}": uploaded_file(name, content) for name, content in photos.items()
    }
    return page.run()


def test_pasted_photos_stand_among_the_others_and_can_be_taken_away(
    open_page: OpenPage, trained_run: TrainingRun, make_image: MakeImage
) -> None:
    page = open_photos(open_page, trained_run)
    page.file_uploader[0].upload("first.png", make_image("red", seed=901), "image/png").run()
    blue = make_image("blue", seed=902)
    pasted(page, Broken=b"only words", Blue=blue)
    assert not page.exception
    assert [photo["label"] for photo in sent(page, "photo-strip")["photos"]] == [
        "Blue",
        "Broken",
        "first.png",
    ]
    assert percent(Predictor.load(trained_run.folder).predict(blue).probability) in bars_of(page)[0]
    button(page, "Blue").click().run()
    assert page.error[0].value == "Broken was left out: it is not a photo, whatever its name says."
    button(page, "Broken").click().run()
    assert not page.error
    assert [photo["label"] for photo in sent(page, "photo-strip")["photos"]] == ["first.png"]


def test_a_photo_kept_from_the_camera_is_shown_below_it(
    open_page: OpenPage, trained_run: TrainingRun, make_image: MakeImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session()
    content = base64.b64encode(make_image("red", seed=901)).decode()
    message = {"id": "frame-00000001", "content": content}
    monkeypatch.setattr("pages.ui.components.component.component_value", lambda key, kind: message)
    live_camera.keep_photo(session)
    (photo,) = session.pasted.values()
    assert (photo.path, photo.read()) == ("Camera 1", make_image("red", seed=901))
    page = open_page("6_Test", run=trained_run.id)
    assert not bars_of(page)
    pasted(page, Kept=photo.read())
    assert "Kept photos" in [found.value for found in page.header]
    assert len(bars_of(page)) == 1


def test_what_is_pasted_is_kept_once_named_and_bounded(
    monkeypatch: pytest.MonkeyPatch, page_workspace: Workspace
) -> None:
    session = Session()

    def send(number: int, name: str = "image.png", content: str = "YWJj") -> None:
        message = {"id": f"paste-{number:08}", "name": name, "content": content}
        monkeypatch.setattr("pages.ui.components.component.component_value", lambda key, kind: message)
        pasted_photos.take_photo(session)

    send(1)
    send(1)
    send(2, "cat.jpg")
    send(3, content="not base64!")
    assert [(photo.path, photo.read()) for photo in session.pasted.values()] == [
        ("Pasted 1", b"abc"),
        ("cat.jpg", b"abc"),
        ("Pasted 3", b""),
    ]
    send(0, content="../..")
    for number in range(4, 40):
        send(number)
    assert len(session.pasted) == 20
    assert session.pasted_id == "paste-00000039"


def test_page_does_not_wait_for_a_model_that_loads(
    open_page: OpenPage, trained_run: TrainingRun, held_tasks: HeldTasks
) -> None:
    page = open_page("6_Test", run=trained_run.id)
    assert [found.proto.text for found in page.get("progress")] == ["Getting your model ready …"]
    assert not page.get("bidi_component") and not page.exception
    held_tasks.carry_out()
    page.run()
    assert sent(page, "live-camera")
    assert not page.get("progress")
    page.run()
    assert not held_tasks, "the model that is loaded was loaded again"
