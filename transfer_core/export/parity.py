"""The proof that an exported model answers as the app did: same files, a fresh process, its own `predict.py`."""

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
from transfer_core.language import _

MAX_IMAGES = 100
_PATIENCE = 900  # seconds; a large network takes a second a picture on a slow machine
_MOST_LINES_OF_ERROR = 5


@dataclass(frozen=True)
class Parity:
    """How one model file compares with the app.

    Args:
        variant: Name of the model file in its format.
        num_bytes: Its size.
        num_images: How many photos both have scored.
        num_same: How many of them have the same top class.
        num_right: How many of them it names right.
        num_same_refusals: About how many of them both say that they know them, or both that they do not.
        max_difference: Largest difference of a probability, 0-1.
        limit: Largest difference that is no defect.
        differing: Names of the photos whose top class is another one.
        is_passed: Whether it is as good as this format can be.
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
        """Share of the photos that it names right, 0-1; None without photos."""
        return self.num_right / self.num_images if self.num_images else None

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Parity:
        """Rebuild what `to_dict` gave.

        Raises:
            TypeError: If something is missing.
        """
        return cls(**{**values, "differing": tuple(values["differing"])})


@dataclass(frozen=True)
class ScoredPhoto:
    """A photo with the app's own answer.

    Args:
        path: Its file.
        name: What to call it.
        class_name: Its true class.
        prediction: What the app says.
    """

    path: Path
    name: str
    class_name: str
    prediction: Prediction


def compare(folder: Path, variant: Variant, photos: Sequence[ScoredPhoto]) -> Parity:
    """Run the bundle's own `predict.py` in a fresh process and compare its answers with the app's.

    Args:
        folder: The bundle, unpacked.
        variant: Which of its models.
        photos: What is asked about; without any nothing is proved.

    Raises:
        ExportError: If the bundle does not run at all.
    """
    answers = _answers(folder, variant.file, [photo.path for photo in photos]) if photos else []
    differences, differing, num_right, num_same_refusals = [0.0], [], 0, 0
    for photo, answer in zip(photos, answers, strict=True):
        scores = answer["probabilities"]
        expected = photo.prediction.probabilities
        differences.append(max(abs(scores[name] - expected[name]) for name in expected))
        num_right += answer["best_guess"] == photo.class_name
        num_same_refusals += (answer["class_name"] is not None) == photo.prediction.is_known
        if answer["best_guess"] != photo.prediction.class_name:
            differing.append(photo.name)
    num_same = len(photos) - len(differing)
    is_as_close = (
        max(differences) <= variant.max_difference
        and num_same >= variant.min_same * len(photos)
        # One photo may lie right at a limit, which was measured on one of these very photos.
        and num_same_refusals >= min(variant.min_same_refusals * len(photos), len(photos) - 1)
    )
    return Parity(
        variant.name,
        _size(folder / variant.file),
        len(photos),
        num_same,
        num_right,
        num_same_refusals,
        max(differences),
        variant.max_difference,
        tuple(differing),
        bool(photos) and is_as_close,
    )


def _answers(folder: Path, model_file: str, paths: Sequence[Path]) -> list[dict[str, Any]]:
    names = "".join(f"{path.resolve()}\n" for path in paths)
    command = [sys.executable, str(folder / "predict.py"), "--model", model_file, "--json"]
    try:
        done = subprocess.run(
            command,
            input=names,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=_PATIENCE,
            cwd=folder,
        )
    except subprocess.TimeoutExpired as error:
        raise ExportError(
            _("The exported model took longer than {minutes} minutes, so it was not kept.").format(
                minutes=_PATIENCE // 60
            )
        ) from error
    lines = done.stdout.splitlines()
    if done.returncode or len(lines) != len(paths):
        raise ExportError(
            _("The exported model does not run, so it was not kept: {reason}").format(
                reason=" ".join(done.stderr.splitlines()[-_MOST_LINES_OF_ERROR:])
            )
        )
    return [json.loads(line) for line in lines]


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
