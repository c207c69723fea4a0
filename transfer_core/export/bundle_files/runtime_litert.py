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
    [(name, entry)] = run_signature.get_input_details().items()

    def run(pixels: Array) -> tuple[Array, Array]:
        # The int8 model has uint8 inputs with a scale and zero point of its own.
        scale, zero_point = entry["quantization"]
        numbers = pixels / scale + zero_point if scale else pixels
        outputs = run_signature(**{name: np.round(numbers).clip(0, 255).astype(entry["dtype"])})
        return outputs["features"], outputs["probabilities"]

    return run
