"""Load the model with TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf

Array = np.ndarray[Any, Any]


def load_model(path: Path) -> Callable[[Array], tuple[Array, Array]]:
    """Return a function that maps pixels, `[1, size, size, 3]` in 0-255, to pooled features and probabilities."""
    served = tf.saved_model.load(str(path))

    def run(pixels: Array) -> tuple[Array, Array]:
        outputs = served.with_features(tf.constant(pixels, tf.float32))
        return outputs["features"].numpy(), outputs["probabilities"].numpy()

    return run
