"""Names, notes and stars of runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from transfer_core.errors import NotFoundError, WorkspaceError
from transfer_core.runs.notes import NOTES, RunNotes
from transfer_core.runs.run_folder import RunFolder


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    notes = RunNotes("Best so far", "Ask Ana about the blurry ones.", True)
    RunFolder(tmp_path).write_notes(notes)
    assert RunFolder(tmp_path).notes() == notes
    assert [path.name for path in tmp_path.iterdir()] == [NOTES.name]


@pytest.mark.parametrize("content", [None, "{", "[]", '{"name": 3, "note": null, "is_starred": "yes"}'])
def test_a_missing_or_damaged_file_is_nothing_written(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / NOTES.name).write_text(content)
    assert RunFolder(tmp_path).notes() == RunNotes()


def test_long_and_broken_lines_are_tidied() -> None:
    notes = RunNotes(" a\n b " + "x" * 200, "y" * 5000)
    assert notes.name.startswith("a b x") and len(notes.name) == 80
    assert len(notes.note) == 2000


def test_other_fields_of_another_window_are_kept(tmp_path: Path) -> None:
    seen = RunNotes("old", "old")
    RunFolder(tmp_path).write_notes(RunNotes("theirs", "old", True))
    RunFolder(tmp_path).change_notes(seen, {"note": "mine"})
    assert RunFolder(tmp_path).notes() == RunNotes("theirs", "mine", True)


def test_the_same_field_of_another_window_is_not_overwritten(tmp_path: Path) -> None:
    seen = RunNotes("old")
    RunFolder(tmp_path).write_notes(RunNotes("theirs"))
    with pytest.raises(WorkspaceError, match="in another window"):
        RunFolder(tmp_path).change_notes(seen, {"name": "mine", "note": "mine"})
    assert RunFolder(tmp_path).notes() == RunNotes("theirs")
    RunFolder(tmp_path).change_notes(seen, {"name": " theirs "})


def test_a_deleted_run_gets_no_notes(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="run gone does not exist any more"):
        RunFolder(tmp_path / "gone").change_notes(RunNotes(), {"name": "mine"})
    assert list(tmp_path.iterdir()) == []
