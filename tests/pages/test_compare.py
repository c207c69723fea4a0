"""The Compare page: the runs in a table, two of them side by side, and the freeze sweep."""

from __future__ import annotations

import re

import pytest

from pages.ui.app.session import Session
from pages.ui.compare import table as compare_table
from pages.ui.compare.table import RunRow
from tests.conftest import TrainOnce
from tests.pages.conftest import QUICK, OpenPage, StagedRuns, button, submit, texts, train_sweep
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import WorkspaceError
from transfer_core.runs.notes import RunNotes
from transfer_core.runs.sweep import list_sweeps
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace


@pytest.fixture
def two_runs(page_workspace: Workspace, dataset: ImageDataset, train_once: TrainOnce) -> list[TrainingRun]:
    other = QUICK.with_changes(epochs=8, learning_rate=0.1)
    return [train_once(page_workspace, dataset, config) for config in (QUICK, other)]


def test_without_runs_it_says_what_to_do(open_page: OpenPage) -> None:
    page = open_page("8_Compare")
    assert "There are no models to compare yet" in texts(page)
    assert not page.multiselect


def test_all_runs_are_in_the_table_with_their_status(
    open_page: OpenPage, two_runs: list[TrainingRun], dataset: ImageDataset, page_workspace: Workspace
) -> None:
    two_runs[0].files.write_notes(RunNotes("Best so far", is_starred=True))
    unfinished = TrainingRun.create(page_workspace, dataset, QUICK)
    damaged = TrainingRun.create(page_workspace, dataset, QUICK)
    (damaged.folder / "config.json").write_text("{")
    page = open_page("8_Compare")
    table = page.dataframe[0].value
    assert len(table) == 3
    assert sorted(table["status"]) == ["finished", "finished", "interrupted"]
    assert sorted(table["name"]) == ["", "", "Best so far"]
    assert any(label.startswith("Best so far") for label in page.multiselect[0].options)
    page.toggle(key="runs-starred").set_value(True).run()
    assert list(page.dataframe[0].value["name"]) == ["Best so far"]
    page.toggle(key="runs-starred").set_value(False)
    page.toggle(key="runs-trained").set_value(True).run()
    assert len(page.dataframe[0].value) == 2
    assert unfinished.folder.is_dir() and not page.exception


def rows_as_seen(runs: list[TrainingRun], *seen: RunNotes) -> list[RunRow]:
    return [RunRow(run, "finished", run.snapshot(), notes) for run, notes in zip(runs, seen, strict=True)]


