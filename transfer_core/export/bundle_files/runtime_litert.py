"""Load the model with LiteRT."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

Array = np.ndarray[Any, Any]


def load_model(path: Path) -> Callable[[Array], tuple[Array, Array]]:
    """Return a function from pixels, `[1, size, size, 3]` in 0-255, to features and probabilities of that picture."""
    interpreter = Interpreter(model_path=str(path))
    run_signature = interpreter.get_signature_runner()
    [(name, entry)] = run_signature.get_input_details().items()

    def run(pixels: Array) -> tuple[Array, Array]:
        # The fully quantised model takes raw pixels as they are, but for its own scale.
        scale, zero = entry["quantization"]
        numbers = pixels / scale + zero if scale else pixels
        answer = run_signature(**{name: np.round(numbers).clip(0, 255).astype(entry["dtype"])})
        return answer["features"], answer["probabilities"]

    return run
