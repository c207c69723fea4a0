"""A model taken away by clicking, and asked outside the app."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import TrainOnce
from tests.e2e.conftest import Server, settle
from transfer_core.config import TrainingConfig
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source
from transfer_core.export.formats import get_format
from transfer_core.inference.predictor import Predictor

pytestmark = pytest.mark.browser


def test_a_model_and_its_code_are_made_proved_and_downloaded(
    server: Server,
    person: Callable[..., Page],
    image_folder: Path,
    tmp_path: Path,
    train_once: TrainOnce,
) -> None:
    # One with a proof and one without; the others are made in the same way.
    formats = [get_format("onnx"), get_format("code")]
    dataset = add_files(create_dataset(server.workspace, "colors"), folder_source(image_folder))
    run = train_once(server.workspace, dataset, TrainingConfig(backbone="tiny_random", epochs=10))

    page = person(f"/Export?run={run.id}")
    folders = {}
    for export_format in formats:
        settle(page)
        card = page.locator(f".st-key-export-{export_format.name}")
        card.get_by_role("button", name="Create").click()
        verdict = "Answers like your model on" if export_format.variants else "Ready."
        expect(card.get_by_text(verdict)).to_be_visible()
        with page.expect_download() as download:
            card.get_by_role("button", name="Download").click()
        path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
        with zipfile.ZipFile(path) as archive:
            archive.extractall(tmp_path)
        folders[export_format.name] = tmp_path / path.stem
    expect(page.get_by_text(f"{len(formats)} files ready")).to_be_visible()

    photo = image_folder / "red" / "red-3.jpg"
    command = [sys.executable, str(folders["onnx"] / "predict.py"), "--json", str(photo)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    expected = Predictor.load(run.folder).predict(photo.read_bytes())
    assert json.loads(done.stdout)["probabilities"] == pytest.approx(expected.probabilities, abs=1e-4)
    assert (folders["code"] / "train.ipynb").is_file()
