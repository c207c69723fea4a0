"""Load the model with ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

Array = np.ndarray[Any, Any]


def load_model(path: Path) -> Callable[[Array], Array]:
    """Return a function from pixels, `[1, size, size, 3]` in 0-255, to probabilities, `[1, classes]`."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(pixels: Array) -> Array:
        scores: Array = session.run(None, {name: pixels.astype(np.float32)})[0]
        return scores

    return run
