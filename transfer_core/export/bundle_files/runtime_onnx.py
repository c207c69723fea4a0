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
    # Joined protobuf messages are merged: these few bytes add the features as a second output.
    content = path.read_bytes() + path.with_name("features_output.pb").read_bytes()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def run(pixels: Array) -> tuple[Array, Array]:
        inputs = {"pixels": pixels.astype(np.float32)}
        features, probabilities = session.run(["features", "probabilities"], inputs)
        return features, probabilities

    return run
