"""Load the model with Keras."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

Array = np.ndarray[Any, Any]


def load_model(path: Path) -> Callable[[Array], tuple[Array, Array]]:
    """Return a function that maps pixels, `[1, size, size, 3]` in 0-255, to pooled features and probabilities."""
    classifier = keras.saving.load_model(path, compile=False)
    names = {layer.name for layer in classifier.layers}
    if "flatten" in names:
        features = keras.layers.GlobalAveragePooling2D()(classifier.get_layer("flatten").input)
    else:
        features = classifier.get_layer("centre" if "centre" in names else "dropout").input
    model = keras.Model(classifier.input, [features, classifier.output])

    def run(pixels: Array) -> tuple[Array, Array]:
        pooled, probabilities = model.predict_on_batch(pixels)
        return pooled, probabilities

    return run
