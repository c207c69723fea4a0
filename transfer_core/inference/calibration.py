"""How sure a model may be: temperature scaling, and how far "80 % sure" is from being right in 80 % of cases.

Guo, Pleiss, Sun and Weinberger, 2017, "On Calibration of Modern Neural Networks".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from transfer_core.facts_file import FactsFile
from transfer_core.language import _
from transfer_core.types import Array

CALIBRATION_FILE = "calibration.json"
# With fewer photos the temperature would follow single photos.
MIN_IMAGES = 30
# As many as in the tables and as in the diagrams of the paper.
NUM_BINS = 15
NUM_DIAGRAM_BINS = 10
_LOWEST, _HIGHEST = 0.25, 10.0
_MOST_PARTS = 5
_SMALLEST = 1e-30


class Calibration(msgspec.Struct, frozen=True):
    """Makes probabilities milder or bolder. Which class is the most probable never changes.

    Args:
        temperature: What the logits are divided by: above 1 milder, below 1 bolder, 1 leaves them unchanged.
        num_images: The validation images that it was fitted on.
    """

    temperature: Annotated[float, msgspec.Meta(ge=_LOWEST, le=_HIGHEST)]
    num_images: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 0

    def apply(self, probabilities: Array) -> Array:
        """Return calibrated probabilities.

        Args:
            probabilities: What the model gives, `[..., num_classes]`.
        """
        if self.temperature == 1.0:
            return probabilities
        logits = np.log(np.maximum(probabilities.astype(np.float64), _SMALLEST)) / self.temperature
        raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
        scaled: Array = raised / raised.sum(axis=-1, keepdims=True)
        return scaled

    def save(self, folder: Path) -> None:
        """Write it beside the model.

        Raises:
            WorkspaceError: If writing fails.
        """
        _FILE.write(folder, self)

    @classmethod
    def load(cls, folder: Path) -> Calibration:
        """Read the calibration beside a model; without one, probabilities stay unchanged.

        Raises:
            WorkspaceError: If the file is damaged.
        """
        return _FILE.read(folder) if _FILE.exists(folder) else UNCALIBRATED


UNCALIBRATED = Calibration(1.0)
_FILE = FactsFile(
    CALIBRATION_FILE,
    Calibration,
    lambda: _("Probabilities are shown as the model gives them. Train again to calibrate them."),
    lambda: _("its temperature is out of range"),
)


@dataclass(frozen=True)
class ReliabilityBin:
    """Images about which a model is about equally sure.

    Args:
        confidence: How sure it is of them on average, 0-1.
        accuracy: Share of them that is right, 0-1.
        num_images: How many they are.
    """

    confidence: float
    accuracy: float
    num_images: int


def fit_temperature(probabilities: Array, truth: Array) -> Calibration:
    """Fit a temperature on validation images.

    So that few images, all of them right, do not make a model all too sure, the true class counts for
    (n + 1) / (n + 2) only, as in Platt, 1999; and with fewer than 30 images nothing is changed.

    Args:
        probabilities: What the model gives, `[num_images, num_classes]`.
        truth: The true class of each image, from 0.
    """
    num_images = len(probabilities)
    if num_images < MIN_IMAGES:
        return Calibration(1.0, num_images)
    return Calibration(_fitted(probabilities, truth), num_images)


def cross_fitted_temperatures(probabilities: Array, truth: Array, groups: Sequence[str]) -> Array | None:
    """Return for each image a temperature that was fitted without it, for measuring what a temperature brings.

    The images are drawn into up to five parts; the temperature of a part is fitted on the others (cross-fitting).
    Images of one group, such as near-duplicates, are in one part.

    Args:
        probabilities: What the model gives, `[num_images, num_classes]`.
        truth: The true class of each image, from 0.
        groups: The group of each image.

    Returns:
        `[num_images]`; None where a temperature is not fitted, or too few images are in other groups.
    """
    from sklearn.model_selection import GroupKFold

    num_parts = min(_MOST_PARTS, len(set(groups)))
    if len(probabilities) < MIN_IMAGES or num_parts < 2:
        return None
    temperatures = np.empty(len(probabilities))
    parts = GroupKFold(num_parts, shuffle=True, random_state=0)
    for others, part in parts.split(probabilities, groups=groups):
        if len(others) < MIN_IMAGES // 2:
            return None
        temperatures[part] = _fitted(probabilities[others], truth[others])
    return temperatures


def _fitted(probabilities: Array, truth: Array) -> float:
    from scipy.optimize import minimize_scalar

    num_images, num_classes = probabilities.shape
    share = (num_images + 1) / (num_images + 2)
    targets = np.full(probabilities.shape, (1 - share) / (num_classes - 1))
    targets[np.arange(num_images), truth] = share

    def loss(log_temperature: float) -> float:
        scaled = Calibration(float(np.exp(log_temperature))).apply(probabilities)
        return float(-(targets * np.log(np.maximum(scaled, _SMALLEST))).sum(axis=1).mean())

    found = minimize_scalar(loss, bounds=(np.log(_LOWEST), np.log(_HIGHEST)), method="bounded")
    return float(np.clip(np.exp(found.x), _LOWEST, _HIGHEST))


def reliability(
    confidences: Sequence[float] | Array, is_right: Sequence[bool] | Array, num_bins: int = NUM_DIAGRAM_BINS
) -> list[ReliabilityBin]:
    """Return the bins of a reliability diagram that hold any image, from unsure to sure.

    Args:
        confidences: The probability of the class that the model says, for each image.
        is_right: Whether that is the true class.
        num_bins: In how many bins of equal width 0-1 is parted.
    """
    sure, right = np.asarray(confidences, float), np.asarray(is_right, float)
    # Closed above, as in the paper: (0, 1/M], (1/M, 2/M] ...
    places = np.clip(np.ceil(sure * num_bins).astype(int) - 1, 0, num_bins - 1)
    return [
        ReliabilityBin(
            float(sure[places == place].mean()),
            float(right[places == place].mean()),
            int((places == place).sum()),
        )
        for place in np.unique(places)
    ]


def expected_calibration_error(
    confidences: Sequence[float] | Array, is_right: Sequence[bool] | Array
) -> float:
    """Return the ECE: the mean gap between how sure a model is and how often it is right, 0-1, in 15 bins."""
    bins = reliability(confidences, is_right, NUM_BINS)
    num_images = sum(one.num_images for one in bins)
    return sum(one.num_images * abs(one.accuracy - one.confidence) for one in bins) / max(num_images, 1)
