"""The learning-rate finder: a curve over growing rates, and a rate at which the loss still falls."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from transfer_core.backbones.registry import get_backbone
from transfer_core.errors import IngestError
from transfer_core.training.features.feature_cache import FeaturesStoppedError
from transfer_core.training.rate_finder import find_learning_rate, rate_curve

TINY = get_backbone("tiny_random")
RATES = np.geomspace(1e-6, 1, 100).tolist()


def test_suggestion_is_well_before_the_loss_rises() -> None:
    losses = [1.0 + min(0.0, -0.2 * (math.log10(rate) + 4)) + 50 * max(0.0, rate - 0.05) for rate in RATES]
    curve = rate_curve(RATES, losses)
    assert 1e-3 < curve.suggestion < 0.05


def test_curve_ends_where_the_losses_end() -> None:
    curve = rate_curve(RATES, [1.0, 0.9, 0.8])
    assert curve.rates == tuple(RATES[:3])
    assert curve.losses == pytest.approx((1.0, 0.9474, 0.8930), abs=1e-3)


def test_without_a_loss_the_lowest_rate_is_suggested() -> None:
    assert rate_curve(RATES, []).suggestion == RATES[0]


def test_of_a_real_training(color_dataset, tiny_config, tmp_path) -> None:
    curve = find_learning_rate(color_dataset, tiny_config, TINY, tmp_path)
    assert 20 < len(curve.rates) == len(curve.losses) <= 100
    assert all(lower < higher for lower, higher in pairwise(curve.rates))
    assert min(curve.losses) < curve.losses[0]
    assert 1e-4 < curve.suggestion <= 0.1
    assert curve == find_learning_rate(color_dataset, tiny_config, TINY, tmp_path)


def test_stops_on_request(color_dataset, tiny_config, tmp_path) -> None:
    with pytest.raises(FeaturesStoppedError):
        find_learning_rate(color_dataset, tiny_config, TINY, tmp_path, should_stop=lambda: True)


def test_stops_between_two_steps(color_dataset, tiny_config, tmp_path) -> None:
    photos, steps = [], []
    with pytest.raises(FeaturesStoppedError):
        find_learning_rate(
            color_dataset,
            tiny_config,
            TINY,
            tmp_path,
            on_features=lambda *done: photos.append(done),
            on_step=lambda *done: steps.append(done),
            should_stop=lambda: len(steps) == 3,
        )
    assert photos[-1] == (24, 24)
    assert steps == [(1, 100), (2, 100), (3, 100)]


def test_one_class_is_rejected(color_dataset, tiny_config, tmp_path) -> None:
    images = [image for image in color_dataset.images if image.class_name == "red"]
    with pytest.raises(IngestError):
        find_learning_rate(color_dataset.with_images(images, ()), tiny_config, TINY, tmp_path)
