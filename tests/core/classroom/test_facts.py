"""The file of a class and its secrets."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from transfer_core import files
from transfer_core.classroom.facts import Classroom
from transfer_core.workspace import Workspace


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such rights")
def test_no_other_account_reads_the_secrets_not_even_for_a_moment(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[int] = []
    move = files.move

    def noting(source: Path, target: Path) -> None:
        modes.append(stat.S_IMODE(source.stat().st_mode))
        move(source, target)

    monkeypatch.setattr(files, "move", noting)
    classroom = Classroom(workspace)
    classroom.facts()
    classroom.change(is_open=False)
    assert modes == [0o600, 0o600]
    assert stat.S_IMODE((workspace.root / "class.json").stat().st_mode) == 0o600
