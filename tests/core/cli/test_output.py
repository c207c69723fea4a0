"""What the command line prints: no name of a stranger's choice can look like the app's own line."""

from __future__ import annotations

import json
import sys

import pytest
from msgspec.structs import replace

from transfer_core.cli.main import main
from transfer_core.cli.output import error_message, escaped, print_note, report
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace

FORGED = "a\n20260101-000000-0123456789abcdef  finished  x\x1b[2K\r\x9b1A\u202e\u2028\ud800z"


def test_a_name_stays_on_its_line_and_steers_nothing() -> None:
    line = escaped(f"run {FORGED} 👩‍🌾 می‌خواهم")
    assert (
        line.isascii() is False
        and "\\u000a" in line
        and "\\u001b[2K\\u000d\\u009b1A\\u202e\\u2028\\ud800z" in line
    )
    assert not set(line) & set("\n\r\x1b\x9b\u202e\u2028\ud800")
    assert line.endswith("👩‍🌾 می‌خواهم")


def test_json_is_the_same_when_it_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    report(True, {"name": FORGED}, [])
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"name": FORGED}
    assert not set(printed.removesuffix("\n")) & set("\n\r\x1b\x9b\u202e\u2028\ud800")


def test_lines_and_notes(capsys: pytest.CaptureFixture[str]) -> None:
    report(False, {}, [FORGED, "second"])
    print_note(FORGED)
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 2
    assert len(captured.err.splitlines()) == 1


def test_a_dataset_name_fakes_no_line_of_runs(
    workspace: Workspace,
    color_dataset: ImageDataset,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = FORGED.replace("\ud800", "")
    run = TrainingRun.create(workspace, replace(color_dataset, name=name), TrainingConfig())
    monkeypatch.setattr(sys, "argv", ["x", "runs", "--workspace", str(workspace.root)])
    assert main() == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(run.id) and "\x1b" not in line


def test_the_end_of_a_file_is_no_wish_to_stop(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_workspace: Workspace) -> list[str]:
        raise EOFError("No data left in file")

    monkeypatch.setattr(Workspace, "run_ids", fail)
    monkeypatch.setattr(sys, "argv", ["x", "runs", "--workspace", str(workspace.root)])
    assert main() == 1
    assert "No data left in file" in capsys.readouterr().err


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError(), KeyError("x"), EOFError()])
def test_no_error_is_without_words(error: Exception) -> None:
    message = error_message(error)
    assert len(message.split()) >= 5


def test_what_click_says_in_several_lines_is_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["x", "export", "20260101-000000-0123456789abcdef"])
    assert main() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "Choose from: keras, " in line and "\\u000a" not in line
