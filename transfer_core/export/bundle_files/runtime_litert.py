"""Load the model with LiteRT."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

Array = np.ndarray[Any, Any]


def load_model(path: Path) -> Callable[[Array], Array]:
    """Return a function from pixels, `[1, size, size, 3]` in 0-255, to probabilities, `[1, classes]`."""
    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    entry, answer = interpreter.get_input_details()[0], interpreter.get_output_details()[0]

    def run(pixels: Array) -> Array:
        # The fully quantised model takes raw pixels as they are, but for its own scale.
        scale, zero = entry["quantization"]
        numbers = pixels / scale + zero if scale else pixels
        interpreter.set_tensor(entry["index"], np.round(numbers).clip(0, 255).astype(entry["dtype"]))
        interpreter.invoke()
        scores: Array = interpreter.get_tensor(answer["index"])
        return scores

    return run
