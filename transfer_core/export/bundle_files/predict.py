"""Ask the model in this folder what is on a picture.

    pip install -r requirements.txt
    python predict.py photo.jpg [more.jpg ...] [--model FILE] [--json]

Needs only what requirements.txt names. The pixels are made by image_path.py, which is the very file that the app
uses, so the answers are those of the app.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import image_path
import numpy as np
from model_runtime import load_model
from PIL import Image

HERE = Path(__file__).resolve().parent
SIGNATURE = json.loads((HERE / "signature.json").read_text(encoding="utf-8"))
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")


def read_pixels(path: str) -> np.ndarray[Any, Any]:
    """Return a picture as the model wants it: `[1, size, size, 3]`, 0-255."""
    with Image.open(path, formats=FORMATS) as opened:
        picture, _orientation = image_path.upright_rgb(opened)
    pixels: np.ndarray[Any, Any] = image_path.to_pixels(picture, SIGNATURE["image_size"])
    return pixels[np.newaxis]


def calibrated(probabilities: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Apply the temperature that was fitted on validation photos; the top class stays the same."""
    temperature = SIGNATURE["temperature"]
    if temperature == 1:
        return probabilities
    logits = np.log(np.maximum(probabilities.astype(np.float64), 1e-30)) / temperature
    raised = np.exp(logits - logits.max())
    scaled: np.ndarray[Any, Any] = raised / raised.sum()
    return scaled


def predict(model: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]], path: str) -> dict[str, Any]:
    """Return the answer about one picture as a dict."""
    probabilities = calibrated(model(read_pixels(path))[0])
    best = int(probabilities.argmax())
    threshold = SIGNATURE["threshold"]
    is_known = threshold is None or float(probabilities[best]) >= threshold
    return {
        "file": str(path),
        "class_name": SIGNATURE["class_names"][best] if is_known else None,
        "best_guess": SIGNATURE["class_names"][best],
        "probability": float(probabilities[best]),
        "probabilities": dict(zip(SIGNATURE["class_names"], map(float, probabilities), strict=True)),
    }


def main() -> int:
    """Read the command line, answer, and return the exit code."""
    parser = argparse.ArgumentParser(description="Say what is on pictures.")
    parser.add_argument(
        "pictures", nargs="*", help="picture files; none: their names are read from the input"
    )
    parser.add_argument("--model", default=SIGNATURE["models"][0]["file"], help="which model file")
    parser.add_argument("--json", action="store_true", help="one JSON object a picture")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
    model = load_model(HERE / options.model)
    exit_code = 0
    for path in options.pictures or [line.rstrip("\n") for line in sys.stdin]:
        try:
            answer = predict(model, path)
        except image_path.DECODER_ERRORS as error:
            print(f"{path}: cannot be read ({error})", file=sys.stderr)
            exit_code = 1
            continue
        if options.json:
            print(json.dumps(answer, ensure_ascii=False))
        else:
            name = answer["class_name"] or f"I do not know (perhaps {answer['best_guess']})"
            print(f"{path}: {name}, {answer['probability']:.0%} sure")
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
