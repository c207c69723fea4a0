"""Every file of a run and of a dataset, damaged in every way: a true sentence, and only that file's part is lost."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.core.conftest import FinishedRun
from transfer_core.cli.main import main
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import TransferStudioError
from transfer_core.export.bundle import exported
from transfer_core.inference.certainty import Certainty
from transfer_core.inference.predictor import Predictor, load_model
from transfer_core.projects.plan import plan_project
from transfer_core.runs.cross_validation import FOLDS_DIR, finished_fold
from transfer_core.runs.notes import RunNotes
from transfer_core.runs.run_evaluation import evaluate_split
from transfer_core.runs.run_folder import RunFolder
from transfer_core.runs.run_status import run_status
from transfer_core.runs.sweep import list_sweeps
from transfer_core.runs.sweep_plan import SWEEP, SweepPlan
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.checkpoint import Checkpoint, Progress, load_checkpoint, save_checkpoint
from transfer_core.workspace import Workspace

OTHER_ID = "20260101-000000-0123456789abcdef"
KEY = "a training"


def with_values(value: object) -> Callable[[bytes], bytes]:
    """A file of the same names, each with this value; other files hold nothing but the value."""

    def damaged(content: bytes) -> bytes:
        try:
            names = json.loads(content.splitlines()[0])
        except ValueError:
            return json.dumps(value).encode()
        return json.dumps(dict.fromkeys(names, value)).encode()

    return damaged


def flipped(content: bytes) -> bytes:
    """Every 50th byte with all its bits turned."""
    values = np.frombuffer(content, np.uint8).copy()
    values[::50] ^= 255
    return values.tobytes()


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "emptied": lambda content: b"",
    "cut off": lambda content: content[: len(content) // 2],
    "flipped": flipped,
    "zeros": lambda content: bytes(len(content)),
    "a list": lambda content: b"[]",
    "a text": lambda content: b'"text"',
    "a number": lambda content: b"7",
    "null": lambda content: b"null",
    "an object": lambda content: b"{}",
    "nested": lambda content: b"[" * 5000,
    "nulls in it": with_values(None),
    "lists in it": with_values([[]]),
    "objects in it": with_values({"a": {}}),
    "texts in it": with_values("text"),
    "numbers in it": with_values(-1),
    "large numbers in it": with_values(10**400),
}
ALL = {"load", "snapshot", "status", "evaluation", "ids", "signature", "score", "model", "certainty"}
# What each file may cost; nothing else may fail.
COSTS: dict[str, set[str]] = {
    "config.json": ALL,
    "events.jsonl": set(),
    "split.json": {"ids", "score"},
    "signature.json": {"signature", "score"},
    "model.keras": {"model", "score"},
    "evaluation.json": {"evaluation"},
    "calibration.json": set(),
    "rejection.json": set(),
    "rejection.npz": set(),
    "notes.json": set(),
    "sweep.json": set(),
    "distillation.json": set(),
    "checkpoints/checkpoint.npz": set(),
    f"{FOLDS_DIR}/2/fold.json": set(),
    "exports/bundle.json": set(),
    "dataset.json": {"dataset", "score"},
}


@pytest.fixture(scope="module")
def damaged_workspace(finished_run: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Two runs with every file that a run can have, and their images."""
    workspace = Workspace(tmp_path_factory.mktemp("damage"))
    shutil.copytree(finished_run.dataset.folder, workspace.dataset_dir(finished_run.dataset.id))
    for run_id in (finished_run.run.id, OTHER_ID):
        folder = workspace.run_dir(run_id)
        shutil.copytree(finished_run.folder, folder)
        RunFolder(folder).write_notes(RunNotes("name", "note", True))
        plan = SweepPlan(OTHER_ID, (0, 1), (1, 2))
        SWEEP.write(folder, plan)
        one = {"accuracy": 0.5, "num_bytes": 100, "seconds_per_image": 0.1}
        (folder / "distillation.json").write_text(
            json.dumps({"teacher": one, "student": one, "num_images": 3})
        )
        save_checkpoint(folder, KEY, Checkpoint(Progress(), [np.ones(3, np.float32)]))
        (folder / FOLDS_DIR / "2").mkdir(parents=True)
        (folder / FOLDS_DIR / "2" / "fold.json").write_text(json.dumps({"key": KEY, "val_accuracy": 0.5}))
        (folder / "exports").mkdir(exist_ok=True)
        (folder / "exports" / f"{run_id}-keras.json").write_text(json.dumps({"parity": [], "refuses": {}}))
    return workspace


