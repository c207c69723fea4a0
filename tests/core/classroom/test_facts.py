"""The file of a class."""

from __future__ import annotations

import stat
import sys

import pytest

from transfer_core import files
from transfer_core.classroom.facts import Classroom
from transfer_core.workspace import Workspace


@pytest.mark.skipif(sys.platform == "win32", reason="the folder protects it there")
def test_secrets_are_for_this_account_from_the_first_moment_on(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = []
    move_in = files.move

    def note_mode(source, target) -> None:
        modes.append(stat.S_IMODE(source.stat().st_mode))
        move_in(source, target)

    monkeypatch.setattr(files, "move", note_mode)
    before = Classroom(workspace).facts()
    after = Classroom(workspace).change_code()
    assert (before.secret, before.teacher_key) == (after.secret, after.teacher_key)
    assert Classroom(workspace).facts() == after
    assert stat.S_IMODE((workspace.root / "class.json").stat().st_mode) == 0o600
    assert set(modes) == {0o600}
