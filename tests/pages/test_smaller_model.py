"""The Export page's offer of a smaller model, from nothing to what came of it."""

from __future__ import annotations

import json

import pytest

import pages.ui.app.process
from tests.conftest import TrainOnce
from tests.pages.conftest import TINY, OpenPage, StagedRuns, button, texts
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.files import write_json
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace

PAGE = "7_Export"


@pytest.fixture
def run(page_workspace: Workspace, dataset: ImageDataset, train_once: TrainOnce) -> TrainingRun:
    return train_once(page_workspace, dataset, TINY)


def on_a_large_network(run: TrainingRun) -> None:
    """Say that a tiny run stands on a large network, which would take a minute to train."""
    path = run.folder / "config.json"
    facts = json.loads(path.read_text("utf-8"))
    facts["config"]["backbone"] = "efficientnet_lite2"
    write_json(path, facts)


def test_the_smallest_network_has_nothing_to_teach(open_page: OpenPage, run: TrainingRun) -> None:
    page = open_page(PAGE, run=run.id)
    assert "No pretrained model here is both smaller and faster" in texts(page)
    assert not [found for found in page.button if found.key == "teach"]


def test_one_click_has_a_small_model_taught(
    open_page: OpenPage, page_workspace: Workspace, run: TrainingRun, staged_runs: StagedRuns
) -> None:
    on_a_large_network(run)
    page = open_page(PAGE, run=run.id)
    button(page, "Teach a smaller model").click().run()
    assert not page.exception
    (student,) = [one for one in page_workspace.run_ids() if one != run.id]
    config = TrainingRun.load(page_workspace, student).config
    assert (config.teacher, config.backbone) == (run.id, "efficientnet_lite0")
    assert "The small model is being taught." in texts(page)
    assert pages.ui.app.process.trainings().snapshot(student) is not None


def test_images_that_were_split_again_are_refused_with_the_reason(
    open_page: OpenPage, page_workspace: Workspace, dataset: ImageDataset, run: TrainingRun
) -> None:
    on_a_large_network(run)
    dataset.with_split(dataset.validation_split, 7).save()
    page = open_page(PAGE, run=run.id)
    button(page, "Teach a smaller model").click().run()
    assert not page.exception
    assert "would look too good" in texts(page)
    assert len(page_workspace.run_ids()) == 1


def test_choices_taken_over_from_a_taught_run_come_without_its_teacher(
    open_page: OpenPage, dataset: ImageDataset, run: TrainingRun, staged_runs: StagedRuns
) -> None:
    taught = pages.ui.app.process.trainings().submit(
        dataset, TrainingConfig(backbone="tiny_random", teacher=run.id, dropout=0.4)
    )
    staged_runs.let_go.set()
    page = open_page("4_Train", run=taught, model="tiny_random", images=dataset.id, unfrozen=0)
    config = page.session_state["session"].config
    assert (config.teacher, config.dropout) == ("", 0.4)


def test_both_are_set_beside_each_other(
    open_page: OpenPage,
    page_workspace: Workspace,
    dataset: ImageDataset,
    run: TrainingRun,
    train_once: TrainOnce,
) -> None:
    student = train_once(page_workspace, dataset, TINY)
    path = student.folder / "config.json"
    facts = json.loads(path.read_text("utf-8"))
    facts["config"]["teacher"] = run.id
    write_json(path, facts)
    large = {"accuracy": 0.95, "num_bytes": 40_000_000, "seconds_per_image": 0.08}
    small = {"accuracy": 0.93, "num_bytes": 10_000_000, "seconds_per_image": 0.02}
    write_json(student.folder / "distillation.json", {"teacher": large, "student": small, "num_images": 6})
    shown = texts(open_page(PAGE, run=run.id))
    assert "needs **25\u00a0%** of the space and **25\u00a0%** of the time" in shown
    assert "is **-2.0 percentage points** different" in shown
    assert "on 6 photos that neither was trained on" in shown
    assert "This model was taught by a larger one." in texts(open_page(PAGE, run=student.id))
    facts = {"teacher": large, "student": small, "num_images": 6, "is_out_of_fold": True}
    write_json(student.folder / "distillation.json", facts)
    shown = texts(open_page(PAGE, run=run.id))
    assert "neither was trained on" not in shown
    assert "the small one may be slightly too high" in shown
