"""Exported bundles predict like the app, report failed comparisons, and run on their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from tests.conftest import swap_classes
from tests.core.conftest import FinishedRun
from tests.core.export.conftest import Unpacked
from transfer_core.data.images.image_path import GreyRanges
from transfer_core.errors import ExportError, NotFoundError
from transfer_core.export import parity as parity_module
from transfer_core.export.bundle import download_name, export_run, exported
from transfer_core.export.converters import ExportInput, calibration_batches, labels_text, write_model
from transfer_core.export.formats import ExportFormat, Variant, get_format
from transfer_core.export.parity import Parity, ScoredPhoto, compare, verdict
from transfer_core.inference.calibration import Calibration
from transfer_core.inference.predictor import Prediction, Predictor
from transfer_core.inference.rejection import Rejection
from transfer_core.language import percent
from transfer_core.training.train import MODEL_FILE

MODELS = ("keras", "savedmodel", "litert", "onnx")
# The others load TensorFlow. The proof has had them answer in a process of their own already.
STARTS_AT_ONCE = ("litert", "onnx")
CLEAN_VARIABLE = "TRANSFER_STUDIO_TEST_CLEAN_ENVIRONMENTS"

LITERT_FILES = [
    (name, variant.file) for name in ("litert", "teachable") for variant in get_format(name).variants
]

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


@pytest.fixture(scope="module")
def surest(finished_run: FinishedRun, predictor: Predictor) -> list[tuple[Path, str]]:
    """The surest photo of each predicted class, and that class."""
    found = {}
    for image in finished_run.dataset.images:
        path = finished_run.dataset.image_path(image)
        prediction = predictor.predict(path.read_bytes())
        found[prediction.best_guess] = max(
            found.get(prediction.best_guess, (0.0, path)), (prediction.probability, path)
        )
    assert len(found) >= 2
    return [(path, name) for name, (_probability, path) in found.items()]


def pixels_of(surest: list[tuple[Path, str]]) -> np.ndarray:
    """Return photos as a script resizes them, `[num_photos, 32, 32, 3]`."""
    return np.float32(
        [np.asarray(Image.open(path).convert("RGB").resize((32, 32))) for path, _name in surest]
    )


def label_image(model: Path, photo: Path) -> str:
    """Classify a photo like TensorFlow's example `label_image.py`."""
    interpreter = Interpreter(model_path=str(model))
    interpreter.allocate_tensors()
    entry = interpreter.get_input_details()[0]
    _batch, height, width, _channels = entry["shape"]
    pixels = np.expand_dims(Image.open(photo).convert("RGB").resize((width, height)), 0)
    interpreter.set_tensor(entry["index"], pixels.astype(entry["dtype"]))
    interpreter.invoke()
    scores = np.squeeze(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
    labels = (model.parent / "labels.txt").read_text().splitlines()
    assert scores.shape == (len(labels),)
    return labels[int(scores.argmax())]


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
            assert answer["best_guess"] == photo.prediction.best_guess
            assert answer["probabilities"] == pytest.approx(photo.prediction.probabilities, abs=1e-4)


@pytest.mark.parametrize("format_name", MODELS)
def test_a_bundle_has_all_files(unpacked: Unpack, finished_run: FinishedRun, format_name: str) -> None:
    made = unpacked(format_name)
    files = {path.name for path in made.folder.iterdir()}
    expected = {
        "labels.txt",
        "signature.json",
        "messages.json",
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
    assert f"Accuracy: {percent(evaluation.accuracy, 1)} on 6 validation photos." in card
    blue = [image for image in finished_run.dataset.images if image.class_name == "blue"]
    num_train = sum(image.split == "train" for image in blue)
    assert f"| blue | {num_train} | {len(blue) - num_train} |" in card
    assert "Colours ← Tiny network for tests" in card
    assert "32 × 32 pixels, RGB, 0 to 255. The layout is NHWC: `[1, 32, 32, 3]`" in card
    assert "classes: blue, green, red." in card


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


def counted(num_same: int, variant: str = "float32", num_images: int = 40) -> Parity:
    return Parity(variant, 10, num_images, num_same, 30, num_images, 0.0, 0.1, (), is_passed=True)


@pytest.mark.parametrize(
    ("parities", "sentence"),
    [
        ([counted(40)], "Answers like your model on 40 of 40 photos."),
        ([counted(40), counted(38, "int8")], "Answers like your model on 38 to 40 of 40 photos."),
        ([counted(39), counted(39, "int8")], "Answers like your model on 39 of 40 photos."),
        ([counted(0, num_images=0)], "Not tested: the validation photos are missing."),
    ],
)
def test_the_verdict_is_one_sentence(parities: list[Parity], sentence: str) -> None:
    assert verdict(parities) == sentence


def compared(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    variant: Variant,
    prediction: Prediction,
    changed: dict[str, str | None],
    num_changed: int,
) -> Parity:
    """Compare forty photos with this prediction, some of which get another answer from the exported model."""
    (folder / variant.file).touch()
    same = {
        "probabilities": prediction.probabilities,
        "best_guess": prediction.best_guess,
        "class_name": prediction.class_name,
    }
    answers = [{**same, **changed}] * num_changed + [same] * (40 - num_changed)
    monkeypatch.setattr(parity_module, "_answers", lambda *_arguments: answers)
    photo = ScoredPhoto(folder / "photo.png", "photo.png", "red", prediction)
    rejection = Rejection(np.zeros((1, 1)), min_familiarity=0.5)
    return compare(folder, variant, [photo] * 40, rejection)


VARIANTS = [variant for name in ("onnx", "litert") for variant in get_format(name).variants]


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.file)
@pytest.mark.parametrize(("num_changed", "is_passed"), [(0, True), (2, True), (3, False)])
def test_one_rule_holds_for_all_formats(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variant: Variant, num_changed: int, is_passed: bool
) -> None:
    level = Prediction(("blue", "red"), (0.4999, 0.5001), 0.0)
    parity = compared(monkeypatch, tmp_path, variant, level, {"best_guess": "blue"}, num_changed)
    assert parity.is_passed is is_passed


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.file)
def test_another_class_passes_only_where_two_were_closer_than_the_limit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variant: Variant
) -> None:
    for lead, is_passed in ((0.9 * variant.max_difference, True), (1.1 * variant.max_difference, False)):
        prediction = Prediction(("blue", "red"), ((1 - lead) / 2, (1 + lead) / 2), 0.0)
        parity = compared(monkeypatch, tmp_path, variant, prediction, {"best_guess": "blue"}, 1)
        assert parity.is_passed is is_passed


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.file)
def test_another_rejection_passes_only_near_a_threshold(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variant: Variant
) -> None:
    for distance, is_passed in ((0.9 * variant.max_difference, True), (1.1 * variant.max_difference, False)):
        prediction = Prediction(("blue", "red"), (0.1, 0.9), 0.0, familiarity=0.5 + distance)
        parity = compared(monkeypatch, tmp_path, variant, prediction, {"class_name": None}, 1)
        assert parity.is_passed is is_passed


