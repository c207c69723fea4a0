"""Temperature scaling, and the calibration error that shows whether a model's probabilities can be trusted.

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
from transfer_core.schema import Count
from transfer_core.types import Array

CALIBRATION_FILE = "calibration.json"
# With fewer images, single photos would decide the temperature.
MIN_IMAGES = 30
NUM_BINS = 15
NUM_DIAGRAM_BINS = 10
_MIN_TEMPERATURE, _MAX_TEMPERATURE = 0.25, 10.0
_MAX_FOLDS = 5
_MIN_PROBABILITY = 1e-30
# Standard errors of the gain in log loss: the one-sided 95 % quantile of the normal distribution.
_MIN_GAIN = 1.645


class Calibration(msgspec.Struct, frozen=True):
    """Temperature scaling of probabilities. The most probable class never changes.

    Args:
        temperature: Divisor of the logits, 0.25-10: above 1 lowers confidence, below 1 raises it, 1 changes nothing.
        num_images: Number of images that the temperature was fitted on.
    """

    temperature: Annotated[float, msgspec.Meta(ge=_MIN_TEMPERATURE, le=_MAX_TEMPERATURE)]
    num_images: Count = 0

    def apply(self, probabilities: Array) -> Array:
        """Return calibrated probabilities for the model's own, both `[..., num_classes]`."""
        if self.temperature == 1.0:
            return probabilities
        logits = np.log(np.maximum(probabilities.astype(np.float64), _MIN_PROBABILITY)) / self.temperature
        raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
        scaled: Array = raised / raised.sum(axis=-1, keepdims=True)
        return scaled

    def save(self, folder: Path) -> None:
        """Write `calibration.json` into a run folder.

        Raises:
            WorkspaceError: If writing fails.
        """
        _FILE.write(folder, self)

    @classmethod
    def load(cls, folder: Path) -> Calibration:
        """Read `calibration.json` from a run folder; without the file, return a temperature of 1.

        Raises:
            WorkspaceError: If the file is damaged.
        """
        return _FILE.read(folder) if _FILE.exists(folder) else UNCALIBRATED


UNCALIBRATED = Calibration(1.0)
_FILE = FactsFile(
    CALIBRATION_FILE,
    Calibration,
    lambda: _("Probabilities are shown uncalibrated. Train again to calibrate them."),
    lambda: _("its temperature is out of range"),
)


@dataclass(frozen=True)
class ReliabilityBin:
    """One bin of a reliability diagram: images of similar confidence.

    Args:
        confidence: Mean probability of the predicted class, 0-1.
        accuracy: Share of correct predictions, 0-1.
        num_images: Number of images in the bin.
    """

    confidence: float
    accuracy: float
    num_images: int


def fit_temperature(probabilities: Array, truth: Array, groups: Sequence[str]) -> Calibration:
    """Fit a temperature where it lowers the log loss of images that it was not fitted on; otherwise it is 1.

    The temperature is cross-fitted first: the mean gain in log loss must exceed 1.645 of its standard errors, which
    chance alone reaches in one of twenty cases. The target of the true class is (n + 1) / (n + 2), as in Platt, 1999,
    so that a few correct images do not make a model overconfident.

    Args:
        probabilities: Uncalibrated, for images that the model has not learned from, `[num_images, num_classes]`.
        truth: Index of the true class of each image, `[num_images]`.
        groups: Group of each image, such as its near-duplicates.
    """
    num_images = len(probabilities)
    temperatures = cross_fitted_temperatures(probabilities, truth, groups)
    if temperatures is None or not _lowers_log_loss(probabilities, truth, groups, temperatures):
        return Calibration(1.0, num_images)
    return Calibration(_fitted(probabilities, truth), num_images)


def with_temperatures(probabilities: Array, temperatures: Array) -> Array:
    """Return calibrated probabilities, each image with a temperature of its own.

    Args:
        probabilities: Uncalibrated, `[num_images, num_classes]`.
        temperatures: One of each image, `[num_images]`.
    """
    scaled = np.array(probabilities, float)
    for temperature in np.unique(temperatures):
        rows = temperatures == temperature
        scaled[rows] = Calibration(float(temperature)).apply(probabilities[rows])
    return scaled


