"""Exported bundles predict like the app, report failed comparisons, and run on their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import swap_classes
from tests.core.conftest import FinishedRun
from tests.core.export.conftest import Unpacked
from transfer_core.data.images.image_path import GreyRanges
from transfer_core.errors import ExportError, NotFoundError
from transfer_core.export.bundle import export_run, exported
from transfer_core.export.formats import ExportFormat, get_format
from transfer_core.export.parity import Parity, ScoredPhoto, compare
from transfer_core.inference.calibration import Calibration
from transfer_core.inference.predictor import Predictor
from transfer_core.inference.rejection import Rejection

MODELS = ("keras", "savedmodel", "litert", "onnx")
# The others load TensorFlow. The proof has had them answer in a process of their own already.
STARTS_AT_ONCE = ("litert", "onnx")
CLEAN_VARIABLE = "TRANSFER_STUDIO_TEST_CLEAN_ENVIRONMENTS"

Unpack = Callable[[str], Unpacked]


def predict(folder: Path, *arguments: str, python: str = sys.executable) -> list[dict]:
    """Run the bundle's `predict.py` and return its predictions."""
    command = [python, str(folder / "predict.py"), "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder.parent)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def own_copy(made: Unpacked, place: Path) -> Path:
    """Unpack another copy of a bundle, to be changed, and return its folder."""
    with zipfile.ZipFile(made.bundle.path) as archive:
        archive.extractall(place)
    return place / made.folder.name


def validation_photos(finished: FinishedRun) -> list[ScoredPhoto]:
    predictor = Predictor.load(finished.folder)
    photos = []
    for image in finished.dataset.images_in("validation"):
        path = finished.dataset.image_path(image)
        prediction = predictor.predict(path.read_bytes())
        photos.append(ScoredPhoto(path, image.name, image.class_name, prediction))
    return photos


@pytest.mark.parametrize("format_name", MODELS)
def test_the_comparison_passes_and_is_reproducible(
    unpacked: Unpack, finished_run: FinishedRun, format_name: str
) -> None:
    made = unpacked(format_name)
    assert made.bundle.is_passed
    photos = validation_photos(finished_run)
    for parity in made.bundle.parities:
        assert parity.num_images == len(photos) == 6
    exact = made.bundle.parities[0]
    assert (exact.num_same, exact.num_same_refusals) == (6, 6)
    assert exact.max_difference <= 1e-4
    if format_name in STARTS_AT_ONCE:
        answers = predict(made.folder, *(str(photo.path) for photo in photos))
        for photo, answer in zip(photos, answers, strict=True):
            assert answer["best_guess"] == photo.prediction.class_name
            assert answer["probabilities"] == pytest.approx(photo.prediction.probabilities, abs=1e-4)


@pytest.mark.parametrize("format_name", MODELS)
def test_a_bundle_has_all_files(unpacked: Unpack, finished_run: FinishedRun, format_name: str) -> None:
    made = unpacked(format_name)
    files = {path.name for path in made.folder.iterdir()}
    expected = {
        "labels.txt",
        "signature.json",
        "predict.py",
        "requirements.txt",
        "MODEL_CARD.md",
        "parity.json",
    }
    assert expected | {variant.file for variant in get_format(format_name).variants} <= files
    assert (made.folder / "labels.txt").read_text().split() == ["blue", "green", "red"]
    requirements = (made.folder / "requirements.txt").read_text().splitlines()
    assert all("==" in line for line in requirements)
    assert not any(line.startswith(("streamlit", "pandas")) for line in requirements)
    signature = json.loads((made.folder / "signature.json").read_text())
    assert signature["class_names"] == ["blue", "green", "red"]
    assert signature["image_size"] == 32
    proof = json.loads((made.folder / "parity.json").read_text())["parity"]
    assert [Parity.from_dict(values) for values in proof] == list(made.bundle.parities)
    card = (made.folder / "MODEL_CARD.md").read_text()
    evaluation = finished_run.run.evaluation()
    assert evaluation is not None
    assert f"{evaluation.accuracy:.1%} of 6 validation photos right" in card
    blue = [image for image in finished_run.dataset.images if image.class_name == "blue"]
    num_train = sum(image.split == "train" for image in blue)
    assert f"| blue | {num_train} | {len(blue) - num_train} |" in card
    assert "Colours ← Tiny network for tests" in card


def test_a_model_with_other_predictions_does_not_pass(
    unpacked: Unpack, finished_run: FinishedRun, tmp_path: Path
) -> None:
    folder = own_copy(unpacked("onnx"), tmp_path)
    signature = json.loads((folder / "signature.json").read_text())
    signature["class_names"] = signature["class_names"][::-1]
    (folder / "signature.json").write_text(json.dumps(signature))
    parity = compare(folder, get_format("onnx").variants[0], validation_photos(finished_run))
    assert not parity.is_passed
    assert parity.num_same < parity.num_images
    assert len(parity.differing) == parity.num_images - parity.num_same


def test_a_model_that_does_not_run_raises(
    unpacked: Unpack, finished_run: FinishedRun, tmp_path: Path
) -> None:
    folder = own_copy(unpacked("onnx"), tmp_path)
    (folder / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(ExportError, match="does not run"):
        compare(folder, get_format("onnx").variants[0], validation_photos(finished_run))


def test_a_model_that_rejects_everything_does_not_pass(
    unpacked: Unpack, finished_run: FinishedRun, tmp_path: Path
) -> None:
    folder = own_copy(unpacked("onnx"), tmp_path)
    signature = json.loads((folder / "signature.json").read_text())
    signature["refuses"]["min_familiarity"] = 2.0
    (folder / "signature.json").write_text(json.dumps(signature))
    parity = compare(folder, get_format("onnx").variants[0], validation_photos(finished_run))
    assert (parity.num_same, parity.num_same_refusals, parity.is_passed) == (6, 0, False)


def test_without_photos_the_comparison_does_not_pass(unpacked: Unpack) -> None:
    parity = compare(unpacked("onnx").folder, get_format("onnx").variants[0], [])
    assert (parity.num_images, parity.is_passed, parity.accuracy) == (0, False, None)


def test_the_bundle_rejects_the_photos_that_the_app_rejects(
    finished_run: FinishedRun, tmp_path: Path
) -> None:
    rejection = Rejection.load(finished_run.folder)
    assert rejection is not None
    photos = validation_photos(finished_run)
    # Half of the photos are below this threshold, so both outcomes occur.
    middle = sorted(photo.prediction.familiarity or 0.0 for photo in photos)[3]
    rejection.with_familiar_share(0.5, [middle]).save_thresholds(finished_run.folder)
    try:
        is_known = [photo.prediction.is_known for photo in validation_photos(finished_run)]
        assert len(set(is_known)) == 2
        bundle = export_run(finished_run.workspace, finished_run.run, "onnx", tmp_path)
        with zipfile.ZipFile(bundle.path) as archive:
            archive.extractall(tmp_path)
        answers = predict(tmp_path / bundle.path.stem, *(str(photo.path) for photo in photos))
        assert [answer["class_name"] is not None for answer in answers] == is_known
        assert bundle.parities[0].num_same_refusals == len(photos)
    finally:
        rejection.save_thresholds(finished_run.folder)


def test_quantised_variants_are_smaller_and_carry_labels(unpacked: Unpack) -> None:
    sizes = {parity.variant: parity.num_bytes for parity in unpacked("litert").bundle.parities}
    assert sizes["float16"] < sizes["float32"]
    with zipfile.ZipFile(unpacked("litert").folder / "model_int8.tflite") as labels:
        assert labels.read("labels.txt").decode().split() == ["blue", "green", "red"]


def test_the_saved_model_has_a_serving_signature(unpacked: Unpack, finished_run: FinishedRun) -> None:
    import tensorflow as tf

    served = tf.saved_model.load(str(unpacked("savedmodel").folder / "saved_model"))
    signature = served.signatures["serving_default"]
    (name,) = signature.structured_input_signature[1]
    pixels = tf.zeros((2, 32, 32, 3))
    answer = signature(**{name: pixels})["probabilities"].numpy()
    assert answer.shape == (2, 3)
    assert answer.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_a_damaged_photo_is_reported_and_the_others_are_predicted(
    unpacked: Unpack, finished_run: FinishedRun, tmp_path: Path
) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"not an image")
    good = finished_run.dataset.image_path(finished_run.dataset.images[0])
    folder = unpacked("onnx").folder
    command = [sys.executable, str(folder / "predict.py"), str(tmp_path / "bad.jpg"), str(good)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "bad.jpg: cannot be read" in done.stderr
    assert "Traceback" not in done.stderr
    assert "sure" in done.stdout


def test_exported_finds_the_bundle_and_sees_changes_of_the_run(
    finished_run: FinishedRun, keras_module: Any
) -> None:
    assert exported(finished_run.run, "onnx") is None
    bundle = export_run(finished_run.workspace, finished_run.run, "onnx")
    assert exported(finished_run.run, "onnx") == bundle
    assert bundle.has_present_limits and bundle.has_present_model
    rejection = Rejection.load(finished_run.folder)
    assert rejection is not None
    rejection.with_min_probability(0.5).save_thresholds(finished_run.folder)
    found = exported(finished_run.run, "onnx")
    rejection.save_thresholds(finished_run.folder)
    assert found is not None
    assert not found.has_present_limits
    before = Calibration.load(finished_run.folder)
    Calibration(3.0, 40).save(finished_run.folder)
    found = exported(finished_run.run, "onnx")
    before.save(finished_run.folder)
    assert found is not None and not found.has_present_model
    content = (finished_run.folder / "model.keras").read_bytes()
    swap_classes(keras_module, finished_run.folder)
    found = exported(finished_run.run, "onnx")
    (finished_run.folder / "model.keras").write_bytes(content)
    assert found is not None and not found.has_present_model
    bundle.path.unlink()
    assert exported(finished_run.run, "onnx") is None


def test_a_deep_photo_is_as_bright_as_in_the_app(
    unpacked: Unpack, finished_run: FinishedRun, tmp_path: Path
) -> None:
    folder = own_copy(unpacked("onnx"), tmp_path)
    facts = json.loads((folder / "signature.json").read_text())
    assert facts["grey_ranges"] == [None, None]
    ranges = GreyRanges(integers=(0, 4095))
    (folder / "signature.json").write_text(json.dumps({**facts, "grey_ranges": ranges}))
    app = Predictor.load(finished_run.folder)
    app.grey_ranges = ranges
    values = np.tile(np.linspace(0, 900, 64).astype(np.uint16), (48, 1))
    photos = [tmp_path / "dark.png", tmp_path / "dark.tif", tmp_path / "dark.jp2", tmp_path / "dark.ppm"]
    for photo in photos:
        Image.fromarray(values).save(photo)
    for photo, answer in zip(photos, predict(folder, *map(str, photos)), strict=True):
        assert answer["probabilities"] == pytest.approx(
            app.predict(photo.read_bytes()).probabilities, abs=1e-4
        )


def test_an_unknown_format_raises(finished_run: FinishedRun, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"tfjs.*keras, savedmodel"):
        export_run(finished_run.workspace, finished_run.run, "tfjs", tmp_path)


def test_a_missing_package_raises_with_the_pip_command(
    finished_run: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ExportFormat, "missing_packages", ["onnx", "tf2onnx"])
    with pytest.raises(ExportError, match="pip install onnx tf2onnx"):
        export_run(finished_run.workspace, finished_run.run, "onnx", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(
    os.environ.get(CLEAN_VARIABLE) != "1",
    reason=f"downloads up to a gigabyte of packages; set {CLEAN_VARIABLE}=1 to try it",
)
@pytest.mark.parametrize("format_name", MODELS)
def test_a_bundle_runs_with_only_its_own_requirements(
    unpacked: Unpack, finished_run: FinishedRun, tmp_path: Path, format_name: str
) -> None:
    made = unpacked(format_name)
    venv.create(tmp_path / "clean", with_pip=True)
    python = str(tmp_path / "clean" / "bin" / "python")
    install = [python, "-m", "pip", "install", "-q", "-r", str(made.folder / "requirements.txt")]
    subprocess.run(install, check=True)
    photos = validation_photos(finished_run)
    answers = predict(made.folder, *(str(photo.path) for photo in photos), python=python)
    for photo, answer in zip(photos, answers, strict=True):
        assert answer["probabilities"] == pytest.approx(photo.prediction.probabilities, abs=1e-4)
