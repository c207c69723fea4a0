"""What is unlike everything learned is refused, and the thresholds come from the validation images."""

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
    """Features near one axis of a space of 16."""
    features = np.random.default_rng(seed).normal(0, 0.15, (count, 16))
    features[:, direction] += 1
    return features * np.random.default_rng(seed).uniform(1, 9, (count, 1))


@pytest.fixture
def learned() -> np.ndarray:
    return np.concatenate([around(0, 50, 1), around(1, 50, 2)])


@pytest.fixture
def checked() -> np.ndarray:
    return np.concatenate([around(0, 50, 3), around(1, 50, 4)])


def test_keeps_the_share_it_promises_and_refuses_the_rest(learned, checked) -> None:
    rejection = fit_rejection(learned, checked)
    known = [rejection.is_known(1.0, value) for value in rejection.familiarity(checked)]
    assert 0.95 <= np.mean(known) <= 0.96
    others = rejection.familiarity(around(5, 40, 5))
    assert not any(rejection.is_known(1.0, value) for value in others)


def test_familiarity_is_the_mean_cosine_to_the_three_nearest(learned, checked) -> None:
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (checked, learned)]
    expected = np.sort(unit[0] @ unit[1].T, axis=1)[:, -3:].mean(axis=1)
    assert fit_rejection(learned, checked).familiarity(checked) == pytest.approx(expected, abs=2e-3)


def test_few_validation_images_refuse_nothing(learned, checked) -> None:
    rejection = fit_rejection(learned, checked[: MIN_IMAGES - 1])
    assert all(rejection.is_known(0.3, value) for value in rejection.familiarity(around(5, 10, 6)))


def test_an_answer_that_is_not_sure_enough_is_not_given(learned, checked) -> None:
    rejection = fit_rejection(learned, checked).sure_above(0.7)
    assert rejection.is_known(0.7, 1.0)
    assert not rejection.is_known(0.69, 1.0)
    assert rejection.is_known(0.9, None)


def test_never_refuse_can_be_chosen(learned, checked) -> None:
    rejection = fit_rejection(learned, checked)
    never = rejection.keeping(1.0, rejection.familiarity(checked))
    assert never.is_known(0.1, -0.99)


def test_equally_familiar_photos_are_kept_together() -> None:
    familiarities = np.array([0.3, *[0.5, 0.500009] * 20, *np.linspace(0.6, 0.9, 59)], np.float32)
    rejection = Rejection(np.eye(2, dtype=np.float32)).keeping(0.75, familiarities)
    assert sum(rejection.is_known(1.0, float(value)) for value in familiarities) == 99
    # What is stored as text and read back is the same limit for the same photo.
    assert rejection.is_known(1.0, float(f"{familiarities[1]:.9g}"))


def test_exports_allow_the_same_tolerance() -> None:
    files = ROOT / "transfer_core" / "export" / "bundle_files"
    for name in ("predict.py", "web/model.js"):
        (found,) = re.findall(r"TOLERANCE = (1e-\d+)", (files / name).read_text("utf-8"))
        assert float(found) == TOLERANCE


def test_is_kept_beside_the_model_without_pickle(tmp_path: Path, learned, checked) -> None:
    rejection = fit_rejection(learned, checked)
    rejection.save(tmp_path)
    rejection.sure_above(0.6).save_thresholds(tmp_path)
    loaded = Rejection.load(tmp_path)
    assert loaded is not None
    assert (loaded.min_probability, loaded.min_familiarity) == (0.6, rejection.min_familiarity)
    np.testing.assert_array_equal(loaded.bank, rejection.bank)
    assert Rejection.load(tmp_path / "elsewhere") is None


@pytest.mark.parametrize("name", [REJECTION_FILE, BANK_FILE])
def test_damaged_files_are_told(tmp_path: Path, learned, checked, name: str) -> None:
    fit_rejection(learned, checked).save(tmp_path)
    (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(WorkspaceError):
        Rejection.load(tmp_path)


def test_a_threshold_that_is_no_number_is_told(tmp_path: Path, learned, checked) -> None:
    fit_rejection(learned, checked).save(tmp_path)
    facts = json.loads((tmp_path / REJECTION_FILE).read_text())
    (tmp_path / REJECTION_FILE).write_text(json.dumps({**facts, "min_familiarity": "low"}))
    with pytest.raises(WorkspaceError):
        Rejection.load(tmp_path)


def test_a_large_training_set_is_kept_small(checked) -> None:
    rejection = fit_rejection(np.concatenate([around(0, 2500, 7)]), checked)
    assert rejection.bank.shape == (2000, 16)
