"""Exports of a network that mirrors photos and joins two networks have its probabilities."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter

from transfer_core.backbones.registry import get_backbone
from transfer_core.config import TrainingConfig
from transfer_core.export.converters import ExportInput, write_model
from transfer_core.export.formats import get_format
from transfer_core.training.classifier import build_classifier
from transfer_core.training.freezing import FreezePlan
from transfer_core.training.train import MODEL_FILE
from transfer_core.types import Array, Pixels

BACKBONE = get_backbone("careful_tiny")
NUM_CLASSES = 3


@pytest.fixture(scope="module")
def samples() -> Pixels:
    size = BACKBONE.image_size
    draws = np.random.default_rng(0).integers(0, 256, (8, size, size, 3))
    # A photo that is brighter on one side differs from its mirror image.
    return (draws * np.linspace(0, 1, size)[:, np.newaxis]).astype(np.uint8)


@pytest.fixture(scope="module")
def saved(
    samples: Pixels, tmp_path_factory: pytest.TempPathFactory, keras_module
) -> tuple[ExportInput, Array]:
    """A saved classifier, and its probabilities."""
    folder = tmp_path_factory.mktemp("careful")
    config = TrainingConfig(backbone=BACKBONE.name)
    model = build_classifier(FreezePlan.of(config), NUM_CLASSES, config)
    model.save(folder / MODEL_FILE)
    facts = {"class_names": list("abc")}
    return ExportInput(folder, facts, samples), model.predict(samples.astype(np.float32), verbose=0)


def test_onnx(saved: tuple[ExportInput, Array], tmp_path: Path) -> None:
    export_input, expected = saved
    write_model(export_input, get_format("onnx"), tmp_path)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    # Also as a batch: views are joined along the batch.
    (found,) = session.run(None, {"pixels": export_input.samples.astype(np.float32)})
    assert np.allclose(found, expected, atol=1e-4)


def test_litert_exact_and_quantised(saved: tuple[ExportInput, Array], tmp_path: Path) -> None:
    export_input, expected = saved
    all_sizes = get_format("litert")
    ends = (all_sizes.variants[0], all_sizes.variants[-1])
    litert = replace(all_sizes, variants=ends)
    write_model(export_input, litert, tmp_path)
    for variant in litert.variants:
        interpreter = Interpreter(model_path=str(tmp_path / variant.file))
        interpreter.allocate_tensors()
        given, (answer, *_others) = interpreter.get_input_details()[0], interpreter.get_output_details()
        for photo, probabilities in zip(export_input.samples, expected, strict=True):
            interpreter.set_tensor(given["index"], photo[np.newaxis].astype(given["dtype"]))
            interpreter.invoke()
            found = interpreter.get_tensor(answer["index"])[0]
            assert np.abs(found - probabilities).max() <= variant.max_difference, variant.name
