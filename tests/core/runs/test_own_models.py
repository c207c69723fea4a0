"""An own model is deleted, had back, and kept where something needs it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.core.conftest import FinishedRun
from transfer_core.backbones.registry import get_backbone
from transfer_core.config import TrainingConfig
from transfer_core.errors import NotFoundError, TrainingError, WorkspaceError
from transfer_core.runs import own_models
from transfer_core.runs.deletion import delete_expired
from transfer_core.runs.own_models import delete_source, make_source, runs_to_build_on
from transfer_core.runs.training_run import TrainingRun
from transfer_core.runs.trash import move_to_trash, take_from_trash


@pytest.fixture
def source(own: FinishedRun) -> FinishedRun:
    """The finished run, from which an own model has been made."""
    make_source(own.workspace, own.run.id)
    return own


def test_it_is_deleted_and_had_back_beside_the_run_of_the_same_id(source: FinishedRun) -> None:
    workspace, source_id = source.workspace, source.run.id
    delete_source(workspace, source_id)
    assert workspace.source_ids() == []
    with pytest.raises(NotFoundError):
        get_backbone(source_id, workspace)
    # The run is there as before, and can become a source again.
    assert [run.id for run in runs_to_build_on(workspace)] == [source_id]
    move_to_trash(workspace, "run", source_id)
    take_from_trash(workspace, "source", source_id)
    take_from_trash(workspace, "run", source_id)
    assert get_backbone(source_id, workspace).is_own
    assert workspace.run_ids() == [source_id]
    assert list(workspace.trash_dir.iterdir()) == []


def test_it_is_made_anew_and_deleted_again(source: FinishedRun) -> None:
    workspace, source_id = source.workspace, source.run.id
    for _time in range(2):
        delete_source(workspace, source_id)
        make_source(workspace, source_id)
    # What was made again stays when the deletion is taken back.
    take_from_trash(workspace, "source", source_id)
    assert get_backbone(source_id, workspace).is_own
    delete_source(workspace, source_id)
    take_from_trash(workspace, "source", source_id)
    assert get_backbone(source_id, workspace).is_own
    with pytest.raises(NotFoundError, match="The own model"):
        delete_source(workspace, "20260101-000000-0123456789abcdef")
    with pytest.raises(NotFoundError, match="The own model"):
        take_from_trash(workspace, "source", "20260101-000000-0123456789abcdef")


def test_it_is_kept_while_a_run_builds_on_it(source: FinishedRun) -> None:
    workspace, source_id = source.workspace, source.run.id
    run = TrainingRun.create(workspace, source.dataset, TrainingConfig(backbone=source_id))
    with pytest.raises(TrainingError, match="1 other model builds on this one"):
        delete_source(workspace, source_id)
    assert workspace.source_ids() == [source_id]
    move_to_trash(workspace, "run", run.id)
    delete_source(workspace, source_id)
    assert workspace.source_ids() == []
    # A run that is taken back brings along what it needs.
    take_from_trash(workspace, "run", run.id)
    assert get_backbone(source_id, workspace).is_own


def test_after_a_week_it_is_deleted_for_good(source: FinishedRun) -> None:
    workspace, source_id = source.workspace, source.run.id
    delete_source(workspace, source_id)
    os.utime(workspace.trash_dir / f"source-{source_id}", (0, 0))
    move_to_trash(workspace, "run", source_id)
    delete_expired(workspace)
    assert [path.name for path in workspace.trash_dir.iterdir()] == [source_id]


def test_of_one_that_cannot_be_written_nothing_is_left(
    own: FinishedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_half(folder: Path, *_arguments: object) -> None:
        (folder / "weights.npz").write_bytes(b"half")
        raise WorkspaceError("The disk is full.")

    monkeypatch.setattr(own_models, "write_source_model", write_half)
    with pytest.raises(WorkspaceError, match="The disk is full"):
        make_source(own.workspace, own.run.id)
    assert list(own.workspace.sources_dir.iterdir()) == []
    assert list(own.workspace.trash_dir.iterdir()) == []


def test_two_windows_that_make_it_at_once_get_the_same(
    own: FinishedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = own_models.write_source_model

    def be_slower(folder: Path, *arguments: Any) -> object:
        with monkeypatch.context() as other_window:
            other_window.setattr(own_models, "write_source_model", write)
            make_source(own.workspace, own.run.id)
        return write(folder, *arguments)

    monkeypatch.setattr(own_models, "write_source_model", be_slower)
    assert make_source(own.workspace, own.run.id).name == own.run.id
    assert own.workspace.source_ids() == [own.run.id]
    assert list(own.workspace.trash_dir.iterdir()) == []
