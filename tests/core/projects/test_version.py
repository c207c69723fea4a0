"""Projects of earlier versions open in this one, and their runs answer as they did."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.core.projects.conftest import opened
from transfer_core.data.dataset import ImageDataset
from transfer_core.inference.predictor import Predictor
from transfer_core.projects import version
from transfer_core.runs.notes import RunNotes
from transfer_core.runs.run_folder import RunFolder
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace

DATA = Path(__file__).with_name("data")


def test_there_is_a_project_of_each_version_and_a_step_from_each_to_the_next() -> None:
    versions = set(range(1, version.PROJECT_VERSION + 1))
    assert {path.stem for path in DATA.glob("*.zip")} == {f"version-{number}" for number in versions}
    assert version.MIGRATIONS.keys() == versions - {version.PROJECT_VERSION}


@pytest.mark.parametrize("number", range(1, version.PROJECT_VERSION + 1))
def test_a_project_of_an_earlier_version_opens_and_answers_as_then(workspace: Workspace, number: int) -> None:
    taken = opened(workspace, DATA / f"version-{number}.zip")
    answers = json.loads((DATA / f"version-{number}.json").read_text())
    assert set(taken.run_ids) == set(answers)
    pixels = np.random.default_rng(5).integers(0, 256, (4, 32, 32, 3), np.uint8)
    for run_id, expected in answers.items():
        run = TrainingRun.load(workspace, run_id)
        found = Predictor.load(run.folder).outputs(pixels).probabilities
        # Another processor may add numbers up in another order.
        np.testing.assert_allclose(found, np.array(expected, np.float32), atol=1e-6)
        evaluation = run.evaluation()
        assert evaluation is not None
        assert evaluation.num_images == 3
        assert run.snapshot().outcome == "finished"
    dataset = ImageDataset.load(workspace, taken.dataset_id)
    assert (len(dataset.images), len(dataset.excluded), len(dataset.edits)) == (11, 1, 1)
    student = TrainingRun.load(workspace, max(answers))
    assert student.config.teacher == min(answers)
    assert student.files.distillation() is not None
    assert RunFolder(workspace.run_dir(min(answers))).notes() == RunNotes("first", "a note", True)


def test_migrations_are_taken_one_after_the_other(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []

    def first(folder: Path) -> None:
        steps.append("1 to 2")
        (config,) = list(folder.glob("datasets/*/dataset.json"))
        facts = json.loads(config.read_text())
        config.write_text(json.dumps({**facts, "name": facts["name"] + " of version 2"}))

    def second(folder: Path) -> None:
        steps.append("2 to 3")
        assert json.loads((folder / "project.json").read_text())["version"] == 1
        (config,) = list(folder.glob("datasets/*/dataset.json"))
        facts = json.loads(config.read_text())
        config.write_text(json.dumps({**facts, "name": facts["name"].replace("2", "3")}))

    monkeypatch.setattr(version, "PROJECT_VERSION", 3)
    monkeypatch.setattr(version, "MIGRATIONS", {1: first, 2: second})
    taken = opened(workspace, DATA / "version-1.zip")
    assert steps == ["1 to 2", "2 to 3"]
    assert ImageDataset.load(workspace, taken.dataset_id).name == "Colours of version 3"
