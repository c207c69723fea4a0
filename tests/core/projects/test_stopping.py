"""Saving and opening a project can be stopped at any file and leave nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.core.conftest import FinishedRun
from tests.core.projects.conftest import members_of
from transfer_core.projects import open as opening
from transfer_core.projects.archive import ProjectStoppedError
from transfer_core.projects.open import open_project
from transfer_core.projects.plan import plan_project
from transfer_core.projects.save import save_project
from transfer_core.workspace import Workspace


def after(number: int) -> Callable[[], bool]:
    """Say that it is to stop once it was asked so many times."""
    asked: list[None] = []

    def should_stop() -> bool:
        asked.append(None)
        return len(asked) > number

    return should_stop


@pytest.mark.parametrize("num_files", [0, 12])
def test_a_saving_that_is_stopped_leaves_the_file_before(
    num_files: int, finished_run: FinishedRun, tmp_path: Path
) -> None:
    path = tmp_path / "colours.zip"
    path.write_bytes(b"saved before")
    plan = plan_project(finished_run.workspace, finished_run.dataset.id, [finished_run.run.id])
    with pytest.raises(ProjectStoppedError):
        save_project(finished_run.workspace, plan, path, should_stop=after(num_files))
    assert [found.name for found in tmp_path.iterdir()] == ["colours.zip"]
    assert path.read_bytes() == b"saved before"


@pytest.mark.parametrize("num_files", [0, 12])
def test_an_opening_that_is_stopped_leaves_nothing(
    num_files: int, project_path: Path, workspace: Workspace
) -> None:
    with project_path.open("rb") as content, pytest.raises(ProjectStoppedError):
        open_project(workspace, content, should_stop=after(num_files))
    assert_empty(workspace)


def test_it_is_stopped_before_a_model_is_built(
    project_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[object] = []
    monkeypatch.setattr(opening, "check_project", lambda *facts: checked.append(facts))
    monkeypatch.setattr(opening, "rebuild_model", lambda *_: pytest.fail("a model was built"))
    num_files = len(members_of(project_path)) - 1
    with project_path.open("rb") as content, pytest.raises(ProjectStoppedError):
        open_project(workspace, content, should_stop=after(num_files))
    assert checked
    assert_empty(workspace)


def assert_empty(workspace: Workspace) -> None:
    assert not workspace.dataset_ids() and not workspace.run_ids()
    assert list(workspace.trash_dir.iterdir()) == []
