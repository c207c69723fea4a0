"""The Learn page: lessons that speak of the person's own run."""

from __future__ import annotations

import pytest

from tests.conftest import TrainOnce
from tests.pages.conftest import OpenPage, texts
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import create_dataset
from transfer_core.runs.event_log import EventLog
from transfer_core.runs.training_run import EVENTS_FILE, TrainingRun
from transfer_core.work.execute import execute_run
from transfer_core.workspace import Workspace

NAMES = (
    "transfer",
    "fine-tuning",
    "freeze",
    "rate",
    "overfitting",
    "validation",
    "accuracy",
    "shortcuts",
    "privacy",
)


def test_without_a_run_each_lesson_says_what_to_do(open_page: OpenPage) -> None:
    page = open_page("9_Learn")
    assert len(page.subheader) == 9
    assert [found.key for found in page.button if str(found.key).startswith("see-")] == [
        f"see-{name}" for name in NAMES
    ]
    assert texts(page).count("Train your first model, then come back") == 6


@pytest.fixture
def trained_run(page_workspace: Workspace, dataset: ImageDataset, train_once: TrainOnce) -> TrainingRun:
    return train_once(page_workspace, dataset, TrainingConfig(backbone="tiny_random", epochs=3))


def test_with_a_run_each_lesson_shows_its_numbers(
    open_page: OpenPage, trained_run: TrainingRun, page_workspace: Workspace
) -> None:
    page = open_page("9_Learn", run=trained_run.id)
    shown = texts(page)
    evaluation = trained_run.evaluation()
    assert evaluation is not None
    assert "was feature extraction: only the new layer learned" in shown
    snapshot = trained_run.snapshot()
    assert f"{snapshot.num_train_images} were learned from and {snapshot.num_validation_images} kept" in shown
    assert f"right on {evaluation.accuracy:.0%} of {evaluation.num_images} photos" in shown
    assert "Train your first model" not in shown
    page.button(key="see-shortcuts").click().run()
    assert (page.query_params["part"], page.query_params["run"]) == ("why", trained_run.id)


def test_following_a_lesson_keeps_what_was_chosen(
    open_page: OpenPage, trained_run: TrainingRun, page_workspace: Workspace
) -> None:
    others = create_dataset(page_workspace, "others").save()
    chosen = {"model": "efficientnet_lite0", "images": others.id, "unfrozen": "2"}
    for name in NAMES:
        page = open_page("9_Learn", **chosen)
        page.button(key=f"see-{name}").click().run()
        assert not page.exception
        assert {key: page.query_params[key] for key in chosen} == chosen


def test_a_run_from_scratch_is_not_said_to_have_known_anything(
    open_page: OpenPage, page_workspace: Workspace, dataset: ImageDataset
) -> None:
    scratch = TrainingConfig(backbone="tiny_random", epochs=1, weights="random", num_unfrozen_blocks=3)
    run = TrainingRun.create(page_workspace, dataset, scratch)
    execute_run(page_workspace, run, EventLog(run.folder / EVENTS_FILE).append, lambda: False)
    shown = texts(open_page("9_Learn", run=run.id))
    assert "learned before;" not in shown and "fine-tuned its last" not in shown
    assert "random numbers: this run did without transfer learning" in shown
    assert "was neither: everything learned from scratch" in shown


def test_damage_costs_only_what_is_damaged(
    open_page: OpenPage, trained_run: TrainingRun, page_workspace: Workspace, dataset: ImageDataset
) -> None:
    newest = TrainingRun.create(page_workspace, dataset, TrainingConfig(backbone="tiny_random"))
    (newest.folder / "model.keras").write_bytes(b"x")
    (newest.folder / "config.json").write_text("{", "utf-8")
    page = open_page("9_Learn")
    assert not page.error
    assert f"your run of {trained_run.created_at:%Y-%m-%d %H:%M}" in texts(page)
    (trained_run.folder / "evaluation.json").write_text("{", "utf-8")
    page = open_page("9_Learn")
    assert len(page.subheader) == 9 and len(page.error) == 1
