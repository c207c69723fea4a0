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

Array = np.ndarray[Any, Any]
Model = Callable[[Array], tuple[Array, Array]]

HERE = Path(__file__).resolve().parent
SIGNATURE = json.loads((HERE / "signature.json").read_text(encoding="utf-8"))
# Features of photos that the model learned from, each of length 1: what is unlike all of them is refused.
BANK = np.load(HERE / "known.npz")["bank"].astype(np.float32) if SIGNATURE["refuses"] else None
# Another runtime adds up in another order; a photo right at a limit is not to change sides for that.
TOLERANCE = 1e-5
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")


def read_pixels(path: str) -> Array:
    """Return a picture as the model wants it: `[1, size, size, 3]`, 0-255."""
    with Image.open(path, formats=FORMATS) as opened:
        picture, _orientation = image_path.upright_rgb(opened)
    pixels: Array = image_path.to_pixels(picture, SIGNATURE["image_size"])
    return pixels[np.newaxis]


def calibrated(probabilities: Array) -> Array:
    """Apply the temperature that was fitted on validation photos; the top class stays the same."""
    temperature = SIGNATURE["temperature"]
    if temperature == 1:
        return probabilities
    logits = np.log(np.maximum(probabilities.astype(np.float64), 1e-30)) / temperature
    raised = np.exp(logits - logits.max())
    scaled: Array = raised / raised.sum()
    return scaled


def familiarity(features: Array) -> float:
    """Return how much a picture is like the nearest photos that the model learned from, -1 to 1."""
    similarities = BANK @ features / max(float(np.linalg.norm(features)), 1e-9)
    return float(np.sort(similarities)[-SIGNATURE["refuses"]["num_neighbors"] :].mean())


def is_known(features: Array, probability: float) -> bool:
    """Whether an answer can be given, by the limits that were set in the app."""
    limits = SIGNATURE["refuses"]
    if limits is None:
        return True
    is_familiar: bool = familiarity(features) + TOLERANCE >= limits["min_familiarity"]
    return bool(is_familiar and probability + TOLERANCE >= limits["min_probability"])


def predict(model: Model, path: str, pixels: Array) -> dict[str, Any]:
    """Return the answer about one picture; its class is None where the model should not judge."""
    features, raw = model(pixels)
    probabilities = calibrated(raw[0])
    best = int(probabilities.argmax())
    probability = float(probabilities[best])
    names = SIGNATURE["class_names"]
    return {
        "file": str(path),
        "class_name": names[best] if is_known(features[0], probability) else None,
        "best_guess": names[best],
        "probability": probability,
        "probabilities": dict(zip(names, map(float, probabilities), strict=True)),
    }


def printable(name: str) -> str:
    """Return a name without line breaks and terminal codes."""
    return "".join(letter if letter.isprintable() else " " for letter in name)


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
            pixels = read_pixels(path)
        except (*image_path.DECODER_ERRORS, Image.DecompressionBombError) as error:
            print(f"{path}: cannot be read ({error})", file=sys.stderr)
            exit_code = 1
            continue
        answer = predict(model, path, pixels)
        if options.json:
            # Without letters beyond ASCII, some of which end a line or are missing in a terminal's character set.
            print(json.dumps(answer))
        else:
            name = answer["class_name"] or f"I do not know (perhaps {answer['best_guess']})"
            print(f"{path}: {printable(name)}, {answer['probability']:.0%} sure")
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
