"""Classify photos with the model in this folder.

    pip install -r requirements.txt
    python predict.py photo.jpg [more.jpg ...] [--model FILE] [--json]

Needs only the packages in requirements.txt. The app preprocesses photos with the same image_path.py, so the predictions
are those of the app.
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
from PIL import Image, UnidentifiedImageError

Array = np.ndarray[Any, Any]
Model = Callable[[Array], tuple[Array, Array]]

HERE = Path(__file__).resolve().parent
SIGNATURE = json.loads((HERE / "signature.json").read_text(encoding="utf-8"))
# What is printed for people, in the language of the app at the export.
MESSAGES = json.loads((HERE / "messages.json").read_text(encoding="utf-8"))
# L2-normalised features of training photos, and a weight of each. Photos unlike all of them are rejected.
KNOWN = dict(np.load(HERE / "known.npz")) if SIGNATURE["refuses"] else {}
BANK, WEIGHTS = (KNOWN.get(name, np.ones(1)).astype(np.float32) for name in ("bank", "weights"))
# Runtimes sum in different orders; the tolerance keeps photos at a threshold accepted.
TOLERANCE = 1e-5
HEIC_STARTS = (b"ftyphei", b"ftyphev", b"ftypmif1", b"ftypmsf1")

# Pillow registers most formats only after a first failure, and `formats=` needs them registered.
Image.init()
try:
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
except ImportError:
    pass
FORMATS = [name for name in SIGNATURE["formats"] if name in Image.OPEN]
# Black and white for photos with more than 8 bits, as for the training photos.
RANGES = image_path.GreyRanges(*(limits and tuple(limits) for limits in SIGNATURE["grey_ranges"]))


def read_pixels(path: str) -> Array:
    """Read a photo as the input of the model: `[1, size, size, 3]`, 0-255."""
    with Image.open(path, formats=FORMATS) as opened:
        picture = image_path.upright_rgb(opened, RANGES).image
    pixels: Array = image_path.to_pixels(picture, SIGNATURE["image_size"])
    return pixels[np.newaxis]


def calibrated(probabilities: Array) -> Array:
    """Apply the temperature that the app has fitted. It never changes the predicted class."""
    temperature = SIGNATURE["temperature"]
    if temperature == 1:
        return probabilities
    logits = np.log(np.maximum(probabilities.astype(np.float64), 1e-30)) / temperature
    raised = np.exp(logits - logits.max())
    scaled: Array = raised / raised.sum()
    return scaled


def familiarity(features: Array) -> float:
    """Return the mean weighted cosine similarity to the nearest training photos, -1 to 1."""
    similarities = BANK @ features / max(float(np.linalg.norm(features)), 1e-9)
    weighted = np.sort(1 - WEIGHTS * (1 - similarities))
    return max(float(weighted[-SIGNATURE["refuses"]["num_neighbors"] :].mean()), -1.0)


def is_known(features: Array, probability: float) -> bool:
    """Return whether a prediction passes the thresholds that were set in the app."""
    thresholds = SIGNATURE["refuses"]
    if thresholds is None:
        return True
    is_familiar: bool = familiarity(features) + TOLERANCE >= thresholds["min_familiarity"]
    return bool(is_familiar and probability + TOLERANCE >= thresholds["min_probability"])


def predict(model: Model, path: str, pixels: Array) -> dict[str, Any]:
    """Return the prediction for one photo; `class_name` is None if it is rejected."""
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


def why_unreadable(path: str, error: Exception) -> str:
    """Return why a photo cannot be read, and what to do about it."""
    if isinstance(error, UnidentifiedImageError) and "HEIF" not in FORMATS:
        with Path(path).open("rb") as file:
            start = file.read(12)
        if start[4:].startswith(HEIC_STARTS):
            return str(MESSAGES["heic"])
    return str(error)


def sentence(answer: dict[str, Any]) -> str:
    """Return the prediction for a photo as a line for people."""
    share = MESSAGES["percent"].format(number=round(100 * answer["probability"]))
    text: str = MESSAGES["unknown" if answer["class_name"] is None else "known"]
    return text.format(image=answer["file"], name=printable(answer["best_guess"]), share=share)


def printable(name: str) -> str:
    """Return a name without line breaks and terminal codes."""
    return "".join(letter if letter.isprintable() else " " for letter in name)


def main() -> int:
    """Classify the photos of the command line and return the exit code."""
    parser = argparse.ArgumentParser(description=MESSAGES["description"])
    parser.add_argument("photos", nargs="*", help=MESSAGES["photos"])
    parser.add_argument("--model", default=SIGNATURE["models"][0]["file"], help=MESSAGES["model"])
    parser.add_argument("--json", action="store_true", help=MESSAGES["json"])
    options = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
    model = load_model(HERE / options.model)
    exit_code = 0
    for path in options.photos or [line.rstrip("\n") for line in sys.stdin]:
        try:
            pixels = read_pixels(path)
        except (*image_path.DECODER_ERRORS, Image.DecompressionBombError) as error:
            reason = why_unreadable(path, error)
            print(MESSAGES["unreadable"].format(image=path, reason=reason), file=sys.stderr)
            exit_code = 1
            continue
        answer = predict(model, path, pixels)
        if options.json:
            # ASCII only: some other characters break lines or are missing in a terminal's encoding.
            print(json.dumps(answer))
        else:
            print(sentence(answer))
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
