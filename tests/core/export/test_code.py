"""The script that a person takes away runs with Keras alone and holds the choices of the run."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.core.conftest import FinishedRun
from tests.core.export.conftest import Unpacked

Unpack = Callable[[str], Unpacked]


@pytest.fixture
def photo_folder(finished_run: FinishedRun, tmp_path: Path) -> Path:
    """The pictures of the run as the folder that they once came from."""
    for image in finished_run.dataset.images:
        path = tmp_path / "photos" / image.class_name / Path(image.name).name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(finished_run.dataset.image_path(image).read_bytes())
    return tmp_path / "photos"


def settings(script: str) -> dict[str, object]:
    found = {}
    for node in ast.parse(script).body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id.isupper()
        ):
            try:
                found[node.targets[0].id] = ast.literal_eval(node.value)
            except ValueError:
                continue
    return found


def test_the_script_trains_the_same_model(
    unpacked: Unpack, finished_run: FinishedRun, photo_folder: Path, tmp_path: Path
) -> None:
    folder = unpacked("code").folder
    done = subprocess.run(
        [sys.executable, str(folder / "train.py"), str(photo_folder)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "24 photos of ['blue', 'green', 'red'], 6 of them kept to check with" in done.stdout
    accuracy = float(done.stdout.rsplit("validation accuracy: ", 1)[1])
    evaluation = finished_run.run.evaluation()
    assert evaluation is not None
    assert accuracy >= evaluation.accuracy - 0.03
    assert (tmp_path / "my_model.keras").is_file()


def test_the_choices_of_the_run_stand_in_it(unpacked: Unpack, finished_run: FinishedRun) -> None:
    found = settings((unpacked("code").folder / "train.py").read_text())
    config = finished_run.run.config
    assert found["EPOCHS"] == config.epochs
    assert found["BATCH_SIZE"] == config.batch_size
    assert found["LEARNING_RATE"] == config.learning_rate
    assert found["HEAD"] == config.head
    assert found["IMAGE_SIZE"] == 32


def test_the_notebook_is_the_script_in_cells(unpacked: Unpack) -> None:
    notebook = json.loads((unpacked("code").folder / "train.ipynb").read_text())
    assert notebook["nbformat"] == 4
    code = [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for source in code:
        ast.parse(source)
    script = settings((unpacked("code").folder / "train.py").read_text())
    assert settings("\n".join(code)) == script
    words = [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    assert words[0].startswith("# Train the same classifier")
