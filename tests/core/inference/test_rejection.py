"""Out-of-distribution and unsure predictions are rejected, with thresholds that new familiar images pass."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT
from transfer_core.backbones.own.source_model import ArrayKind, kinds_of_arrays
from transfer_core.errors import WorkspaceError
from transfer_core.files import read_json, write_json
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


def alone(features: np.ndarray) -> list[str]:
    """Return a group of its own for each image."""
    return [str(number) for number in range(len(features))]


@pytest.fixture
def rejection(train_features) -> Rejection:
    return fit_rejection(train_features, alone(train_features))[0]


@pytest.mark.parametrize("num_images", [30, 50, 100])
def test_nine_of_ten_new_images_are_accepted_on_average(num_images: int) -> None:
    shares, others = [], []
    for seed in range(40):
        features = np.concatenate([around(0, 300, 3 * seed), around(1, 300, 3 * seed + 1)])
        features = features[np.random.default_rng(seed).permutation(600)]
        rejection, _familiarities = fit_rejection(features[:num_images], alone(features[:num_images]))
        shares.append(np.mean(rejection.familiarity(features[num_images:]) >= rejection.min_familiarity))
        others.append(np.mean(rejection.familiarity(around(5, 40, seed)) < rejection.min_familiarity))
    assert 0.9 <= np.mean(shares) <= 0.97
    assert np.mean(others) > 0.99


def test_familiarity_is_the_mean_weighted_similarity_to_three_neighbors(
    rejection, train_features, validation_features
) -> None:
    unit = [
        rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (validation_features, train_features)
    ]
    among = unit[1] @ unit[1].T - 9 * np.eye(100)
    own_distances = 1 - np.sort(among, axis=1)[:, -3:].mean(axis=1)
    weights = np.clip(np.sqrt(own_distances.mean() / own_distances), 0.4, 2.5)
    weighted = 1 - weights * (1 - unit[0] @ unit[1].T)
    expected = np.sort(weighted, axis=1)[:, -3:].mean(axis=1)
    assert rejection.familiarity(validation_features) == pytest.approx(expected, abs=2e-3)


def test_each_image_is_measured_without_its_near_duplicates(train_features) -> None:
    twice = np.concatenate([train_features, train_features])
    groups = alone(train_features)
    _rejection, expected = fit_rejection(train_features, groups)
    rejection, familiarities = fit_rejection(twice, groups * 2)
    # A duplicate makes two of three neighbors equal, and is none of its own image.
    assert np.mean(familiarities) == pytest.approx(np.mean(expected), abs=0.02)
    assert np.mean(rejection.familiarity(train_features)) > np.mean(expected) + 0.05


def test_few_images_reject_nothing(train_features) -> None:
    few = train_features[: MIN_IMAGES - 1]
    rejection, _familiarities = fit_rejection(few, alone(few))
    assert all(rejection.is_known(0.3, value) for value in rejection.familiarity(around(5, 10, 6)))


def test_the_threshold_is_the_conformal_quantile() -> None:
    rejection = Rejection(np.eye(2, dtype=np.float32))
    familiarities = np.linspace(0.01, 0.5, 50)
    # 10 % of 51 are five photos.
    assert rejection.with_familiar_share(0.9, familiarities).min_familiarity == pytest.approx(0.05)
    assert rejection.with_familiar_share(0.9, familiarities[:49]).min_familiarity == pytest.approx(0.05)
    # Of eleven images none can be rejected at 98 %.
    assert rejection.with_familiar_share(0.98, familiarities[:11]).min_familiarity == -1


def test_probabilities_below_the_minimum_are_rejected(rejection) -> None:
    rejection = rejection.with_min_probability(0.7)
    assert rejection.is_known(0.7, 1.0)
    assert not rejection.is_known(0.69, 1.0)
    assert rejection.is_known(0.9, None)


def test_a_share_of_one_rejects_nothing(rejection, validation_features) -> None:
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


def test_save_and_load(tmp_path: Path, rejection) -> None:
    rejection.save(tmp_path)
    rejection.with_min_probability(0.6).save_thresholds(tmp_path)
    loaded = Rejection.load(tmp_path)
    assert loaded is not None
    assert (loaded.min_probability, loaded.min_familiarity) == (0.6, rejection.min_familiarity)
    np.testing.assert_array_equal(loaded.bank, rejection.bank)
    np.testing.assert_array_equal(loaded.weights, rejection.weights)
    assert Rejection.load(tmp_path / "elsewhere") is None


def test_a_run_without_weights_answers_as_before(tmp_path: Path, train_features, validation_features) -> None:
    bank = train_features / np.linalg.norm(train_features, axis=1, keepdims=True)
    np.savez_compressed(tmp_path / BANK_FILE, bank=bank.astype(np.float16))
    thresholds = {"min_familiarity": 0.5, "familiar_share": 0.95, "min_probability": 0.0, "num_neighbors": 3}
    write_json(tmp_path / REJECTION_FILE, {"method": "nearest_neighbors_cosine", **thresholds})
    loaded = Rejection.load(tmp_path)
    assert loaded is not None
    units = validation_features / np.linalg.norm(validation_features, axis=1, keepdims=True)
    expected = np.sort(units @ bank.astype(np.float16).T, axis=1)[:, -3:].mean(axis=1)
    assert loaded.familiarity(validation_features) == pytest.approx(expected, abs=1e-6)
    loaded.save_thresholds(tmp_path)
    assert read_json(tmp_path / REJECTION_FILE)["method"] == "nearest_neighbors_cosine"


@pytest.mark.parametrize("name", [REJECTION_FILE, BANK_FILE])
def test_damaged_files_raise(tmp_path: Path, rejection, name: str) -> None:
    rejection.save(tmp_path)
    (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(WorkspaceError):
        Rejection.load(tmp_path)


def test_a_bank_that_is_deleted_while_it_is_read_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rejection
) -> None:
    rejection.save(tmp_path)

    def delete_first(path: Path) -> dict[str, ArrayKind]:
        path.unlink()
        return kinds_of_arrays(path)

    monkeypatch.setattr("transfer_core.inference.rejection.kinds_of_arrays", delete_first)
    with pytest.raises(WorkspaceError, match="it is missing"):
        Rejection.load(tmp_path)


def test_missing_weights_raise(tmp_path: Path, rejection) -> None:
    rejection.save(tmp_path)
    np.savez_compressed(tmp_path / BANK_FILE, bank=rejection.bank.astype(np.float16))
    with pytest.raises(WorkspaceError):
        Rejection.load(tmp_path)


def test_a_threshold_that_is_no_number_raises(tmp_path: Path, rejection) -> None:
    rejection.save(tmp_path)
    facts = json.loads((tmp_path / REJECTION_FILE).read_text())
    (tmp_path / REJECTION_FILE).write_text(json.dumps({**facts, "min_familiarity": "low"}))
    with pytest.raises(WorkspaceError):
        Rejection.load(tmp_path)


def test_the_bank_holds_at_most_2000_images() -> None:
    features = around(0, 2500, 7)
    rejection, familiarities = fit_rejection(features, alone(features))
    assert (rejection.bank.shape, familiarities.shape) == ((2000, 16), (2500,))