@pytest.fixture
def run_command(
    damaged_workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Carry out a command in this process: its exit code, and what it printed to both streams."""

    def run(*arguments: object) -> tuple[int, str, str]:
        words = [str(argument) for argument in arguments]
        monkeypatch.setattr(sys, "argv", ["x", *words, "--workspace", str(damaged_workspace.root)])
        code = main()
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def place_of(workspace: Workspace, run: TrainingRun, name: str) -> Path:
    if name == "dataset.json":
        return workspace.dataset_dir(run.dataset_id) / name
    if name == "exports/bundle.json":
        return run.folder / "exports" / f"{run.id}-keras.json"
    return run.folder / name


def parts_of(workspace: Workspace, run: TrainingRun, name: str) -> dict[str, Callable[[], Any]]:
    """What the product reads of a run, each by the function that reads it."""
    parts: dict[str, Callable[[], Any]] = {
        "load": lambda: TrainingRun.load(workspace, run.id),
        "snapshot": run.snapshot,
        "status": lambda: run_status(run),
        "evaluation": run.evaluation,
        "ids": lambda: run.train_ids() | run.validation_ids(),
        "signature": lambda: run.signature,
        "certainty": lambda: Certainty.load(run.folder, 32),
        "dataset": lambda: ImageDataset.load(workspace, run.dataset_id),
        "notes": lambda: run.files.notes(),
        "sweeps": lambda: list_sweeps(workspace),
        "distillation": run.files.distillation,
        "checkpoint": lambda: load_checkpoint(run.folder, KEY),
        "fold": lambda: finished_fold(run.folder / FOLDS_DIR / "2", KEY),
        "export": lambda: exported(run, "keras"),
    }
    if name == "model.keras":
        parts["model"] = lambda: load_model(run.folder)
    if "score" in COSTS[name]:
        parts["score"] = lambda: evaluate_split(
            TrainingRun.load(workspace, run.id),
            ImageDataset.load(workspace, run.dataset_id),
            "validation",
            workspace.cache_dir,
        )
    if name != "dataset.json":
        parts["project"] = lambda: plan_project(workspace, run.dataset_id)
    return parts


@pytest.mark.parametrize("name", COSTS)
def test_only_that_part_is_lost(
    name: str,
    damaged_workspace: Workspace,
    finished_run: FinishedRun,
    run_command: Callable[..., tuple[int, str, str]],
) -> None:
    run = TrainingRun.load(damaged_workspace, finished_run.run.id)
    path = place_of(damaged_workspace, run, name)
    whole = path.read_bytes()
    parts = parts_of(damaged_workspace, run, name)
    try:
        for damage, change in DAMAGES.items():
            path.write_bytes(change(whole))
            for part, read in parts.items():
                try:
                    read()
                except TransferStudioError as error:
                    assert part in COSTS[name], (damage, part, str(error))
                    assert path.name in str(error), (damage, part, str(error))
                    assert str(error).endswith("."), (damage, part, str(error))
            code, out, err = run_command("runs", "--json")
            assert (code, err) == (0, ""), damage
            facts = {fact["run_id"]: fact for fact in json.loads(out)["runs"]}
            assert facts.keys() == {run.id, OTHER_ID}, damage
            assert facts[OTHER_ID]["status"] == "finished", damage
            is_damaged = facts[run.id]["status"] == "damaged"
            assert is_damaged == (name == "config.json"), damage
            assert not is_damaged or "config.json" in facts[run.id]["message"], damage
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("name", ["calibration.json", "rejection.json", "rejection.npz"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_beside_the_model_is_said_and_costs_no_answer(
    name: str, damage: str, damaged_workspace: Workspace, tmp_path: Path
) -> None:
    for file in ("calibration.json", "rejection.json", "rejection.npz"):
        shutil.copy(damaged_workspace.run_dir(OTHER_ID) / file, tmp_path / file)
    (tmp_path / name).write_bytes(DAMAGES[damage]((tmp_path / name).read_bytes()))
    found = Certainty.load(tmp_path, 32)
    (notice,) = found.notices
    assert notice.startswith(f"{name} of {tmp_path.name} is damaged: ")
    assert (found.rejection is None) == name.startswith("rejection")


@pytest.mark.parametrize(
    ("name", "damage", "command", "expected"),
    [
        ("rejection.npz", "emptied", "predict", "no longer says"),
        ("rejection.npz", "flipped", "predict", "no longer says"),
        ("calibration.json", "a list", "predict", "Probabilities are shown uncalibrated"),
        ("evaluation.json", "cut off", "predict", ""),
        ("events.jsonl", "a list", "predict", ""),
        ("notes.json", "a number", "predict", ""),
        ("rejection.npz", "emptied", "evaluate", "no longer says"),
        ("evaluation.json", "emptied", "evaluate", ""),
        ("model.keras", "cut off", "predict", "!model.keras"),
        ("model.keras", "emptied", "evaluate", "!model.keras"),
        ("signature.json", "nulls in it", "predict", "!signature.json"),
        ("config.json", "null", "predict", "!config.json"),
        ("config.json", "null", "resume", "!config.json"),
        ("dataset.json", "emptied", "evaluate", "!dataset.json"),
        ("split.json", "texts in it", "evaluate", "!split.json"),
        ("signature.json", "a list", "export", "!signature.json"),
        ("dataset.json", "emptied", "resume", "!Only an interrupted training"),
    ],
)
def test_commands_end_with_a_sentence(
    name: str,
    damage: str,
    command: str,
    expected: str,
    damaged_workspace: Workspace,
    finished_run: FinishedRun,
    run_command: Callable[..., tuple[int, str, str]],
) -> None:
    run = TrainingRun.load(damaged_workspace, finished_run.run.id)
    path = place_of(damaged_workspace, run, name)
    picture = next(damaged_workspace.dataset_dir(run.dataset_id).glob("images/*.jpg"))
    more = {"predict": [picture], "export": ["--format", "keras"]}.get(command, [])
    whole = path.read_bytes()
    path.write_bytes(DAMAGES[damage](whole))
    try:
        code, out, err = run_command(command, run.id, *more)
    finally:
        path.write_bytes(whole)
    if expected.startswith("!"):
        *steps, line = err.splitlines()
        assert code == 1 and not (steps and command != "export")
        assert line.startswith("Error: ") and expected[1:] in line
    else:
        assert code == 0 and out
        assert expected in err and bool(err) == bool(expected)


def test_a_model_that_answers_no_numbers_is_damaged(damaged_workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(damaged_workspace.run_dir(OTHER_ID), folder)
    model = load_model(folder)
    model.set_weights([np.full_like(weights, np.nan) for weights in model.get_weights()])
    model.save(folder / "model.keras")
    with pytest.raises(
        TransferStudioError, match=r"model\.keras of run is damaged: its answers are not numbers"
    ):
        Predictor.load(folder)


def test_a_signature_of_another_model_is_damaged(damaged_workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(damaged_workspace.run_dir(OTHER_ID), folder)
    signature = json.loads((folder / "signature.json").read_text())
    for change in ({"image_size": 64}, {"class_names": ["a", "b"]}):
        (folder / "signature.json").write_text(json.dumps(signature | change))
        with pytest.raises(
            TransferStudioError, match=r"signature\.json of run is damaged: it belongs to another"
        ):
            Predictor.load(folder)
