"""An export is in the language of the person who starts it, although a background task makes it."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.core.conftest import FinishedRun, UseCatalogues
from transfer_core.export.bundle import exported
from transfer_core.export.model_card import model_card
from transfer_core.language import speaking
from transfer_core.work.queue import WorkQueue
from transfer_core.work.tasks import export_task

GERMAN = {
    "What it is": "Was es ist",
    "Model card: {name}": "Steckbrief: {name}",
    "precision": "Genauigkeit",
    "{image}: {name} ({share})": "{image} zeigt {name}, {share} sicher",
    "{image}: I don't know (best guess: {name}, {share})": "{image} zeigt vielleicht {name}, {share} sicher",
    "{image}: cannot be read ({reason})": "{image} ist nicht lesbar ({reason})",
    "Classify photos.": "Bestimmt Fotos.",
}


def test_the_task_exports_in_the_language_of_the_person_who_starts_it(
    finished_run: FinishedRun, use_catalogues: UseCatalogues, tmp_path: Path
) -> None:
    use_catalogues(de=GERMAN)
    run = finished_run.run
    with speaking("de"):
        task = export_task(finished_run.workspace, run, "onnx")
    queue = WorkQueue()
    queue.start(task)
    assert task.wait(120) and task.error is None
    bundle = task.result
    assert bundle is not None and exported(run, "onnx") == bundle
    with zipfile.ZipFile(bundle.path) as archive:
        archive.extractall(tmp_path)
    bundle.path.unlink()
    folder = tmp_path / bundle.name
    card = (folder / "MODEL_CARD.md").read_text("utf-8")
    assert card.startswith("# Steckbrief: Colours\n\n## Was es ist\n")
    photo, damaged = finished_run.dataset.image_path(finished_run.dataset.images[0]), tmp_path / "bad.jpg"
    damaged.write_bytes(b"not an image")
    said = predict(folder, str(photo), str(damaged))
    assert said.stdout.startswith(f"{photo} zeigt ") and said.stdout.endswith("\u00a0% sicher\n")
    assert said.stderr.startswith(f"{damaged} ist nicht lesbar (")
    assert "Bestimmt Fotos." in predict(folder, "--help").stdout


@pytest.mark.parametrize(("code", "decimal"), [("en", "."), ("de", ",")])
def test_the_model_card_writes_numbers_as_the_language_does(
    finished_run: FinishedRun, use_catalogues: UseCatalogues, code: str, decimal: str
) -> None:
    use_catalogues(de=GERMAN)
    with speaking(code):
        card = model_card(finished_run.run, finished_run.dataset, ())
    rows = "".join(line for line in card.splitlines() if line.startswith("| red |"))
    assert set(re.findall(r"\d([.,])\d", rows)) == {decimal}
    assert ("Genauigkeit" in card) == (code == "de")


def predict(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(folder / "predict.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
