"""The sidebar: the model that the person looks at, and the seven steps with what is chosen and what is missing."""

import shutil

import pytest
from streamlit.testing.v1 import AppTest

from pages.ui.app.steps import Step
from pages.ui.app.words import accuracy_words
from tests.conftest import TrainOnce
from tests.pages.conftest import TINY, OpenPage, StagedRuns, submit
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.language import percent
from transfer_core.runs.training_run import TrainingRun, runs_of
from transfer_core.workspace import Workspace

PAGES = (
    "",
    "1_Model",
    "2_Images",
    "3_Layers",
    "4_Train",
    "5_Results",
    "6_Test",
    "7_Export",
    "8_Compare",
    "9_Learn",
    "10_Projects",
)


@pytest.mark.parametrize("name", PAGES)
def test_every_page_shows_the_seven_steps(open_page: OpenPage, name: str) -> None:
    page = open_page(name)
    labels = [link.label for link in page.sidebar.get("page_link")]
    steps = ["Model", "Images", "Layers", "Train", "Results", "Test", "Export"]
    assert labels[1:8] == [f"{number} · {step}" for number, step in enumerate(steps, 1)]
    assert not any(link.disabled for link in page.sidebar.get("page_link"))
    assert states(page) == [
        "Not chosen yet",
        "No photos yet",
        "Not chosen yet",
        "Not trained yet",
        *["Needs a trained model"] * 3,
    ]


def test_choices_are_shown_with_a_mark(open_page: OpenPage, dataset: ImageDataset) -> None:
    page = open_page("1_Model", model="efficientnet_lite2", images=dataset.id, unfrozen=1)
    shown = [caption.value for caption in page.sidebar.caption]
    assert shown[0] == ":material/check_circle: EfficientNet-Lite2"
    assert shown[1] == ":material/check_circle: 24 photos in 3 classes"
    assert shown[2] == ":material/check_circle: New layer and 1 block learn"
    assert shown[3].startswith(":material/radio_button_unchecked:")


def test_a_run_that_was_deleted_by_hand_is_forgotten(
    open_page: OpenPage, dataset: ImageDataset, page_workspace: Workspace
) -> None:
    run = TrainingRun.create(page_workspace, dataset, TrainingConfig())
    page = open_page("4_Train", run=run.id)
    shutil.rmtree(run.folder)
    page.run()
    assert not page.exception
    assert "run" not in page.query_params


@pytest.fixture
def models(page_workspace: Workspace, dataset: ImageDataset, train_once: TrainOnce) -> list[TrainingRun]:
    """Two finished runs with a model, newest first."""
    for _number in range(2):
        train_once(page_workspace, dataset, TINY)
    return list(runs_of(page_workspace))


def states(page: AppTest) -> list[str]:
    """The state of each step."""
    return [caption.value.split(": ", 1)[-1] for caption in page.sidebar.caption][: len(Step)]


def test_a_fresh_tab_shows_no_success_of_another_run(open_page: OpenPage, models: list[TrainingRun]) -> None:
    page = open_page()
    assert page.sidebar.selectbox[0].value is None
    assert states(page)[4:] == ["Needs a trained model"] * 3


@pytest.mark.parametrize("name", ["5_Results", "6_Test", "7_Export", "9_Learn"])
def test_a_page_about_a_model_takes_the_newest_and_the_sidebar_names_it(
    open_page: OpenPage, models: list[TrainingRun], name: str
) -> None:
    page = open_page(name)
    assert page.sidebar.selectbox[0].value == models[0].id
    evaluation = models[0].evaluation()
    assert evaluation is not None
    assert states(page)[3] == f"Accuracy {percent(evaluation.accuracy)}"
    assert states(page)[4] == accuracy_words(evaluation)
    assert not page.main.selectbox or page.main.selectbox[0].label != "Your model"


def test_the_model_that_is_picked_is_shown_on_every_page(
    open_page: OpenPage, models: list[TrainingRun]
) -> None:
    newest, older = models
    page = open_page("5_Results")
    picker = page.sidebar.selectbox[0]
    assert len(set(picker.options)) == 2
    picker.set_value(older.id).run()
    page.switch_page("pages/4_Train.py").run()
    assert not page.exception
    assert page.sidebar.selectbox[0].value == older.id
    assert page.query_params["run"] == older.id
    newer = page.sidebar.selectbox[0].set_value(newest.id).run()
    assert newer.query_params["run"] == newest.id


def test_picking_a_model_keeps_choices_that_were_changed_since(
    open_page: OpenPage, models: list[TrainingRun]
) -> None:
    page = open_page("1_Model", model="efficientnet_lite2")
    page.sidebar.selectbox[0].set_value(models[1].id).run()
    assert page.query_params["pick"] == models[1].id
    assert page.query_params["model"] == "efficientnet_lite2"
    assert "run" not in page.query_params


def test_while_a_training_is_under_way_the_later_steps_wait_for_it(
    open_page: OpenPage, dataset: ImageDataset, staged_runs: StagedRuns
) -> None:
    run_id = submit(dataset, backbone="tiny_random")
    assert staged_runs.reached_half_way.wait(30)
    page = open_page("4_Train", run=run_id)
    assert states(page)[3:] == ["Training now", *["Ready when training ends"] * 3]
