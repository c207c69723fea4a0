"""A click reads no file again that has not changed, however many runs and photos there are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from benchmarks.filled_workspace import fill
from tests.conftest import ROOT
from tests.pages.conftest import OpenPage
from transfer_core.data.dataset import ImageDataset
from transfer_core.runs.notes import RunNotes
from transfer_core.runs.training_run import TrainingRun, runs_of
from transfer_core.workspace import Workspace

# What may be large, or is there once for each run.
READ_ONCE = {
    "dataset.json",
    "config.json",
    "events.jsonl",
    "notes.json",
    "evaluation.json",
    "split.json",
    "signature.json",
}
PAGES = ["", *sorted(path.stem for path in (ROOT / "pages").glob("*.py"))]
NUM_RUNS = 5


@pytest.fixture(scope="module")
def full_workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace(tmp_path_factory.mktemp("full") / "workspace")
    fill(workspace, NUM_RUNS, num_photos=60)
    return workspace


@pytest.fixture
def run(
    full_workspace: Workspace, monkeypatch: pytest.MonkeyPatch, page_workspace: Workspace
) -> Iterator[TrainingRun]:
    """The newest run; the pages show the full workspace."""
    monkeypatch.setenv("TRANSFER_STUDIO_WORKSPACE", str(full_workspace.root))
    newest = next(runs_of(full_workspace))
    newest.files.write_notes(RunNotes(note="a note"))
    # A file written within the last tenth of a second is read each time.
    os.utime(newest.folder / "notes.json", (1, 1))
    yield newest


@contextmanager
def opened_files(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the files that are opened meanwhile."""
    names: list[str] = []
    opened = Path.open

    def open_and_note(path: Path, *arguments: Any, **options: Any) -> Any:
        names.append(path.name)
        return opened(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", open_and_note)
        yield names


def test_a_click_on_any_page_reads_nothing_again(
    run: TrainingRun, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in PAGES:
        page = open_page(name, model="efficientnet_lite0", images=run.dataset_id, unfrozen=0)
        with opened_files(monkeypatch) as names:
            page.run()
        assert not page.exception
        assert not READ_ONCE & set(names), name


def test_a_changed_dataset_is_read_once_for_all_pages(
    run: TrainingRun, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = ImageDataset.load(Workspace(run.folder.parents[1]), run.dataset_id)
    replace(dataset, name="another name").save()
    # A file written within the last tenth of a second is read each time.
    os.utime(dataset.folder / "dataset.json", (1, 1))
    with opened_files(monkeypatch) as names:
        for name in ("2_Images", "3_Layers", "4_Train", "9_Learn"):
            page = open_page(name, model="efficientnet_lite0", images=run.dataset_id)
            assert not page.error
    assert names.count("dataset.json") == 1
    assert "config.json" not in names


def test_the_table_of_runs_follows_a_change_in_the_folders(run: TrainingRun, open_page: OpenPage) -> None:
    page = open_page("8_Compare")
    assert len(page.dataframe[0].value) == NUM_RUNS
    run.files.write_notes(RunNotes(name="the best one"))
    page.run()
    assert "the best one" in page.dataframe[0].value["name"].to_list()
    hidden = run.folder.with_name("hidden")
    run.folder.rename(hidden)
    page.run()
    assert len(page.dataframe[0].value) == NUM_RUNS - 1
    hidden.rename(run.folder)
    page.run()
    assert "the best one" in page.dataframe[0].value["name"].to_list()
