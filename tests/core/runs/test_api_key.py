"""The key for other programs: stored as a hash, of one run of one person."""

from __future__ import annotations

import pytest

from transfer_core.config import TrainingConfig
from transfer_core.errors import NotFoundError
from transfer_core.files import remove
from transfer_core.runs.api_key import API_KEY, key_of, make_key, withdraw_key, workspace_of_key
from transfer_core.runs.run_folder import PORTABLE_FILES
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace, new_id


@pytest.fixture
def run(workspace: Workspace, color_dataset) -> TrainingRun:
    return TrainingRun.create(workspace, color_dataset, TrainingConfig(backbone="tiny_random"))


def test_there_is_none_until_it_is_made(workspace: Workspace, run: TrainingRun) -> None:
    assert key_of(workspace, run.id) is None
    assert workspace_of_key(workspace, run.id, "") is None
    key = make_key(workspace, run.id)
    assert workspace_of_key(workspace, run.id, key) == workspace
    assert key not in (run.folder / API_KEY.name).read_text()
    assert API_KEY.name not in PORTABLE_FILES


def test_new_key_replaces_the_old_one_and_none_is_left_when_withdrawn(
    workspace: Workspace, run: TrainingRun
) -> None:
    old, new = make_key(workspace, run.id), make_key(workspace, run.id)
    assert workspace_of_key(workspace, run.id, old) is None
    assert workspace_of_key(workspace, run.id, new) == workspace
    withdraw_key(workspace, run.id)
    assert workspace_of_key(workspace, run.id, new) is None
    withdraw_key(workspace, run.id)


def test_key_of_another_run_is_refused(workspace: Workspace, run: TrainingRun, color_dataset) -> None:
    other = TrainingRun.create(workspace, color_dataset, run.config)
    assert workspace_of_key(workspace, other.id, make_key(workspace, run.id)) is None


def test_key_leads_to_the_pupil_it_was_made_by(workspace: Workspace, run: TrainingRun) -> None:
    """Two people may have the same run, from one project."""
    pupil, other = workspace.person(new_id()), workspace.person(new_id())
    for place in (pupil, other):
        (place.runs_dir / run.id).mkdir()
        (place.runs_dir / run.id / "config.json").write_bytes((run.folder / "config.json").read_bytes())
    key = make_key(pupil, run.id)
    assert workspace_of_key(workspace, run.id, key) == pupil
    for forged in (
        key.replace(pupil.owner, other.owner),
        key.partition(".")[2],
        f"../..{key[-20:]}",
        f".{key}",
    ):
        assert workspace_of_key(workspace, run.id, forged) is None


def test_key_of_a_person_who_was_removed_brings_no_folder_back(
    workspace: Workspace, run: TrainingRun
) -> None:
    pupil = workspace.person(new_id())
    (pupil.runs_dir / run.id).mkdir()
    (pupil.runs_dir / run.id / "config.json").write_bytes((run.folder / "config.json").read_bytes())
    key = make_key(pupil, run.id)
    remove(pupil.root)
    assert workspace_of_key(workspace, run.id, key) is None
    assert not pupil.root.exists()


@pytest.mark.parametrize("run_id", ["../x", "", "20200101-000000-0123456789abcdef", "a/b", "\0"])
def test_unknown_runs(workspace: Workspace, run: TrainingRun, run_id: str) -> None:
    assert workspace_of_key(workspace, run_id, make_key(workspace, run.id)) is None
    with pytest.raises(NotFoundError):
        make_key(workspace, run_id)
    assert not (workspace.root / "x").exists()


def test_damaged_key_lets_nobody_in(workspace: Workspace, run: TrainingRun) -> None:
    key = make_key(workspace, run.id)
    (run.folder / API_KEY.name).write_text("{}")
    assert workspace_of_key(workspace, run.id, key) is None
