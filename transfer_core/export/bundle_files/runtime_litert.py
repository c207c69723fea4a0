"""Load the model with LiteRT."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

Array = np.ndarray[Any, Any]


def load_model(path: Path) -> Callable[[Array], tuple[Array, Array]]:
    """Return a function that maps pixels, `[1, size, size, 3]` in 0-255, to pooled features and probabilities."""
    interpreter = Interpreter(model_path=str(path))
    run_signature = interpreter.get_signature_runner()
    dtype = run_signature.get_input_details()["pixels"]["dtype"]
    details = run_signature.get_output_details()

    def floats(name: str, output: Array) -> Array:
        # Models with uint8 outputs have a scale, which is 0 in others.
        scale, zero_point = details[name]["quantization"]
        return scale * (output.astype(np.float32) - zero_point) if scale else output

    def run(pixels: Array) -> tuple[Array, Array]:
        outputs = run_signature(pixels=pixels.astype(dtype))
        return floats("features", outputs["features"]), floats("probabilities", outputs["probabilities"])

    return run
