"""The sidebar: six steps on every page, with what has been chosen and what is missing."""

import shutil

import pytest

from tests.pages.conftest import OpenPage
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace

PAGES = (
    "",
    "1_Model",
    "2_Images",
    "3_Layers",
    "4_Train",
    "5_Results",
    "6_Test",
    "8_Compare",
    "9_Learn",
    "10_Projects",
)


@pytest.mark.parametrize("name", PAGES)
def test_every_page_shows_the_six_steps(open_page: OpenPage, name: str) -> None:
    page = open_page(name)
    labels = [link.label for link in page.sidebar.get("page_link")]
    steps = ["Model", "Images", "Layers", "Train", "Results", "Test"]
    assert labels[1:7] == [f"{number} · {step}" for number, step in enumerate(steps, 1)]
    assert not any(link.disabled for link in page.sidebar.get("page_link"))
    states = [caption.value.split(": ", 1)[-1] for caption in page.sidebar.caption]
    assert [state.removeprefix(":material/radio_button_unchecked: ") for state in states[:6]] == [
        "Not chosen yet",
        "No images yet",
        "Not chosen yet",
        "Not trained yet",
        "Needs a trained model",
        "Needs a trained model",
    ]


def test_choices_are_shown_with_a_mark(open_page: OpenPage, dataset: ImageDataset) -> None:
    page = open_page("1_Model", model="efficientnet_lite2", images=dataset.id, unfrozen=1)
    shown = [caption.value for caption in page.sidebar.caption]
    assert shown[0] == ":material/check_circle: EfficientNet-Lite2"
    assert shown[1] == ":material/check_circle: 24 images in 3 classes"
    assert shown[2] == ":material/check_circle: 1 block learns along"
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
