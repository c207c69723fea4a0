"""Temperature scaling recovers a known temperature, and changes nothing with few photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from transfer_core.errors import WorkspaceError
from transfer_core.inference.calibration import (
    CALIBRATION_FILE,
    MIN_IMAGES,
    UNCALIBRATED,
    Calibration,
    cross_fitted_temperatures,
    expected_calibration_error,
    fit_temperature,
    reliability,
)


def softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def alone(probabilities: np.ndarray) -> list[str]:
    """Return a group of its own for each image."""
    return [str(number) for number in range(len(probabilities))]


def drawn(temperature: float, num_images: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities of logits that are `temperature` times too large, and the true classes."""
    draws = np.random.default_rng(3)
    logits = draws.normal(0, 2, (num_images, 4))
    truth = np.array([draws.choice(4, p=row) for row in softmax(logits)])
    return softmax(logits * temperature), truth


@pytest.mark.parametrize("temperature", [0.5, 2.5])
def test_a_known_temperature_is_found(temperature: float) -> None:
    probabilities, truth = drawn(temperature)
    calibration = fit_temperature(probabilities, truth, alone(probabilities))
    assert calibration.temperature == pytest.approx(temperature, rel=0.06)
    assert calibration.num_images == 4000


def test_scaling_lowers_the_ece_and_keeps_the_predicted_class() -> None:
    probabilities, truth = drawn(2.5)
    scaled = fit_temperature(probabilities, truth, alone(probabilities)).apply(probabilities)
    assert (scaled.argmax(axis=1) == probabilities.argmax(axis=1)).all()
    assert scaled.sum(axis=1) == pytest.approx(1)
    is_right = probabilities.argmax(axis=1) == truth
    before = expected_calibration_error(probabilities.max(axis=1), is_right)
    after = expected_calibration_error(scaled.max(axis=1), is_right)
    assert before > 0.1
    assert after < 0.02


def test_cross_fitted_temperatures_never_use_the_own_group() -> None:
    probabilities, truth = drawn(2.5, 100)
    groups = [str(number // 2) for number in range(100)]
    temperatures = cross_fitted_temperatures(probabilities, truth, groups)
    assert temperatures is not None
    assert len(np.unique(temperatures)) == 5
    assert (temperatures[::2] == temperatures[1::2]).all()
    # Changing the labels of one fold changes the temperatures of the others, never its own.
    fold = temperatures == temperatures[0]
    other = np.where(fold, (truth + 1) % 4, truth)
    changed = cross_fitted_temperatures(probabilities, other, groups)
    assert changed is not None
    assert (changed[fold] == temperatures[fold]).all()
    assert (changed[~fold] != temperatures[~fold]).all()


def test_no_cross_fitting_with_too_few_images_or_groups() -> None:
    probabilities, truth = drawn(2.5, MIN_IMAGES)
    alone = [str(number) for number in range(MIN_IMAGES)]
    assert cross_fitted_temperatures(probabilities, truth, alone) is not None
    assert cross_fitted_temperatures(probabilities[1:], truth[1:], alone[1:]) is None
    assert cross_fitted_temperatures(probabilities, truth, ["all"] * MIN_IMAGES) is None
    assert cross_fitted_temperatures(probabilities, truth, ["one", *["other"] * (MIN_IMAGES - 1)]) is None


@pytest.mark.parametrize("num_images", [40, 200, 1000])
def test_a_calibrated_model_nearly_always_keeps_temperature_one(num_images: int) -> None:
    probabilities, truth = drawn(1.0)
    starts = range(0, 4000, num_images)
    kept = [
        fit_temperature(probabilities[rows], truth[rows], alone(probabilities[rows])).temperature == 1.0
        for rows in (slice(start, start + num_images) for start in starts)
    ]
    assert np.mean(kept) >= 0.9


def test_copies_of_a_photo_are_no_evidence() -> None:
    probabilities, truth = drawn(1.15, 60)
    copies = np.repeat(np.arange(60), 50)
    groups = [str(number) for number in copies]
    alone_ = alone(copies)
    assert fit_temperature(probabilities[copies], truth[copies], alone_).temperature != 1.0
    assert fit_temperature(probabilities[copies], truth[copies], groups).temperature == 1.0


def test_few_photos_keep_temperature_one() -> None:
    probabilities, truth = drawn(2.5, MIN_IMAGES - 1)
    calibration = fit_temperature(probabilities, truth, alone(probabilities))
    assert calibration.temperature == 1.0
    assert calibration.apply(probabilities) is probabilities


def test_an_accuracy_of_one_does_not_give_certainty() -> None:
    probabilities = np.tile([0.8, 0.1, 0.1], (MIN_IMAGES, 1))
    truth = np.zeros(MIN_IMAGES, int)
    scaled = fit_temperature(probabilities, truth, alone(probabilities)).apply(probabilities)
    # With 30 of 30 correct, the expected accuracy is 31 of 32.
    assert scaled[0, 0] == pytest.approx((MIN_IMAGES + 1) / (MIN_IMAGES + 2), abs=0.005)


def test_ece_by_hand() -> None:
    confidences = [0.95, 0.95, 0.55, 0.55]
    is_right = [True, True, True, False]
    assert expected_calibration_error(confidences, is_right) == pytest.approx(
        0.5 * (1 - 0.95) + 0.5 * (0.55 - 0.5)
    )
    middle, highest = reliability(confidences, is_right)
    assert (middle.confidence, middle.accuracy, middle.num_images) == (pytest.approx(0.55), 0.5, 2)
    assert (highest.confidence, highest.accuracy, highest.num_images) == (pytest.approx(0.95), 1.0, 2)


def test_a_probability_of_exactly_one_has_a_bin() -> None:
    assert reliability([1.0, 0.0], [True, False])[-1].num_images == 1


def test_save_and_load(tmp_path: Path) -> None:
    Calibration(1.7, 40).save(tmp_path)
    assert Calibration.load(tmp_path) == Calibration(1.7, 40)
    assert Calibration.load(tmp_path / "elsewhere") == UNCALIBRATED


@pytest.mark.parametrize("content", ["{", "[]", '{"temperature": "hot"}', '{"temperature": 1e9}'])
def test_a_damaged_file_raises(tmp_path: Path, content: str) -> None:
    (tmp_path / CALIBRATION_FILE).write_text(content)
    with pytest.raises(WorkspaceError):
        Calibration.load(tmp_path)