def cross_fitted_temperatures(probabilities: Array, truth: Array, groups: Sequence[str]) -> Array | None:
    """Return for each image a temperature fitted without it, to measure the effect of calibration.

    Cross-fitting with up to five folds: the temperature of a fold is fitted on the other folds. Images of one group,
    such as near-duplicates, share a fold.

    Args:
        probabilities: Uncalibrated, `[num_images, num_classes]`.
        truth: Index of the true class of each image, `[num_images]`.
        groups: Group of each image.

    Returns:
        `[num_images]`; None with fewer than 30 images, a single group, or fewer than 15 images outside a fold.
    """
    from sklearn.model_selection import GroupKFold

    num_folds = min(_MAX_FOLDS, len(set(groups)))
    if len(probabilities) < MIN_IMAGES or num_folds < 2:
        return None
    temperatures = np.empty(len(probabilities))
    folds = GroupKFold(num_folds, shuffle=True, random_state=0)
    for others, fold in folds.split(probabilities, groups=groups):
        if len(others) < MIN_IMAGES // 2:
            return None
        temperatures[fold] = _fitted(probabilities[others], truth[others])
    return temperatures


def _lowers_log_loss(probabilities: Array, truth: Array, groups: Sequence[str], temperatures: Array) -> bool:
    def losses(scaled: Array) -> Array:
        logs: Array = -np.log(np.maximum(scaled[np.arange(len(truth)), truth], _MIN_PROBABILITY))
        return logs

    gains = losses(probabilities) - losses(with_temperatures(probabilities, temperatures))
    # Near-duplicates gain together, so that a group counts as one observation.
    _names, places = np.unique(np.asarray(groups), return_inverse=True)
    deviations = np.bincount(places, weights=gains - gains.mean())
    return bool(gains.sum() > _MIN_GAIN * np.sqrt((deviations**2).sum()))


def _fitted(probabilities: Array, truth: Array) -> float:
    from scipy.optimize import minimize_scalar

    num_images, num_classes = probabilities.shape
    true_target = (num_images + 1) / (num_images + 2)
    targets = np.full(probabilities.shape, (1 - true_target) / (num_classes - 1))
    targets[np.arange(num_images), truth] = true_target

    def loss(log_temperature: float) -> float:
        scaled = Calibration(float(np.exp(log_temperature))).apply(probabilities)
        return float(-(targets * np.log(np.maximum(scaled, _MIN_PROBABILITY))).sum(axis=1).mean())

    found = minimize_scalar(
        loss, bounds=(np.log(_MIN_TEMPERATURE), np.log(_MAX_TEMPERATURE)), method="bounded"
    )
    return float(np.clip(np.exp(found.x), _MIN_TEMPERATURE, _MAX_TEMPERATURE))


def reliability(
    confidences: Sequence[float] | Array, is_right: Sequence[bool] | Array, num_bins: int = NUM_DIAGRAM_BINS
) -> list[ReliabilityBin]:
    """Return the non-empty bins of a reliability diagram, by rising confidence.

    Args:
        confidences: Probability of the predicted class of each image, 0-1.
        is_right: Whether each prediction is correct.
        num_bins: Number of equally wide bins in 0-1, each closed above: (0, 1/M], (1/M, 2/M] ...
    """
    confidence, right = np.asarray(confidences, float), np.asarray(is_right, float)
    bins = np.clip(np.ceil(confidence * num_bins).astype(int) - 1, 0, num_bins - 1)
    return [
        ReliabilityBin(
            float(confidence[bins == index].mean()),
            float(right[bins == index].mean()),
            int((bins == index).sum()),
        )
        for index in np.unique(bins)
    ]


def expected_calibration_error(
    confidences: Sequence[float] | Array, is_right: Sequence[bool] | Array
) -> float:
    """Return the expected calibration error (ECE), 0-1: the mean gap of confidence and accuracy over 15 bins."""
    bins = reliability(confidences, is_right, NUM_BINS)
    num_images = sum(group.num_images for group in bins)
    gaps = sum(group.num_images * abs(group.accuracy - group.confidence) for group in bins)
    return gaps / max(num_images, 1)
