"""Load the model with ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

Array = np.ndarray[Any, Any]


def load_model(path: Path) -> Callable[[Array], tuple[Array, Array]]:
    """Return a function that maps pixels, `[1, size, size, 3]` in 0-255, to pooled features and probabilities."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(pixels: Array) -> tuple[Array, Array]:
        features, probabilities = session.run(None, {name: pixels.astype(np.float32)})
        return features, probabilities

    return run