@pytest.mark.parametrize(
    ("dataset_name", "expected"),
    [
        ("Clothes", "clothes-web-page"),
        ("Früchte & Gemüse (neu)", "fruchte-gemuse-neu-web-page"),
        ("../../etc/passwd", "etc-passwd-web-page"),
        ("Кошки", "model-web-page"),
        ("a" * 90, f"{'a' * 40}-web-page"),
    ],
)
def test_files_are_named_after_the_photos_in_ascii(
    finished_run: FinishedRun, dataset_name: str, expected: str
) -> None:
    run = replace(finished_run.run, dataset_name=dataset_name)
    assert download_name(run, get_format("web")) == expected


def test_each_stage_is_reported_in_order(finished_run: FinishedRun, tmp_path: Path) -> None:
    stages: list[str] = []
    export_run(finished_run.workspace, finished_run.run, "onnx", tmp_path, on_step=stages.append)
    assert stages == ["Converting", "Testing the exported file", "Packing"]


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
        answers = predict(tmp_path / bundle.name, *(str(photo.path) for photo in photos))
        expected = [photo.prediction.class_name for photo in validation_photos(finished_run)]
        assert [answer["class_name"] for answer in answers] == expected
        assert bundle.parities[0].num_same_refusals == len(photos)
    finally:
        rejection.save_thresholds(finished_run.folder)


