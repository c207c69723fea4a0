"""A run on disk: what was chosen comes back, and damage is said in a sentence."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import NotFoundError, WorkspaceError
from transfer_core.events import EpochEnded, RunStarted
from transfer_core.runs.event_log import EventLog
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace

STARTED = RunStarted(100.0, 18, 6, 3)
EPOCH = EpochEnded(101.0, 1, "head", 1.0, 0.5, 0.9, 0.6)
CONFIG = TrainingConfig(backbone="tiny_random", epochs=7, dropout=0.5)


@pytest.fixture
def run(workspace: Workspace, color_dataset: ImageDataset) -> TrainingRun:
    return TrainingRun.create(workspace, color_dataset, CONFIG)


def test_comes_back_as_it_was(run: TrainingRun, workspace: Workspace, color_dataset: ImageDataset) -> None:
    loaded = TrainingRun.load(workspace, run.id)
    assert loaded == run
    assert loaded.config == CONFIG
    assert loaded.class_names == ("blue", "green", "red")
    assert (loaded.dataset_id, loaded.dataset_name) == (color_dataset.id, "Colours")
    assert loaded.dataset_version == color_dataset.version


def test_is_listed(run: TrainingRun, workspace: Workspace) -> None:
    assert workspace.run_ids() == [run.id]


def test_of_one_that_cannot_be_written_nothing_is_left(
    workspace: Workspace, color_dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse_config(path: Path, content: bytes) -> None:
        if path.name.startswith(".config"):
            raise OSError(28, "No space left on device")
        path.write_text(content.decode())

    monkeypatch.setattr(Path, "write_bytes", refuse_config)
    with pytest.raises(WorkspaceError, match=r"^config\.json could not be saved: No space left on device"):
        TrainingRun.create(workspace, color_dataset, CONFIG, {"sweep.json": {"id": "1"}})
    assert list(workspace.runs_dir.iterdir()) == list(workspace.trash_dir.iterdir()) == []


def test_knows_when_it_was_made(run: TrainingRun) -> None:
    assert abs(datetime.now() - run.created_at) < timedelta(minutes=1)


def test_new_run_has_nothing_yet(run: TrainingRun) -> None:
    assert not run.has_model
    assert run.events() == []
    assert run.evaluation() is None
    assert run.snapshot().outcome is None


def test_unknown_id(workspace: Workspace) -> None:
    with pytest.raises(NotFoundError, match="20200101-000000-0123456789abcdef"):
        TrainingRun.load(workspace, "20200101-000000-0123456789abcdef")
    with pytest.raises(NotFoundError):
        TrainingRun.load(workspace, "../../etc")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"config": {}, "dataset": {}, "class_names": []}'])
def test_damaged_config_is_an_error(content: str, run: TrainingRun, workspace: Workspace) -> None:
    (run.folder / "config.json").write_text(content)
    with pytest.raises(WorkspaceError):
        TrainingRun.load(workspace, run.id)


def test_choices_of_a_later_version_are_passed_over(run: TrainingRun, workspace: Workspace) -> None:
    path = run.folder / "config.json"
    facts = json.loads(path.read_text())
    facts["config"]["of_a_later_version"] = True
    path.write_text(json.dumps(facts))
    assert TrainingRun.load(workspace, run.id).config == CONFIG


def test_events_come_back(run: TrainingRun) -> None:
    log = EventLog(run.folder / "events.jsonl")
    for event in (STARTED, EPOCH):
        log.append(event)
    assert run.events() == [STARTED, EPOCH]
    assert run.snapshot() == log.snapshot


def test_last_line_cut_off_anywhere_is_passed_over(run: TrainingRun) -> None:
    log = EventLog(run.folder / "events.jsonl")
    log.append(STARTED)
    num_first_line = len((run.folder / "events.jsonl").read_bytes())
    log.append(EPOCH)
    content = (run.folder / "events.jsonl").read_bytes()
    for length in range(num_first_line, len(content) - 1):
        (run.folder / "events.jsonl").write_bytes(content[:length])
        assert run.events() == [STARTED], length


@pytest.mark.parametrize(
    "line", ['{"event": "OfALaterVersion", "time": 1}', '{"event": "RunStarted"}', "", "\0\0\0"]
)
def test_unknown_lines_are_passed_over(line: str, run: TrainingRun) -> None:
    log = EventLog(run.folder / "events.jsonl")
    log.append(STARTED)
    with (run.folder / "events.jsonl").open("a") as file:
        file.write(line + "\n")
    log.append(EPOCH)
    assert run.events() == [STARTED, EPOCH]


def test_finished_run_has_a_model_and_an_evaluation(finished_run) -> None:
    assert finished_run.run.has_model
    evaluation = finished_run.run.evaluation()
    assert evaluation.class_names == ("blue", "green", "red")
    assert evaluation.num_images == 6
    assert finished_run.run.events() == finished_run.events


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"accuracy": 1, "outcomes": 3}'])
def test_damaged_evaluation_is_an_error(content: str, run: TrainingRun) -> None:
    (run.folder / "evaluation.json").write_text(content)
    with pytest.raises(WorkspaceError):
        run.evaluation()
