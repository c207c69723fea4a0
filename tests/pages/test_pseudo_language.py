"""No page shows English to a person who speaks another language, in any of its states."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT, TrainOnce
from tests.pages.conftest import OpenPage
from tests.pages.shown_texts import english_left
from tools.languages import write_pseudo
from tools.pseudo_language import PSEUDO
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.language import LANGUAGE_VARIABLE
from transfer_core.recipes import LOCALE_VARIABLE
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace

pytestmark = pytest.mark.usefixtures("tasks_at_once")

PAGES = sorted(path.stem for path in (ROOT / "pages").glob("*.py"))
# Names are the same in every language.
NAMES = re.compile("XXXX")


@pytest.fixture(scope="module")
def catalogues(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pseudo")
    write_pseudo(folder)
    return folder


@pytest.fixture(autouse=True)
def pseudo_language(catalogues: Path, page_workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LOCALE_VARIABLE, str(catalogues))
    monkeypatch.setenv(LANGUAGE_VARIABLE, PSEUDO)


@pytest.fixture
def run(page_workspace: Workspace, dataset: ImageDataset, train_once: TrainOnce) -> TrainingRun:
    halved = dataset.with_split(0.5, seed=1).save()
    return train_once(page_workspace, halved, TrainingConfig(backbone="tiny_random", epochs=3))


@pytest.mark.parametrize("name", ["", *PAGES])
def test_an_empty_page(open_page: OpenPage, name: str) -> None:
    check(open_page(name))


def check(page: AppTest) -> AppTest:
    left = english_left(page, NAMES)
    assert not left, "\n".join(left)
    return page
