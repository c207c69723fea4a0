"""Step 5: what the model has learned, and where it fails."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from streamlit.testing.v1 import AppTest

from pages.ui.app import process
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from pages.ui.app.tasks import split_scoring
from pages.ui.app.words import expected_sentence, model_name
from pages.ui.server import service
from tests.conftest import MakeImage, TrainOnce, near_duplicate
from tests.pages.conftest import TINY, OpenPage, StagedRuns, button, submit, texts
from transfer_core.data.checks.problems import Suspicion
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.sources.folder import folder_source
from transfer_core.errors import WorkspaceError
from transfer_core.files import write_json
from transfer_core.inference.calibration import Calibration
from transfer_core.inference.predictor import Predictor
from transfer_core.inference.rejection import Rejection
from transfer_core.language import percent
from transfer_core.runs.new_photos import add_new_photos
from transfer_core.runs.notes import RunNotes
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace, new_id

pytestmark = pytest.mark.usefixtures("tasks_at_once")

PAGE = "5_Results"


@pytest.fixture
def run(page_workspace: Workspace, dataset: ImageDataset, train_once: TrainOnce) -> TrainingRun:
    """A model that knows three colours, with twelve validation photos."""
    halved = dataset.with_split(0.5, seed=1).save()
    return train_once(page_workspace, halved, TINY)


def open_part(open_page: OpenPage, run: TrainingRun, part: str) -> AppTest:
    return open_page(PAGE, run=run.id, part=part)


def slider(page: AppTest, name: str) -> Any:
    return next(found for found in page.select_slider if str(found.key).startswith(name))


def copied(workspace: Workspace, run: TrainingRun) -> TrainingRun:
    """Another run with the same model, called `others`."""
    other = new_id()
    folder = Path(shutil.copytree(run.folder, workspace.run_dir(other)))
    facts = (folder / "config.json").read_text("utf-8")
    (folder / "config.json").write_text(facts.replace('"colors"', '"others"'), "utf-8")
    return TrainingRun.load(workspace, other)


def pick(page: AppTest, name: str) -> None:
    """Pick the run that learned from images of that name."""
    picker = page.selectbox(key="picked-run")
    picker.set_value(next(label for label in picker.options if label.startswith(name))).run()


def metrics(page: AppTest) -> dict[str, str]:
    return {found.label: found.value for found in page.metric}


def test_without_a_model_it_says_what_to_do(open_page: OpenPage) -> None:
    assert "There is no trained model yet. Train one first." in texts(open_page(PAGE))


def test_the_accuracy_stands_with_its_interval_in_words(open_page: OpenPage, run: TrainingRun) -> None:
    evaluation = run.evaluation()
    assert evaluation is not None
    page = open_page(PAGE, run=run.id)
    accuracy = percent(evaluation.accuracy)
    assert f"**{accuracy}** accuracy. {expected_sentence(evaluation)}" in texts(page)
    num_wrong = evaluation.is_right.count(False)
    assert f"Validation photos: {num_wrong} of 12 photos wrong." in texts(page)
    assert button(page, "Next: try it")
    page = open_part(open_page, run, "overview")
    assert metrics(page)["Validation photos"] == accuracy
    assert "Training photos" in metrics(page)


def test_precision_and_recall_stand_by_class(open_page: OpenPage, run: TrainingRun) -> None:
    evaluation = run.evaluation()
    assert evaluation is not None
    table = open_part(open_page, run, "classes").dataframe[0].value
    assert list(table["class"])[:3] == ["blue", "green", "red"]
    assert list(table["recall"])[:3] == pytest.approx(
        [100 * row["recall"] for row in evaluation.per_class.values()], abs=0.1
    )


def test_series_are_reported_to_runs_that_kept_them_together(
    open_page: OpenPage,
    page_workspace: Workspace,
    dataset: ImageDataset,
    train_once: TrainOnce,
    run: TrainingRun,
) -> None:
    present = ImageDataset.load(page_workspace, dataset.id)
    alike = [image.id for image in present.images_in("train") if image.class_name == "red"][:3]
    examined = present.with_series(dict.fromkeys(alike, alike[0])).save()
    sentence = "3 of your photos come in series of one scene. We never validate on a scene we trained on."
    assert sentence not in texts(open_part(open_page, run, "overview"))
    later = train_once(page_workspace, examined, TINY)
    assert sentence in texts(open_part(open_page, later, "overview"))


def curve_charts(page: AppTest) -> list[Any]:
    return [chart for chart in page.get("plotly_chart") if "learning-curve-chart" in chart.proto.id]


def test_learning_curve_is_measured_once_and_kept(open_page: OpenPage, run: TrainingRun) -> None:
    page = open_part(open_page, run, "overview")
    assert not curve_charts(page)
    page = page.button(key="learning-curve").click().run()
    (chart,) = curve_charts(page)
    kept = json.loads((run.folder / "learning_curve.json").read_text("utf-8"))
    points = kept["curve"]["points"]
    assert [point["num_images"] for point in points] == [9, 19]
    assert json.loads(chart.proto.spec)["data"][1]["y"] == [100 * point["accuracy"] for point in points]
    assert "All points use the same 24 photos." in texts(page)
    # Another visit reads it from the run.
    service._services.clear()
    again = open_part(open_page, run, "overview")
    assert curve_charts(again)
    # A changed photo makes it out of date.
    dataset = ImageDataset.load(process.workspace(), run.dataset_id)
    dataset.without([dataset.images[0].id]).save()
    assert open_part(open_page, run, "overview").button(key="learning-curve")


def test_only_the_open_part_is_drawn_and_the_address_keeps_it(open_page: OpenPage, run: TrainingRun) -> None:
    page = open_part(open_page, run, "certainty")
    assert not page.dataframe
    page.segmented_control(key="results-part").set_value("classes").run()
    assert page.query_params["part"] == "classes"
    assert [found.value for found in page.header] == ["Confusion matrix", "Precision and recall"]


def listed(page: AppTest, kind: str) -> list[str]:
    """The ids of the photos in a list of the Mistakes part, in their order."""
    page.selectbox(key="results-list").set_value(kind).run()
    assert not page.exception and not page.error
    (found,) = [one.proto for one in page.get("bidi_component") if f"list-{kind}" in one.proto.id]
    return [tile["id"] for tile in json.loads(found.json)["tiles"]]


def test_mistakes_can_be_listed_in_every_way(open_page: OpenPage, run: TrainingRun) -> None:
    make_the_least_sure_two_wrong(run)
    stored = run.evaluation()
    assert stored is not None
    surest_first = [outcome.image_id for outcome in stored.outcomes]
    page = open_part(open_page, run, "mistakes")
    assert listed(page, "wrong") == surest_first[-2:]
    assert listed(page, "unsure") == surest_first[::-1]
    of_class = [outcome.image_id for outcome in stored.outcomes[:10] if outcome.class_name == "blue"]
    page.selectbox(key="results-list").set_value("typical").run()
    assert page.selectbox(key="typical-class").value == "blue"
    assert listed(page, "typical") == of_class
    page.selectbox(key="results-list").set_value("labels").run()
    assert "Similar photos have another label." in texts(page)
    assert button(page, "Look for wrong labels")
    page.selectbox(key="mistakes-set").set_value("train").run()
    trained_on = listed(page, "unsure")
    assert trained_on and set(trained_on) <= run.train_ids()


def test_changed_labels_are_trained_again_with_the_same_settings(
    open_page: OpenPage, run: TrainingRun, page_workspace: Workspace, staged_runs: StagedRuns
) -> None:
    page = open_part(open_page, run, "mistakes")
    assert "Train again with these changes" not in [found.label for found in page.button]
    dataset = ImageDataset.load(page_workspace, run.dataset_id)
    image = dataset.images_in("validation")[0]
    dataset.relabelled([image.id], "red" if image.class_name != "red" else "blue").save()
    page.run()
    assert "**1 photo** has changed since this model was trained." in texts(page)
    button(page, "Train again with these changes").click().run()
    assert not page.exception
    again = next(run_id for run_id in page_workspace.run_ids() if run_id != run.id)
    assert TrainingRun.load(page_workspace, again).config == run.config
    assert page.selectbox(key="picked-run").value == run.id
    links = [link.label for link in page.main.get("page_link")][len(Step) :]
    assert links == ["Watch it train", "Compare the two"]
    assert page.query_params["compare"] == f"{run.id},{again}"
    assert "settings are being trained" in texts(page)
    staged_runs.let_go.set()
    while process.trainings().running_runs:
        pass
    page.run()
    assert "settings have been trained" in texts(page)
    assert "Train again with these changes" not in [found.label for found in page.button]
    changed = ImageDataset.load(page_workspace, run.dataset_id)
    changed.relabelled([dataset.images_in("validation")[1].id], "green").save()
    page.run()
    assert "**1 photo** has changed since this model was trained." in texts(page)
    shutil.rmtree(page_workspace.run_dir(again))
    page.run()
    assert "settings have been trained" not in texts(page)
    assert "**2 photos** have changed since this model was trained." in texts(page)


def test_a_label_found_right_is_not_called_wrong_again(page_workspace: Workspace, run: TrainingRun) -> None:
    dataset = ImageDataset.load(page_workspace, run.dataset_id)
    image = dataset.images[0]
    suspicion = Suspicion(image.id, image.class_name, "other", 0.9)
    session = Session(checked_labels_of=dataset.id, suspicions=(suspicion,))
    assert session.suspicions_about(dataset) == (suspicion,)
    confirmed = dataset.confirmed([image.id]).save()
    assert session.suspicions_about(confirmed) == ()
    loaded = ImageDataset.load(page_workspace, dataset.id)
    assert [found.id for found in loaded.images if found.is_confirmed] == [image.id]
    relabelled = loaded.relabelled([image.id], "violet")
    assert not any(found.is_confirmed for found in relabelled.images)


def test_a_chosen_limit_is_kept_with_the_model_and_the_test_page_obeys(
    open_page: OpenPage, run: TrainingRun, make_image: MakeImage
) -> None:
    page = open_part(open_page, run, "certainty")
    assert f"**{percent(1)}** of photos get an answer" in texts(page)
    slider(page, "sure-coverage").set_value(0.5).run()
    assert not page.exception
    stored = Rejection.load(run.folder)
    assert stored is not None and stored.min_probability > 0
    strict = stored.with_min_probability(1.0)
    strict.save_thresholds(run.folder)
    test = open_page("6_Test", run=run.id)
    test.segmented_control(key="test-way").set_value("photos").run()
    content = make_image("red", seed=901)
    test.file_uploader[0].upload("a.png", content, "image/png").run()
    (answer,) = [one.proto.body for one in test.get("html") if 'class="answer"' in one.proto.body]
    assert '<p class="answer-said">I don&#x27;t know</p>' in answer
    assert f"Best guess: {Predictor.load(run.folder).predict(content).best_guess}." in answer


def test_a_limit_that_cannot_be_stored_is_said_once(
    open_page: OpenPage, run: TrainingRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(rejection: Rejection, folder: Path) -> None:
        raise WorkspaceError("The disk is full.")

    page = open_part(open_page, run, "certainty")
    monkeypatch.setattr(Rejection, "save_thresholds", refuse)
    slider(page, "sure-coverage").set_value(0.5).run()
    assert [error.value for error in page.error] == ["The disk is full."]
    page.run()
    assert not page.error and not page.exception


def test_limits_of_one_run_never_reach_another(
    open_page: OpenPage, run: TrainingRun, page_workspace: Workspace
) -> None:
    other = copied(page_workspace, run)
    before = (other.folder / "rejection.json").read_bytes()
    page = open_part(open_page, run, "certainty")
    slider(page, "sure-coverage").set_value(0.5).run()
    chosen = (run.folder / "rejection.json").read_bytes()
    assert chosen != before
    pick(page, "others")
    assert slider(page, "sure-coverage").value == 1.0
    pick(page, "colors")
    assert slider(page, "sure-coverage").value == 0.5
    assert not page.exception
    assert (other.folder / "rejection.json").read_bytes() == before
    assert (run.folder / "rejection.json").read_bytes() == chosen


def make_the_least_sure_two_wrong(run: TrainingRun) -> None:
    """Store what no training decides: each answer surer than the next by 0.04, and the last two of twelve wrong."""
    stored = run.evaluation()
    assert stored is not None
    names = stored.class_names
    outcomes = []
    for number, outcome in enumerate(stored.outcomes):
        sure = 0.95 - 0.04 * number
        said = names.index(outcome.class_name) if number < 10 else names.index(outcome.class_name) - 1
        shares = [(1 - sure) / 2] * 3
        shares[said] = sure
        true_share = shares[names.index(outcome.class_name)]
        outcomes.append(
            replace(
                outcome,
                predicted_class_name=names[said],
                probability=sure,
                true_probability=true_share,
                probabilities=tuple(shares),
            )
        )
    run.files.write_evaluation(replace(stored, outcomes=tuple(outcomes)))


def test_only_a_moved_slider_changes_a_limit(open_page: OpenPage, run: TrainingRun) -> None:
    make_the_least_sure_two_wrong(run)
    page = open_part(open_page, run, "certainty")
    path = run.folder / "rejection.json"
    before = path.read_bytes()
    page.toggle[0].set_value(True).run()
    assert slider(page, "most-errors").value == 0.2
    assert path.read_bytes() == before
    stored = Rejection.load(run.folder)
    assert stored is not None
    # Chosen in another window, while this one is open.
    stored.with_min_probability(1.0).save_thresholds(run.folder)
    elsewhere = path.read_bytes()
    page.run()
    page.toggle[0].set_value(False).run()
    assert slider(page, "sure-coverage").value == 0.5
    assert path.read_bytes() == elsewhere


def test_a_run_that_is_not_over_is_not_offered(
    open_page: OpenPage, run: TrainingRun, staged_runs: StagedRuns
) -> None:
    training = submit(ImageDataset.load(process.workspace(), run.dataset_id), backbone="tiny_random")
    staged_runs.reached_half_way.wait(60)
    shutil.copy(run.folder / "model.keras", run.folder.parent / training / "model.keras")
    page = open_page(PAGE, run=training)
    assert page.selectbox(key="picked-run").options == [model_name(run)]
    assert page.selectbox(key="picked-run").value == run.id


def test_a_model_has_the_name_that_the_person_gave_it(open_page: OpenPage, run: TrainingRun) -> None:
    assert open_page(PAGE).selectbox(key="picked-run").options == [
        f"colors, {run.created_at.day} {run.created_at:%b, %H:%M}"
    ]
    run.files.write_notes(RunNotes("the careful one"))
    assert open_page(PAGE).selectbox(key="picked-run").options == ["the careful one"]


def test_what_lies_beside_a_model_is_read_again(run: TrainingRun, make_image: MakeImage) -> None:
    content = make_image("red", seed=902)
    images = ImageDataset.load(process.workspace(), run.dataset_id).version
    for name in ("rejection.json", "rejection.npz"):
        (run.folder / name).rename(run.folder / f"{name}.later")
    assert process.predictor(run.id).predict(content).familiarity is None
    assert split_scoring(run.id, "train", images).result.temperature == 1.0
    for name in ("rejection.json", "rejection.npz"):
        (run.folder / f"{name}.later").rename(run.folder / name)
    Calibration(2.0, 40).save(run.folder)
    assert process.predictor(run.id).predict(content).familiarity is not None
    scored = split_scoring(run.id, "train", images).result
    assert scored.temperature == 2.0
    assert scored.outcomes[0].familiarity is not None


def test_a_model_of_before_says_what_is_missing(open_page: OpenPage, run: TrainingRun) -> None:
    for name in ("rejection.json", "rejection.npz", "calibration.json"):
        (run.folder / name).unlink()
    page = open_part(open_page, run, "certainty")
    assert "This model was trained without it." in texts(page)
    (run.folder / "evaluation.json").unlink()
    page = open_part(open_page, run, "overview")
    assert "Validation photos" in metrics(page)


def test_photos_that_were_deleted_leave_the_numbers(
    open_page: OpenPage, run: TrainingRun, page_workspace: Workspace
) -> None:
    stored = run.evaluation()
    assert stored is not None
    shutil.rmtree(page_workspace.dataset_dir(run.dataset_id))
    shown = {part: open_part(open_page, run, part) for part in ("overview", "mistakes", "certainty")}
    assert not [page for page in shown.values() if page.error]
    assert "12 photos" in next(found.delta for found in shown["overview"].metric)
    assert f"**{percent(1)}** of photos get an answer" in texts(shown["certainty"])
    # Without their files they are listed by name.
    assert not shown["mistakes"].get("bidi_component")
    shown["mistakes"].selectbox(key="results-list").set_value("unsure").run()
    assert texts(shown["mistakes"]).count("\n- ") == 12


def test_labelled_photos_test_it(open_page: OpenPage, run: TrainingRun, tmp_path: Path, make_image) -> None:
    folder = tmp_path / "new"
    for color in ("blue", "red"):
        (folder / color).mkdir(parents=True)
        (folder / color / "1.png").write_bytes(make_image(color, seed=700))

    archive = Path(shutil.make_archive(str(tmp_path / "photos"), "zip", folder))
    page = open_part(open_page, run, "overview")
    page.file_uploader[0].upload("photos.zip", archive.read_bytes(), "application/zip").run()
    assert not page.exception and not page.error
    assert "Your test photos" in metrics(page)
    assert "of 2 photos wrong." in texts(page)
    button(page, "Remove these photos").click().run()
    assert "Your test photos" not in metrics(page)


def test_the_folders_of_test_photos_are_asked_about(
    open_page: OpenPage, run: TrainingRun, tmp_path: Path, make_image: MakeImage
) -> None:
    for seed, part in enumerate(("spring", "autumn")):
        for color in ("blue", "red"):
            (tmp_path / "new" / part / color).mkdir(parents=True)
            content = make_image(color, seed=700 + seed, noise=90)
            (tmp_path / "new" / part / color / f"{part}.png").write_bytes(content)
    archive = Path(shutil.make_archive(str(tmp_path / "photos"), "zip", tmp_path / "new"))
    page = open_part(open_page, run, "overview")
    page.file_uploader[0].upload("photos.zip", archive.read_bytes(), "application/zip").run()
    assert "autumn and spring hold the same folders" in texts(page)
    assert "Your test photos" not in metrics(page)
    page.button(key="layout-1").click().run()
    assert not page.exception and not page.error
    assert "of 4 photos wrong." in texts(page)


def test_photos_that_look_like_training_photos_are_counted_apart(
    open_page: OpenPage, run: TrainingRun, tmp_path: Path, image_folder: Path, make_image: MakeImage
) -> None:
    (tmp_path / "new" / "red").mkdir(parents=True)
    for number in range(3):
        (tmp_path / "new" / "red" / f"{number}.png").write_bytes(make_image("red", seed=700 + number))
    for number in range(2):
        content = near_duplicate((image_folder / "red" / f"red-{number}.jpg").read_bytes())
        (tmp_path / "new" / "red" / f"near-{number}.jpg").write_bytes(content)
    add_new_photos(run, folder_source(tmp_path / "new"))
    page = open_part(open_page, run, "overview")
    share = metrics(page)["Your test photos"]
    assert (
        f"Your test photos: 2 of 5 photos look like training photos. Without them accuracy is {share}."
        in texts(page)
    )
    assert "of 3 photos wrong." in texts(page)
    assert "2 more are not counted: they look like training photos." in texts(page)


def test_it_is_said_when_all_test_photos_were_seen_in_training(
    open_page: OpenPage, run: TrainingRun, page_workspace: Workspace, tmp_path: Path, make_image: MakeImage
) -> None:
    (tmp_path / "new" / "red").mkdir(parents=True)
    (tmp_path / "new" / "red" / "1.png").write_bytes(make_image("red", seed=700))
    (met,) = add_new_photos(run, folder_source(tmp_path / "new")).images
    dataset = ImageDataset.load(page_workspace, run.dataset_id)
    learned = next(image for image in dataset.images if image.id in run.train_ids())
    images = [
        structs.replace(image, fingerprint=met.fingerprint) if image == learned else image
        for image in dataset.images
    ]
    for_test = structs.replace(learned, id="f" * 32, split="test", fingerprint=met.fingerprint)
    structs.replace(dataset, images=(*images, for_test)).save()
    page = open_part(open_page, run, "overview")
    assert "There are no test photos that this model has never seen." in texts(page)
    assert "0 photos are here. 1 more is not counted" in texts(page)
    assert metrics(page).keys().isdisjoint({"Test folder", "Your test photos"})
    button(page, "Remove these photos").click().run()
    assert not page.exception and not page.error and "0 photos are here" not in texts(page)


def test_calibration_says_how_it_was_measured(open_page: OpenPage, run: TrainingRun) -> None:
    stored = run.evaluation()
    assert stored is not None
    many = replace(stored, outcomes=stored.outcomes * 4, temperature=1.5)
    write_json(run.folder / "evaluation.json", many.to_dict())
    page = open_part(open_page, run, "certainty")
    assert "The temperature for each photo was fitted on the other photos." in texts(page)
    assert metrics(page)["Calibration error (ECE)"] == percent(many.ece, digits=1)
    same = tuple(replace(outcome, group="one recording") for outcome in many.outcomes)
    write_json(run.folder / "evaluation.json", replace(many, outcomes=same).to_dict())
    assert "The same photos also set the temperature." in texts(open_part(open_page, run, "certainty"))


def test_each_folder_of_test_photos_is_scored_again(
    open_page: OpenPage, run: TrainingRun, tmp_path: Path, make_image: MakeImage
) -> None:
    for count in (2, 3):
        folder = tmp_path / f"new-{count}"
        (folder / "red").mkdir(parents=True)
        for number in range(count):
            (folder / "red" / f"{number}.png").write_bytes(make_image("red", seed=700 + 10 * count + number))
        add_new_photos(run, folder_source(folder))
        page = open_part(open_page, run, "overview")
        assert f"of {count} photos wrong." in texts(page)
        button(page, "Remove these photos").click().run()
        assert not page.exception and not page.error


def test_damaged_test_photos_can_be_let_go(
    open_page: OpenPage, run: TrainingRun, tmp_path: Path, make_image: MakeImage
) -> None:
    (tmp_path / "new" / "red").mkdir(parents=True)
    (tmp_path / "new" / "red" / "1.png").write_bytes(make_image("red", seed=700))
    photos = add_new_photos(run, folder_source(tmp_path / "new"))
    photos.dataset.image_path(photos.images[0]).write_bytes(b"no picture")
    page = open_part(open_page, run, "overview")
    assert len(page.error) == 1
    assert "Validation photos" in metrics(page)
    button(page, "Remove these photos").click().run()
    assert not page.error and not page.exception


def test_a_run_whose_backbone_was_deleted_leaves_the_others_available(
    open_page: OpenPage, run: TrainingRun, page_workspace: Workspace
) -> None:
    other = copied(page_workspace, run)
    config = other.folder / "config.json"
    config.write_text(config.read_text("utf-8").replace("tiny_random", "20250101-000000-0123456789abcdef"))
    for name in (PAGE, "6_Test", "7_Export"):
        page = open_page(name, run=run.id)
        labels = page.selectbox(key="picked-run").options
        assert sum(label.startswith("others, ") for label in labels) == 1
        assert page.selectbox(key="picked-run").value == run.id
        assert not page.error
    table = open_page("8_Compare").dataframe[0].value
    assert sorted(table["network"]) == ["20250101-000000-0123456789abcdef", "Tiny network for tests"]
