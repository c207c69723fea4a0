"""What each file of a run holds: as earlier versions wrote it, and refused with a sentence where it is not that."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import WorkspaceError
from transfer_core.evaluation.evaluation import Evaluation, ImageOutcome
from transfer_core.inference.calibration import Calibration
from transfer_core.inference.rejection import Rejection
from transfer_core.runs.cross_validation import FOLD, FoldResult
from transfer_core.runs.notes import RunNotes
from transfer_core.runs.run_folder import (
    Distillation,
    ModelCost,
    RunFolder,
    RunSplit,
)
from transfer_core.runs.sweep_plan import SweepPlan
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.signature import ModelSignature, finished_backbone
from transfer_core.workspace import Workspace

SWEEP_ID = "20260101-000000-0123456789abcdef"
OUTCOME = {
    "name": "a.png",
    "class_name": "ant",
    "predicted_class_name": "bee",
    "probability": 0.7,
    "true_probability": 0.3,
}
NETWORK = {
    "title": "Small one",
    "preprocessing": "inside",
    "licence": "MIT",
    "network": "tiny_random",
    "lineage": ["ImageNet"],
    "weights_checksum": "0f",
    "blocks": [
        {
            "name": "block1",
            "last_layer": "relu",
            "output_size": 4,
            "num_channels": 8,
            "num_parameters": 9,
            "num_trainable_parameters": 8,
            "num_scratch_parameters": 9,
            "num_multiplications": 100,
        }
    ],
}
SIGNATURE = {"class_names": ["ant", "bee"], "image_size": 32}


@pytest.fixture
def files(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


@pytest.fixture
def run(workspace: Workspace, color_dataset: ImageDataset) -> TrainingRun:
    return TrainingRun.create(workspace, color_dataset, TrainingConfig(backbone="tiny_random"))


def write(folder: Path, name: str, values: object) -> None:
    (folder / name).write_text(json.dumps(values))


# As versions before this one wrote them, also the earliest.
EARLIER: list[tuple[str, dict[str, Any], Callable[[RunFolder], Any], Any]] = [
    ("split.json", {"validation": ["b"]}, RunFolder.validation_ids, {"b"}),
    (
        "split.json",
        {"dataset_version": 3, "class_names": ["ant", "bee"], "train": ["a"], "validation": ["b"]},
        RunFolder.train_ids,
        {"a"},
    ),
    ("notes.json", {"name": "n", "note": "m", "is_starred": True}, RunFolder.notes, RunNotes("n", "m", True)),
    (
        "sweep.json",
        {"id": SWEEP_ID, "depths": [0, 2], "seeds": [1]},
        RunFolder.sweep_plan,
        SweepPlan(SWEEP_ID, (0, 2), (1,)),
    ),
    (
        "distillation.json",
        {
            "teacher": {"accuracy": 1, "num_bytes": 200, "seconds_per_image": 0.2},
            "student": {"accuracy": 0.5, "num_bytes": 100, "seconds_per_image": 0.1},
            "num_images": 4,
        },
        RunFolder.distillation,
        Distillation(ModelCost(1.0, 200, 0.2), ModelCost(0.5, 100, 0.1), 4),
    ),
    (
        "evaluation.json",
        {"accuracy": 0.0, "loss": 1.0, "class_names": ["ant", "bee"], "outcomes": [OUTCOME]},
        RunFolder.evaluation,
        Evaluation(("ant", "bee"), (ImageOutcome("a.png", "ant", "bee", 0.7, 0.3),), is_fitted_here=True),
    ),
    ("signature.json", SIGNATURE, RunFolder.signature, ModelSignature(("ant", "bee"), 32)),
    ("calibration.json", {"temperature": 2}, lambda files: Calibration.load(files.path), Calibration(2.0, 0)),
    ("fold.json", {"key": "k", "val_accuracy": 1}, lambda files: FOLD.read(files.path), FoldResult("k", 1.0)),
]


@pytest.mark.parametrize(("name", "values", "read", "expected"), EARLIER)
def test_files_of_earlier_versions_open(
    name: str, values: dict[str, Any], read: Callable[[RunFolder], Any], expected: Any, files: RunFolder
) -> None:
    write(files.path, name, values)
    assert read(files) == expected


DAMAGED: list[tuple[str, dict[str, Any], Callable[[RunFolder], Any], str]] = [
    ("split.json", {"validation": ["b"]}, RunFolder.train_ids, "Test it on new photos"),
    ("split.json", {"train": [3], "validation": ["b"]}, RunFolder.train_ids, "Test it on new photos"),
    (
        "evaluation.json",
        {"class_names": ["ant", "ant"], "outcomes": [OUTCOME]},
        RunFolder.evaluation,
        "results",
    ),
    ("evaluation.json", {"class_names": ["ant", "bee"], "outcomes": []}, RunFolder.evaluation, "results"),
    (
        "evaluation.json",
        {"class_names": ["ant", "bee"], "outcomes": [OUTCOME | {"probability": 1.1}]},
        RunFolder.evaluation,
        "results",
    ),
    (
        "evaluation.json",
        {"class_names": ["ant", "bee"], "outcomes": [OUTCOME | {"probability": float("nan")}]},
        RunFolder.evaluation,
        "results",
    ),
    (
        "evaluation.json",
        {"class_names": ["ant", "bee"], "outcomes": [OUTCOME | {"familiarity": True}]},
        RunFolder.evaluation,
        "results",
    ),
    (
        "signature.json",
        SIGNATURE | {"class_names": ["ant", "ant"]},
        RunFolder.signature,
        "cannot answer without it",
    ),
    ("signature.json", SIGNATURE | {"class_names": ["ant"]}, RunFolder.signature, "cannot answer without it"),
    ("signature.json", SIGNATURE | {"image_size": 4096}, RunFolder.signature, "cannot answer without it"),
    ("calibration.json", {"temperature": 11}, lambda files: Calibration.load(files.path), "out of range"),
    (
        "config.json",
        {"config": {}, "dataset": {"id": "d", "version": "1", "name": "n"}, "class_names": []},
        RunFolder.facts,
        "Without its choices",
    ),
]


@pytest.mark.parametrize(("name", "values", "read", "sentence"), DAMAGED)
def test_what_no_version_writes_is_refused_in_our_words(
    name: str, values: dict[str, Any], read: Callable[[RunFolder], Any], sentence: str, files: RunFolder
) -> None:
    write(files.path, name, values)
    with pytest.raises(WorkspaceError, match=sentence) as caught:
        read(files)
    assert str(caught.value).startswith(f"{name} of {files.path.name} is damaged: ")
    assert "Expected" not in str(caught.value) and "$" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "values", "read"),
    [
        ("sweep.json", {"id": "٢" + SWEEP_ID[1:], "depths": [0], "seeds": [1]}, RunFolder.sweep_plan),
        ("sweep.json", {"id": SWEEP_ID + "0", "depths": [0], "seeds": [1]}, RunFolder.sweep_plan),
        ("sweep.json", {"id": SWEEP_ID, "depths": [-1], "seeds": [1]}, RunFolder.sweep_plan),
        ("sweep.json", {"id": SWEEP_ID, "depths": [], "seeds": [1]}, RunFolder.sweep_plan),
        (
            "distillation.json",
            {"teacher": {"accuracy": 2, "num_bytes": 1, "seconds_per_image": 1}},
            RunFolder.distillation,
        ),
    ],
)
def test_damage_in_what_is_only_shown_is_no_error(
    name: str, values: dict[str, Any], read: Callable[[RunFolder], Any], files: RunFolder
) -> None:
    write(files.path, name, values)
    assert read(files) is None


def test_what_is_written_is_read_again(files: RunFolder) -> None:
    files.write_split(RunSplit(("a",), ("b",), 2))
    found = Distillation(ModelCost(1.0, 200, 0.2), ModelCost(0.5, 100, 0.1), 4)
    files.write_distillation(found)
    assert (files.train_ids(), files.validation_ids(), files.distillation()) == ({"a"}, {"b"}, found)


def test_only_the_signature_says_what_a_trained_model_is(
    run: TrainingRun, workspace: Workspace, color_dataset: ImageDataset
) -> None:
    assert run.class_names == run.dataset_class_names == ("blue", "green", "red")
    write(run.folder, "signature.json", SIGNATURE | {"backbone": "tiny_random", "network": NETWORK})
    run = TrainingRun.load(workspace, run.id)
    assert run.class_names == ("ant", "bee")
    assert (run.backbone.title, run.backbone.image_size) == ("Small one", 32)
    assert [block.last_layer for block in run.backbone.blocks] == ["relu"]
    run.write_split(color_dataset)
    assert "class_names" not in json.loads((run.folder / "split.json").read_text())


def test_a_damaged_signature_still_lists_the_run(run: TrainingRun) -> None:
    (run.folder / "signature.json").write_text("{")
    assert run.class_names == ("blue", "green", "red")


@pytest.mark.parametrize("damage", [{"network": NETWORK | {"title": "a\nb"}}, {"network": {}}, {"head": 3}])
def test_a_damaged_optional_fact_costs_no_answer(damage: dict[str, Any], files: RunFolder) -> None:
    facts = SIGNATURE | {"backbone": "tiny_random", "network": NETWORK} | damage
    write(files.path, "signature.json", facts)
    assert files.signature().class_names == ("ant", "bee")
    assert finished_backbone(files.path, "tiny_random").title != "Small one"


def test_versions_change_with_the_model_and_with_its_thresholds(files: RunFolder) -> None:
    def both() -> tuple[object, object]:
        return files.model_version, files.thresholds_version

    nothing = both()
    Rejection(np.ones((1, 2), np.float32)).save(files.path)
    saved = both()
    assert saved[0] != nothing[0] and saved[1] != nothing[1]
    for path in files.path.iterdir():
        os.utime(path, (1, 1))
    before = both()
    Rejection(np.ones((1, 2), np.float32), min_probability=0.5).save_thresholds(files.path)
    assert files.model_version == before[0] and files.thresholds_version != before[1]
    Calibration(2.0, 40).save(files.path)
    assert files.model_version != before[0]
