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


def load_model(path: Path) -> Callable[[Array], Array]:
    """Return a function from pixels, `[1, size, size, 3]` in 0-255, to probabilities, `[1, classes]`."""
    model = keras.saving.load_model(path, compile=False)

    def run(pixels: Array) -> Array:
        scores: Array = model.predict_on_batch(pixels)
        return scores

    return run
