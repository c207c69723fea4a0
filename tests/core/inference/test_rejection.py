"""Out-of-distribution and unsure predictions are rejected, with thresholds fitted on validation images."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT
from transfer_core.errors import WorkspaceError
from transfer_core.inference.rejection import (
    BANK_FILE,
    MIN_IMAGES,
    REJECTION_FILE,
    TOLERANCE,
    Rejection,
    fit_rejection,
)


def around(direction: int, count: int, seed: int) -> np.ndarray:
    """Return 16-dimensional features near one axis."""
    features = np.random.default_rng(seed).normal(0, 0.15, (count, 16))
    features[:, direction] += 1
    return features * np.random.default_rng(seed).uniform(1, 9, (count, 1))


@pytest.fixture
def train_features() -> np.ndarray:
    return np.concatenate([around(0, 50, 1), around(1, 50, 2)])


@pytest.fixture
def validation_features() -> np.ndarray:
    return np.concatenate([around(0, 50, 3), around(1, 50, 4)])


def test_accepts_the_set_share_and_rejects_unfamiliar_images(train_features, validation_features) -> None:
    rejection = fit_rejection(train_features, validation_features)
    known = [rejection.is_known(1.0, value) for value in rejection.familiarity(validation_features)]
    assert 0.95 <= np.mean(known) <= 0.96
    others = rejection.familiarity(around(5, 40, 5))
    assert not any(rejection.is_known(1.0, value) for value in others)


def test_familiarity_is_the_mean_cosine_similarity_to_three_neighbors(
    train_features, validation_features
) -> None:
    unit = [
        rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (validation_features, train_features)
    ]
    expected = np.sort(unit[0] @ unit[1].T, axis=1)[:, -3:].mean(axis=1)
    assert fit_rejection(train_features, validation_features).familiarity(
        validation_features
    ) == pytest.approx(expected, abs=2e-3)


def test_few_validation_images_reject_nothing(train_features, validation_features) -> None:
    rejection = fit_rejection(train_features, validation_features[: MIN_IMAGES - 1])
    assert all(rejection.is_known(0.3, value) for value in rejection.familiarity(around(5, 10, 6)))


def test_probabilities_below_the_minimum_are_rejected(train_features, validation_features) -> None:
    rejection = fit_rejection(train_features, validation_features).with_min_probability(0.7)
    assert rejection.is_known(0.7, 1.0)
    assert not rejection.is_known(0.69, 1.0)
    assert rejection.is_known(0.9, None)


def test_a_share_of_one_rejects_nothing(train_features, validation_features) -> None:
    rejection = fit_rejection(train_features, validation_features)
    accepting = rejection.with_familiar_share(1.0, rejection.familiarity(validation_features))
    assert accepting.is_known(0.1, -0.99)


def test_equal_familiarities_are_accepted_together() -> None:
    familiarities = np.array([0.3, *[0.5, 0.500009] * 20, *np.linspace(0.6, 0.9, 59)], np.float32)
    rejection = Rejection(np.eye(2, dtype=np.float32)).with_familiar_share(0.75, familiarities)
    assert sum(rejection.is_known(1.0, float(value)) for value in familiarities) == 99
    # Rounding by a round trip through text does not reject an accepted photo.
    assert rejection.is_known(1.0, float(f"{familiarities[1]:.9g}"))


def test_exports_allow_the_same_tolerance() -> None:
    files = ROOT / "transfer_core" / "export" / "bundle_files"
    for name in ("predict.py", "web/model.js"):
        (found,) = re.findall(r"TOLERANCE = (1e-\d+)", (files / name).read_text("utf-8"))
        assert float(found) == TOLERANCE


def test_save_and_load(tmp_path: Path, train_features, validation_features) -> None:
    rejection = fit_rejection(train_features, validation_features)
    rejection.save(tmp_path)
    rejection.with_min_probability(0.6).save_thresholds(tmp_path)
    loaded = Rejection.load(tmp_path)
    assert loaded is not None
    assert (loaded.min_probability, loaded.min_familiarity) == (0.6, rejection.min_familiarity)
    np.testing.assert_array_equal(loaded.bank, rejection.bank)
    assert Rejection.load(tmp_path / "elsewhere") is None


@pytest.mark.parametrize("name", [REJECTION_FILE, BANK_FILE])
def test_damaged_files_raise(tmp_path: Path, train_features, validation_features, name: str) -> None:
    fit_rejection(train_features, validation_features).save(tmp_path)
    (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(WorkspaceError):
        Rejection.load(tmp_path)


def test_a_threshold_that_is_no_number_raises(tmp_path: Path, train_features, validation_features) -> None:
    fit_rejection(train_features, validation_features).save(tmp_path)
    facts = json.loads((tmp_path / REJECTION_FILE).read_text())
    (tmp_path / REJECTION_FILE).write_text(json.dumps({**facts, "min_familiarity": "low"}))
    with pytest.raises(WorkspaceError):
        Rejection.load(tmp_path)


def test_the_bank_holds_at_most_2000_images(validation_features) -> None:
    rejection = fit_rejection(np.concatenate([around(0, 2500, 7)]), validation_features)
    assert rejection.bank.shape == (2000, 16)
