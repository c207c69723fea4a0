"""The exported script runs with Keras alone and trains like the run."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from tests.core.conftest import FinishedRun
from tests.core.export.conftest import Unpacked
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.images.image_path import GreyRanges
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source
from transfer_core.events import HeadChosen, Precision, PrecisionChosen, PrecisionReason, TrainingEvent
from transfer_core.export.code import write_code
from transfer_core.runs.event_log import EventLog
from transfer_core.runs.training_run import EVENTS_FILE, TrainingRun
from transfer_core.training.class_balance import class_weights
from transfer_core.training.classifier import build_classifier
from transfer_core.training.head_choice import with_head
from transfer_core.training.optimizers import build_optimizer
from transfer_core.training.schedule import planned_phases
from transfer_core.training.train import train
from transfer_core.workspace import Workspace

REAL_VARIABLE = "TRANSFER_STUDIO_TEST_REAL_SCRIPT"
MODULES = ("image_path", "augmentation", "class_balance", "heads", "layer_rates")

Unpack = Callable[[str], Unpacked]


@pytest.fixture
def photo_folder(finished_run: FinishedRun, tmp_path: Path) -> Path:
    """The photos of the run as a folder of class folders."""
    return folder_of(finished_run.dataset, tmp_path / "photos")


def folder_of(dataset: ImageDataset, folder: Path) -> Path:
    for image in dataset.images:
        path = folder / image.class_name / Path(image.name).name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(dataset.image_path(image).read_bytes())
    return folder


@pytest.fixture
def script_of(workspace: Workspace, color_dataset, tiny_config, tmp_path, monkeypatch):
    """`script_of(dropout=0.5)` exports a run with this setting and imports its script."""

    def make(
        *events: TrainingEvent, dataset: ImageDataset = color_dataset, **choices: Any
    ) -> tuple[ModuleType, TrainingConfig]:
        run = TrainingRun.create(workspace, dataset, tiny_config.with_changes(**choices)).begin(dataset)
        log = EventLog(run.folder / EVENTS_FILE)
        for event in events:
            log.append(event)
        folder = tmp_path / "code"
        folder.mkdir()
        write_code(run, dataset, folder)
        return imported(folder, monkeypatch), run.config

    return make


@pytest.fixture(scope="module")
def uneven(color_dataset: ImageDataset) -> ImageDataset:
    """The colour dataset with half of the red photos."""
    images = [image for image in color_dataset.images if image.class_name != "red" or image.number % 2]
    return replace(color_dataset, images=tuple(images))


def imported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import the script with the modules in its folder instead of the app's."""
    monkeypatch.syspath_prepend(str(folder))
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    spec = importlib.util.spec_from_file_location("exported_script", folder / "train.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Otherwise, importing a module writes bytecode into the bundle.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    spec.loader.exec_module(module)
    return module


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
    assert "24 photos of ['blue', 'green', 'red'], 6 of them for validation" in done.stdout
    accuracy = float(done.stdout.rsplit("validation accuracy: ", 1)[1])
    evaluation = finished_run.run.evaluation()
    assert evaluation is not None
    assert accuracy >= evaluation.accuracy - 0.03
    assert (tmp_path / "my_model.keras").is_file()


UNFROZEN = {"num_unfrozen_blocks": 2}


@pytest.mark.parametrize(
    "choices",
    [
        {},
        {"dropout": 0.4, "label_smoothing": 0.1, "early_stopping_patience": 7, "batch_size": 5, "seed": 3},
        {"head": "hidden", "hidden_units": 9},
        {"head": "flattened_map"},
        {**UNFROZEN},
        {**UNFROZEN, "schedule": "head_only"},
        {**UNFROZEN, "schedule": "one_phase", "head": "flattened_map"},
        {"num_unfrozen_blocks": 3, "schedule": "gradual", "fine_tune_epochs": 5, "layer_decay": 0.3},
        {"unfrozen_layers": ("block1_conv",), "num_unfrozen_blocks": 1, "layer_decay": 0.5},
        {"weights": "random", "layer_decay": 0.5},
        {**UNFROZEN, "optimizer": "adamw", "weight_decay": 0.3, "layer_decay": 0.5},
        {**UNFROZEN, "optimizer": "sgd", "momentum": 0.7, "weight_decay": 0.3},
        {"optimizer": "sgd", "weight_decay": 0.0},
        {"augmentation": "medium", "augmentation_kinds": ("flip", "zoom"), "num_views": 3},
        {**UNFROZEN, "augmentation": "strong", "live_augmentation": True},
        {"oversampling": True},
        {"class_weights": "on"},
    ],
    ids=str,
)
def test_the_settings_are_those_of_the_run(choices: dict[str, Any], script_of, color_dataset) -> None:
    script, config = script_of(**choices)
    assert_settings(script, config, color_dataset)


def test_black_and_white_of_deep_photos_are_those_of_the_dataset(
    finished_run: FinishedRun, tmp_path: Path
) -> None:
    dataset = replace(finished_run.dataset, grey_ranges=GreyRanges(integers=(0, 4095)))
    write_code(finished_run.run, dataset, tmp_path)
    assert "\nGREY_RANGES = ((0, 4095), None)  #" in (tmp_path / "train.py").read_text()


def assert_settings(script: ModuleType, config: TrainingConfig, dataset: ImageDataset) -> None:
    """Compare settings, model, phases and optimizers of the script with those of the run."""
    import keras

    is_live = config.has_augmentation and config.live_augmentation
    expected = {
        "GREY_RANGES": tuple(dataset.grey_ranges),
        "IMAGE_SIZE": 32,
        "HEAD": config.head,
        "DROPOUT": config.dropout,
        "HIDDEN_UNITS": config.hidden_units,
        "BATCH_SIZE": config.batch_size,
        "LABEL_SMOOTHING": config.label_smoothing,
        "WEIGH_CLASSES": class_weights(dataset, config) is not None,
        "OVERSAMPLE": config.oversampling,
        "AUGMENTATION": config.augmentation,
        "AUGMENTATION_KINDS": config.augmentation_kinds,
        "NUM_VIEWS": config.num_views if config.has_augmentation and not is_live else 1,
        "LIVE_AUGMENTATION": is_live,
        "PATIENCE": config.early_stopping_patience,
        "SEED": config.seed,
    }
    assert {name: getattr(script, name) for name in expected} == expected
    phases = planned_phases(config)
    body = keras.models.load_model(script.HERE / "backbone.keras", compile=False)
    script_model = script.build_classifier(body, 3)
    ours = build_classifier(phases[-1].plan, 3, config)
    for layer in body.layers:
        for weight, start in zip(layer.weights, ours.get_layer(layer.name).weights, strict=True):
            np.testing.assert_array_equal(weight.numpy(), start.numpy())
    script_model.set_weights(ours.get_weights())
    assert len(script.PHASES) == len(phases)
    for phase, facts in zip(phases, script.PHASES, strict=True):
        assert (facts["epochs"], facts["learning_rate"]) == (phase.num_epochs, phase.learning_rate)
        assert facts["frozen_up_to"] == phase.plan.boundary_layer
        phase.plan.apply(ours)
        trainable = {layer.name for layer in ours.layers if layer.trainable and layer.weights}
        assert set(facts["layers"]) == trainable & {layer.name for layer in body.layers}
        for mine, layer in zip(ours.layers, script_model.layers, strict=True):
            layer.trainable = mine.trainable
        assert_same_optimizer(
            (build_optimizer(phase, config, ours, 15), ours),
            (script.make_optimizer(script_model, facts, 15), script_model),
        )


def assert_same_optimizer(our_pair: tuple[Any, Any], their_pair: tuple[Any, Any]) -> None:
    """Compare the configs of two optimizers, and the weights of their models after one step."""
    import keras

    facts = []
    for optimizer, model in (our_pair, their_pair):
        variables = model.trainable_variables
        optimizer.apply([keras.ops.full(variable.shape, 0.1) for variable in variables], variables)
        config = {name: value for name, value in optimizer.get_config().items() if name != "name"}
        facts.append((config, [kind.__name__ for kind in type(optimizer).__mro__]))
    assert facts[0] == facts[1]
    for ours, theirs in zip(our_pair[1].get_weights(), their_pair[1].get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize("head", ["average", "linear", "hidden", "flattened_map"])
def test_the_script_has_the_automatically_chosen_head(head: str, script_of, color_dataset) -> None:
    script, config = script_of(HeadChosen(1.0, head, {}), head="auto", num_unfrozen_blocks=1)
    trained = with_head(config, head)
    assert trained.head == script.HEAD == head
    assert_settings(script, trained, color_dataset)


def test_a_run_from_random_weights_exports_its_initial_weights(script_of, color_dataset) -> None:
    """Training from random weights compares no heads, so no event names one."""
    script, config = script_of(weights="random", head="auto")
    assert script.HEAD == "linear"
    assert_settings(script, with_head(config, "linear"), color_dataset)
    text = (script.HERE / "train.py").read_text()
    assert "began with random weights: those in backbone.keras" in text
    assert "pretrained" not in text


@pytest.mark.parametrize(("precision", "reason"), [("mixed_float16", ""), ("float32", "no_gpu")])
def test_the_script_says_that_the_app_trained_in_mixed_precision(
    precision: Precision, reason: PrecisionReason, script_of
) -> None:
    script, _config = script_of(PrecisionChosen(1.0, precision, reason), mixed_precision=True)
    text = (script.HERE / "train.py").read_text()
    assert ("trained in mixed precision; this script computes in float32" in text) == (not reason)


def test_a_run_with_augmentation_that_compared_no_heads_exports_the_linear_one(
    script_of, color_dataset
) -> None:
    script, config = script_of(augmentation="light", head="auto")
    assert script.HEAD == "linear"
    assert_settings(script, with_head(config, "linear"), color_dataset)


def test_photos_that_the_run_did_not_use_are_left_out(script_of, color_dataset, tmp_path) -> None:
    images = [image for image in color_dataset.images if not image.name.endswith("-0.png")]
    dataset = color_dataset.with_images(images, ())
    script, _config = script_of(dataset=dataset)
    _pixels, labels, ids, is_validation, class_names = script.read_photos(
        folder_of(color_dataset, tmp_path / "photos")
    )
    assert ids.tolist() == [image.id for image in dataset.images]
    assert [class_names[label] for label in labels] == [image.class_name for image in dataset.images]
    assert is_validation.tolist() == [image.split == "validation" for image in dataset.images]


def test_a_fifth_of_unknown_photos_is_for_validation(script_of, color_dataset, tmp_path) -> None:
    script, _config = script_of()
    folder = folder_of(color_dataset, tmp_path / "photos")
    for path in list(folder.glob("*/*.png")):
        path.rename(path.with_name(f"other-{path.name}"))
    _pixels, labels, _names, is_validation, _class_names = script.read_photos(folder)
    assert (len(labels), is_validation.sum()) == (24, 5)


@pytest.mark.parametrize(
    "choices",
    [
        {
            "num_unfrozen_blocks": 2,
            "schedule": "gradual",
            "optimizer": "adamw",
            "weight_decay": 0.1,
            "layer_decay": 0.5,
            "augmentation": "light",
            "num_views": 2,
            "oversampling": True,
            "label_smoothing": 0.1,
            "early_stopping_patience": 2,
            "head": "hidden",
            "hidden_units": 8,
            "batch_size": 9,
        },
        {"head": "average", "class_weights": "on", "num_unfrozen_blocks": 1},
        {
            "weights": "random",
            "augmentation": "light",
            "live_augmentation": True,
            "class_weights": "on",
            "batch_size": 5,
        },
        {
            "head": "flattened_map",
            "optimizer": "sgd",
            "augmentation": "light",
            "live_augmentation": True,
            "batch_size": 5,
        },
    ],
    ids=["gradual", "average", "random", "live"],
)
def test_the_script_trains_to_the_weights_of_the_run(
    choices: dict[str, Any], uneven, tiny_config, script_of, tmp_path: Path, monkeypatch, keras_module
) -> None:
    choices = {"cache_dtype": "float32", "dropout": 0.5, **choices}
    result = train(uneven, tiny_config.with_changes(**choices), tmp_path, tmp_path / "cache")
    script, config = script_of(*filter(None, [result.head]), dataset=uneven, **choices)
    assert_settings(script, config, uneven)
    monkeypatch.chdir(tmp_path)
    script.main(folder_of(uneven, tmp_path / "photos"))
    ours = keras_module.models.load_model(tmp_path / "model.keras")
    theirs = keras_module.models.load_model(tmp_path / "my_model.keras")
    start = build_classifier(planned_phases(config)[-1].plan, 3, config).get_weights()
    assert len(result.epochs) > 1
    assert not np.allclose(start[-2], ours.get_weights()[-2], atol=1e-3)
    for our_weight, their_weight in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(our_weight, their_weight, atol=1e-4, rtol=1e-3)


@pytest.mark.skipif(
    os.environ.get(REAL_VARIABLE) != "1",
    reason=f"takes a minute with a full-size backbone; set {REAL_VARIABLE}=1 to run it",
)
@pytest.mark.parametrize(
    "choices", [{}, {"num_unfrozen_blocks": 1, "fine_tune_epochs": 3, "layer_decay": 0.5}], ids=str
)
def test_accuracy_on_real_flowers_equals_the_run(
    choices: dict[str, Any], shared_data: Path, workspace: Workspace, tmp_path: Path, monkeypatch
) -> None:
    dataset = add_files(create_dataset(workspace, "flowers"), folder_source(shared_data / "flowers"))
    config = TrainingConfig(backbone="efficientnet_lite0", epochs=15, **choices)
    run = TrainingRun.create(workspace, dataset, config).begin(dataset)
    best = train(dataset, config, run.folder, workspace.cache_dir).best
    assert best is not None
    (tmp_path / "code").mkdir()
    write_code(run, dataset, tmp_path / "code")
    monkeypatch.chdir(tmp_path)
    script = imported(tmp_path / "code", monkeypatch)
    model = script.main(shared_data / "flowers")
    pixels, labels, _names, is_validation, _class_names = script.read_photos(shared_data / "flowers")
    scores = model.predict(pixels[is_validation].astype(np.float32), verbose=0)
    accuracy = np.mean(scores.argmax(axis=1) == labels[is_validation])
    assert accuracy == pytest.approx(best.val_accuracy, abs=0.03)


def test_the_notebook_has_the_cells_of_the_script(unpacked: Unpack) -> None:
    notebook = json.loads((unpacked("code").folder / "train.ipynb").read_text())
    assert notebook["nbformat"] == 4
    code = [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for source in code:
        ast.parse(source)
    script = settings((unpacked("code").folder / "train.py").read_text())
    assert settings("\n".join(code)) == script
    words = [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    assert words[0].startswith("# Train the same classifier")
