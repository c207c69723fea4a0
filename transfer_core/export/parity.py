"""Comparison of an exported model with the app: run the bundle's `predict.py` in a fresh process on the same photos."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from transfer_core.errors import ExportError
from transfer_core.export.formats import Variant
from transfer_core.inference.predictor import Prediction
from transfer_core.inference.rejection import Rejection
from transfer_core.language import _

MAX_IMAGES = 100
# Of all formats alike: an exported model answers like the app's if at most one photo in twenty, or a single one, gets
# another answer, and only photos whose answer in the app was about to change: rounding decides about those.
MIN_SAME = 0.95
_TIMEOUT = 900  # seconds; a large model takes about a second per photo on a slow machine
_MAX_ERROR_LINES = 5


@dataclass(frozen=True)
class Parity:
    """Comparison of the predictions of one model file with the app's.

    Args:
        variant: Name of the `Variant`.
        num_bytes: Size of the model file.
        num_images: Number of compared photos.
        num_same: Photos with the same predicted class.
        num_right: Photos whose exported prediction is correct.
        num_same_refusals: Photos that both accept or both reject.
        max_difference: Largest difference of a probability, 0-1.
        limit: Largest accepted difference of a probability, 0-1.
        differing: Names of the photos with another predicted class.
        is_passed: Whether no probability differs by more than `limit`, and classes and rejections are the app's by the
            rule of `MIN_SAME`: another class needs two top classes closer than `limit`, another rejection a threshold.
    """

    variant: str
    num_bytes: int
    num_images: int
    num_same: int
    num_right: int
    num_same_refusals: int
    max_difference: float
    limit: float
    differing: tuple[str, ...]
    is_passed: bool

    @property
    def accuracy(self) -> float | None:
        """Accuracy of the exported model on the compared photos, 0-1; None without photos."""
        return self.num_right / self.num_images if self.num_images else None

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Parity:
        """Rebuild a `Parity` from the values of `to_dict`.

        Raises:
            KeyError: If `differing` is missing.
            TypeError: If another field is missing.
        """
        return cls(**{**values, "differing": tuple(values["differing"])})


@dataclass(frozen=True)
class ScoredPhoto:
    """A photo with its true class and the app's prediction.

    Args:
        path: Image file.
        name: Display name.
        class_name: True class.
        prediction: The app's prediction.
    """

    path: Path
    name: str
    class_name: str
    prediction: Prediction


def compare(
    folder: Path, variant: Variant, photos: Sequence[ScoredPhoto], rejection: Rejection | None = None
) -> Parity:
    """Run the bundle's own `predict.py` in a fresh process and compare its predictions with the app's.

    Args:
        folder: The unpacked bundle.
        variant: Model file to compare.
        photos: Photos to predict; without any, the result is not passed.
        rejection: The app's, with which it predicted.

    Raises:
        ExportError: If the bundle does not run, or takes longer than 15 minutes.
    """
    answers = _answers(folder, variant.file, [photo.path for photo in photos]) if photos else []
    differences, differing, num_right, num_same_refusals = [0.0], [], 0, 0
    limit, are_close = variant.max_difference, True
    for photo, answer in zip(photos, answers, strict=True):
        scores = answer["probabilities"]
        expected = photo.prediction.probabilities
        differences.append(max(abs(scores[name] - expected[name]) for name in expected))
        num_right += answer["best_guess"] == photo.class_name
        if (answer["class_name"] is not None) == photo.prediction.is_known:
            num_same_refusals += 1
        else:
            are_close &= _is_near_threshold(photo.prediction, rejection, limit)
        if answer["best_guess"] != photo.prediction.best_guess:
            differing.append(photo.name)
            are_close &= _lead(photo.prediction) < limit
    num_same = len(photos) - len(differing)
    num_needed = min(MIN_SAME * len(photos), len(photos) - 1)
    is_within_tolerance = (
        max(differences) <= limit and min(num_same, num_same_refusals) >= num_needed and are_close
    )
    return Parity(
        variant.name,
        _size(folder / variant.file),
        len(photos),
        num_same,
        num_right,
        num_same_refusals,
        max(differences),
        limit,
        tuple(differing),
        bool(photos) and is_within_tolerance,
    )


def verdict(parities: Sequence[Parity]) -> str:
    """Return in one sentence how the files of an export compare with the app.

    Args:
        parities: The comparison of each model file.
    """
    counts = sorted({parity.num_same for parity in parities})
    num_images = max((parity.num_images for parity in parities), default=0)
    if not num_images:
        return _("Not tested: the validation photos are missing.")
    if len(counts) == 1:
        return _("Answers like your model on {same} of {count} photos.").format(
            same=counts[0], count=num_images
        )
    return _("Answers like your model on {lowest} to {highest} of {count} photos.").format(
        lowest=counts[0], highest=counts[-1], count=num_images
    )


def _lead(prediction: Prediction) -> float:
    """Return by how much the most probable class is ahead of the second, 0-1."""
    first, second = sorted(prediction.scores)[:-3:-1]
    return first - second


def _is_near_threshold(prediction: Prediction, rejection: Rejection | None, limit: float) -> bool:
    if rejection is None:
        return False
    values = [(prediction.probability, rejection.min_probability)]
    if prediction.familiarity is not None:
        values.append((prediction.familiarity, rejection.min_familiarity))
    return any(abs(value - threshold) < limit for value, threshold in values)


def _answers(folder: Path, model_file: str, paths: Sequence[Path]) -> list[dict[str, Any]]:
    paths_input = "".join(f"{path.resolve()}\n" for path in paths)
    command = [sys.executable, str(folder / "predict.py"), "--model", model_file, "--json"]
    try:
        process = subprocess.run(
            command,
            input=paths_input,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=_TIMEOUT,
            cwd=folder,
        )
    except subprocess.TimeoutExpired as error:
        raise ExportError(
            _("The exported model took longer than {minutes} minutes, so it was not kept.").format(
                minutes=_TIMEOUT // 60
            )
        ) from error
    lines = process.stdout.splitlines()
    if process.returncode or len(lines) != len(paths):
        raise ExportError(
            _("The exported model does not run, so it was not kept: {reason}").format(
                reason=" ".join(process.stderr.splitlines()[-_MAX_ERROR_LINES:])
            )
        )
    return [json.loads(line) for line in lines]


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
