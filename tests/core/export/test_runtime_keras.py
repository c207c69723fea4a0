"""The program in a Keras bundle gives the outputs of the app for every kind of head."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from transfer_core.backbones.registry import get_backbone
from transfer_core.config import Head, TrainingConfig
from transfer_core.inference.predictor import with_features
from transfer_core.training.classifier import build_classifier
from transfer_core.training.freezing import FreezePlan


@pytest.mark.parametrize("head", [head for head in get_args(Head) if head != "auto"])
def test_features_and_probabilities_are_those_of_the_app(head: Head, tmp_path: Path, keras_module) -> None:
    from transfer_core.export.bundle_files.runtime_keras import load_model

    backbone = get_backbone("tiny_random")
    model = build_classifier(FreezePlan(backbone, head=head), 3, TrainingConfig(head=head))
    model.save(tmp_path / "model.keras")
    size = backbone.image_size
    pixels = np.random.default_rng(1).integers(0, 256, (1, size, size, 3)).astype(np.float32)
    expected = with_features(model).predict_on_batch(pixels)
    for found, wanted in zip(load_model(tmp_path / "model.keras")(pixels), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6)
