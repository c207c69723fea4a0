"""The commands about projects, with one JSON object on standard output."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.core.conftest import FinishedRun
from transfer_core.cli.main import main

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """`command(root, "project", "open", path)` gives the exit code and what was printed."""

    def run_command(root: Path, *arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["transfer_core", *map(str, arguments), "--workspace", str(root)])
        capfd.readouterr()
        return (main(), *capfd.readouterr())

    return run_command


def test_save_here_and_open_there(command: Command, finished_run: FinishedRun, tmp_path: Path) -> None:
    here, run_id = finished_run.workspace.root, finished_run.run.id
    words = ("project", "save", finished_run.dataset.id, "--out", tmp_path / "colours.zip", "--run", run_id)
    code, out, err = command(here, *words, "--json")
    saved = json.loads(out)
    assert (code, saved["run_ids"], saved["num_images"]) == (0, [run_id], 24), err
    assert saved["num_bytes"] == (tmp_path / "colours.zip").stat().st_size
    assert "About 0." in err

    there = tmp_path / "there"
    code, out, err = command(there, "project", "open", tmp_path / "colours.zip", "--json")
    facts = json.loads(out)
    assert (code, facts["run_ids"], facts["is_copy"]) == (0, [run_id], False), err
    picture = finished_run.dataset.image_path(finished_run.dataset.images[0])
    answers = [json.loads(command(root, "predict", run_id, picture, "--json")[1]) for root in (here, there)]
    for answer in answers:
        answer[str(picture)].pop("seconds", None)
    assert answers[0] == answers[1]
    assert (
        "Everything in it was here already." in command(there, "project", "open", tmp_path / "colours.zip")[1]
    )


def test_refusals_are_one_line(command: Command, finished_run: FinishedRun, tmp_path: Path) -> None:
    (tmp_path / "model.zip").write_bytes(b"PK\5\6" + bytes(18))
    code, out, err = command(tmp_path, "project", "open", tmp_path / "model.zip")
    assert (code, out) == (1, "")
    assert "This is not a project of Transfer Studio" in err
    unknown = ("project", "save", "20260101-000000-0123456789abcdef", "--out", tmp_path / "x.zip")
    code, out, err = command(tmp_path, *unknown)
    assert (code, out) == (1, "")
    assert "There are no photos with the id" in err
    assert not (tmp_path / "x.zip").exists()