def test_only_the_cells_that_were_changed_are_saved(
    two_runs: list[TrainingRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = two_runs
    session = Session()
    # Another window has named both meanwhile.
    first.files.write_notes(RunNotes("Mine"))
    second.files.write_notes(RunNotes("Yours", "kept"))
    edits = {"edited_rows": {1: {"starred": True, "note": None}}}
    monkeypatch.setattr(compare_table, "widget_value", lambda _key: edits)
    compare_table.save_notes(session, rows_as_seen(two_runs, RunNotes(), RunNotes("", "kept")), "key")
    assert first.files.notes() == RunNotes("Mine")
    assert second.files.notes() == RunNotes("Yours", "", is_starred=True)
    assert session.num_notes_saved == 1


def test_a_cell_that_another_window_changed_is_not_overwritten(
    two_runs: list[TrainingRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = two_runs
    session = Session()
    first.files.write_notes(RunNotes("Theirs"))
    edits = {"edited_rows": {0: {"name": "Mine"}, 1: {"name": "Mine"}}}
    monkeypatch.setattr(compare_table, "widget_value", lambda _key: edits)
    with pytest.raises(WorkspaceError, match="in another window"):
        compare_table.save_notes(session, rows_as_seen(two_runs, RunNotes(), RunNotes()), "key")
    assert first.files.notes().name == "Theirs"
    assert second.files.notes().name == "Mine"
    # The table is drawn with what is stored.
    assert session.num_notes_saved == 1


def test_two_runs_side_by_side(open_page: OpenPage, two_runs: list[TrainingRun]) -> None:
    first, second = two_runs
    page = open_page("8_Compare")
    page.multiselect[0].set_value([first.id]).run()
    assert "Pick one more model" in texts(page)
    page.multiselect[0].set_value([first.id, second.id]).run()
    assert not page.exception
    assert "Only the number of epochs and the learning rate differ." in texts(page)
    differing = page.dataframe[1].value
    assert differing.iloc[1].tolist() == ["the learning rate", "0.01", "0.1"]
    assert re.match("A is better by|B is better by|They are equally good|There is no", page.header[0].value)
    assert [found.label for found in page.expander] == ["How we know"]
    classes = page.dataframe[0].value
    assert classes["Class"].tolist() == ["blue", "green", "red"]
    assert page.query_params["compare"] == f"{first.id},{second.id}"
    assert len(page.get("plotly_chart")) == 1
    again = open_page("8_Compare", compare=f"{first.id},{second.id}")
    assert "Only the number of epochs and the learning rate differ." in texts(again)


def test_one_click_compares_the_newest_two(open_page: OpenPage, two_runs: list[TrainingRun]) -> None:
    page = open_page("8_Compare")
    page.button(key="compare-newest").click().run()
    assert page.query_params["compare"] == ",".join(sorted(run.id for run in two_runs))
    assert [found.label for found in page.expander] == ["How we know"]
    # The answer stands above everything else.
    assert [found.value for found in page.header][-3:] == [
        "How they learned",
        "What was different",
        "All trainings",
    ]


def test_the_choices_of_a_run_are_taken_over(open_page: OpenPage, two_runs: list[TrainingRun]) -> None:
    second = two_runs[1]
    page = open_page("8_Compare", compare=second.id)
    page.button(key=f"clone-{second.id}").click().run()
    # The test harness does not follow to the other page; what it needs is in the address.
    assert page.query_params["model"] == "tiny_random"
    assert page.query_params["images"] == second.dataset_id
    assert "run" not in page.query_params


def test_a_run_is_deleted_and_taken_back(
    open_page: OpenPage, two_runs: list[TrainingRun], page_workspace: Workspace
) -> None:
    first, second = two_runs
    page = open_page("8_Compare", compare=f"{first.id},{second.id}", run=second.id)
    page.button(key=f"delete-{first.id}").click().run()
    assert page_workspace.run_ids() == [second.id]
    assert (page.query_params["compare"], page.query_params["run"]) == (second.id, second.id)
    button(page, "Undo").click().run()
    assert set(page_workspace.run_ids()) == {first.id, second.id}


def test_a_made_up_address_opens_the_page(open_page: OpenPage, two_runs: list[TrainingRun]) -> None:
    page = open_page("8_Compare", compare="../../etc,nonsense", view="nonsense")
    assert page.multiselect[0].value == [] and not page.error


def test_a_sweep_is_started_watched_and_stopped(
    open_page: OpenPage, dataset: ImageDataset, staged_runs: StagedRuns, page_workspace: Workspace
) -> None:
    page = open_page("8_Compare", view="depths", model="tiny_random", images=dataset.id)
    page.slider[0].set_value(1).run()
    button(page, "Start 4 trainings").click().run()
    assert not page.exception and not page.error
    (sweep,) = list_sweeps(page_workspace)
    assert sweep.plan.depths == (0, 1, 2, 3) and len(sweep.runs) == 4
    button(page, "Stop").click().run()
    staged_runs.let_go.set()
    assert len(list_sweeps(page_workspace)[0].runs) == 4


def test_a_finished_sweep_shows_the_best_trade_off_which_can_be_taken(
    open_page: OpenPage, dataset: ImageDataset, page_workspace: Workspace, train_once: TrainOnce
) -> None:
    train_sweep(train_once, page_workspace, dataset, QUICK)
    page = open_page("8_Compare", view="depths")
    assert re.match(r"[01] trainable blocks?: best here\.", page.header[0].value)
    assert len(page.get("plotly_chart")) == 3
    assert "Go on" not in [found.label for found in page.button]
    page.button(key="use-depth").click().run()
    assert page.query_params["unfrozen"] in ("0", "1") and page.query_params["images"] == dataset.id


def test_a_sweep_without_images_says_what_is_missing(open_page: OpenPage) -> None:
    page = open_page("8_Compare", view="depths")
    assert "Still missing: Model, Images" in texts(page)


def test_a_waiting_run_cannot_be_deleted(
    open_page: OpenPage, dataset: ImageDataset, staged_runs: StagedRuns
) -> None:
    running = submit(dataset)
    page = open_page("8_Compare", compare=running)
    assert f"delete-{running}" not in [found.key for found in page.button]