def test_quantised_variants_are_smaller(unpacked: Unpack) -> None:
    sizes = {parity.variant: parity.num_bytes for parity in unpacked("litert").bundle.parities}
    assert sizes["float16"] < sizes["float32"]


@pytest.mark.parametrize(("format_name", "file"), LITERT_FILES)
def test_label_image_prints_the_class(
    unpacked: Unpack, surest: list[tuple[Path, str]], format_name: str, file: str
) -> None:
    model = unpacked(format_name).folder / file
    said = [label_image(model, photo) for photo, _name in surest]
    expected = [name for _photo, name in surest]
    if format_name == "teachable":
        expected = [f"{['blue', 'green', 'red'].index(name)} {name}" for name in expected]
    assert said == expected
    with zipfile.ZipFile(model) as archive:
        assert archive.read("labels.txt").decode() == "blue\ngreen\nred\n"


@pytest.mark.parametrize(
    ("format_name", "file", "output"),
    [("litert", "model_int8.tflite", np.float32), ("teachable", "model.tflite", np.uint8)],
)
def test_quantised_models_take_the_pixels_of_a_photo(
    unpacked: Unpack, format_name: str, file: str, output: type
) -> None:
    """Scripts set uint8 pixels without looking at the scale."""
    interpreter = Interpreter(model_path=str(unpacked(format_name).folder / file))
    (entry,) = interpreter.get_input_details()
    assert (entry["dtype"], entry["shape"].tolist()) == (np.uint8, [1, 32, 32, 3])
    # A compiler of accelerators refuses a batch size that is not fixed.
    assert entry["shape_signature"].tolist() == [1, 32, 32, 3]
    assert entry["quantization"] == (pytest.approx(1, abs=1e-6), 0)
    scores = interpreter.get_output_details()[0]
    assert (scores["dtype"], scores["shape"].tolist()) == (output, [1, 3])
    if output is np.uint8:
        assert scores["quantization"] == (1 / 256, 0)


def test_dark_photos_do_not_change_the_scale_of_the_input() -> None:
    samples = np.full((3, 4, 4, 3), 9, np.uint8)
    batches = np.array([batch for (batch,) in calibration_batches(samples)])
    assert (batches.shape, batches.dtype) == ((3, 1, 4, 4, 3), np.float32)
    assert (batches.min(), batches.max(), np.median(batches)) == (0, 255, 9)
    assert (samples == 9).all()


def test_numbered_labels_keep_the_index_of_names_that_are_numbers() -> None:
    assert labels_text(["10", "2 cm\nnail", "é"], is_numbered=True) == "0 10\n1 2 cm nail\n2 é\n"
    assert labels_text(["10", "2 cm\nnail", "é"]) == "10\n2 cm nail\né\n"


def test_onnxruntime_by_hand(unpacked: Unpack, surest: list[tuple[Path, str]]) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(unpacked("onnx").folder / "model.onnx")
    facts = session.get_modelmeta().custom_metadata_map
    assert {name: facts[name] for name in ("layout", "channels", "value_range", "image_size")} == {
        "layout": "NHWC",
        "channels": "RGB",
        "value_range": "[0, 255]",
        "image_size": "32",
    }
    names = json.loads(facts["class_names"])
    (entry,) = session.get_inputs()
    assert (entry.name, entry.type, entry.shape[1:]) == ("pixels", "tensor(float)", [32, 32, 3])
    assert [output.name for output in session.get_outputs()] == ["probabilities"]
    scores = session.run(None, {entry.name: pixels_of(surest)})[0]
    assert scores.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert [names[place] for place in scores.argmax(axis=1)] == [name for _photo, name in surest]


def test_normalization_adds_no_input_to_onnx(keras_module: Any, tmp_path: Path) -> None:
    import onnxruntime

    pixels = keras_module.Input((32, 32, 3), name="pixels")
    x = keras_module.layers.Normalization(mean=[1, 2, 3], variance=[4, 5, 6])(pixels)
    x = keras_module.layers.Dropout(0, name="dropout")(keras_module.layers.GlobalAveragePooling2D()(x))
    model = keras_module.Model(pixels, keras_module.layers.Dense(2, activation="softmax")(x))
    model.save(tmp_path / MODEL_FILE)
    samples = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    write_model(ExportInput(tmp_path, {"class_names": ["a", "b"]}, samples), get_format("onnx"), tmp_path)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (scores,) = session.run(None, {"pixels": samples.astype(np.float32)})
    assert scores == pytest.approx(model.predict(samples, verbose=0), abs=1e-5)


def test_opencv_gives_the_class_by_default(unpacked: Unpack, surest: list[tuple[Path, str]]) -> None:
    cv2 = pytest.importorskip("cv2", reason="needs opencv-python-headless")
    folder = unpacked("onnx").folder
    card = (folder / "MODEL_CARD.md").read_text()
    # The lines of the model card, with a photo in place of its file name.
    code = card.split("```python\n")[1].split("```")[0]
    code = code.replace('"model.onnx"', "model").replace('"photo.jpg"', "photo")
    names = (folder / "labels.txt").read_text().splitlines()
    for photo, name in surest:
        values = {"cv2": cv2, "np": np, "model": str(folder / "model.onnx"), "photo": str(photo)}
        exec(code, values)
        assert names[int(values["probabilities"].argmax())] == name


def test_the_served_signature_has_only_probabilities(
    unpacked: Unpack, surest: list[tuple[Path, str]]
) -> None:
    import tensorflow as tf

    served = tf.saved_model.load(str(unpacked("savedmodel").folder / "saved_model"))
    serve = served.signatures["serving_default"]
    assert list(serve.structured_outputs) == ["probabilities"]
    assert set(served.signatures["with_features"].structured_outputs) == {"probabilities", "features"}
    (scores,) = serve(pixels=tf.constant(pixels_of(surest))).values()
    guesses = [("blue", "green", "red")[place] for place in scores.numpy().argmax(axis=1)]
    assert guesses == [name for _photo, name in surest]


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
    assert done.stdout.startswith(f"{good}: ") and "\u00a0%" in done.stdout


def test_predict_reads_avif_and_names_the_package_that_heic_needs(
    unpacked: Unpack, predictor: Predictor, tmp_path: Path
) -> None:
    pillow_heif.register_heif_opener()
    slope = np.linspace(0, 255, 40 * 60 * 3).reshape(40, 60, 3).astype(np.uint8)
    paths = [tmp_path / "photo.avif", tmp_path / "photo.heic"]
    for path in paths:
        Image.fromarray(slope).save(path)
    folder = unpacked("onnx").folder
    expected = [predictor.predict(path.read_bytes()).probabilities for path in paths]
    answers = predict(folder, *map(str, paths))
    assert [answer["probabilities"] for answer in answers] == [
        pytest.approx(probabilities, abs=1e-4) for probabilities in expected
    ]
    (tmp_path / "pillow_heif.py").write_text("raise ImportError")
    command = [sys.executable, str(folder / "predict.py"), "--json", *map(str, paths)]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert [json.loads(line)["file"] for line in done.stdout.splitlines()] == [str(paths[0])]
    assert done.stderr == (
        f"{paths[1]}: cannot be read (HEIC photos need one more package: pip install pillow-heif)\n"
    )


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
