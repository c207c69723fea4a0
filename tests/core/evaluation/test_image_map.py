"""Images that are alike lie close together on the map, and the map is the same each time."""

from __future__ import annotations

import numpy as np
import pytest

from transfer_core.errors import IngestError
from transfer_core.evaluation.image_map import MOST_IMAGES, chosen_for_map, lay_out

LABELS = np.repeat([0, 1, 2], 12)


@pytest.fixture
def features() -> np.ndarray:
    """Three clouds far apart in forty dimensions."""
    random = np.random.default_rng(3)
    centres = random.normal(0, 6, (3, 40))
    return (centres[LABELS] + random.normal(0, 1, (36, 40))).astype(np.float32)


@pytest.mark.parametrize("method", ["pca", "t-sne"])
def test_neighbours_on_the_map_are_of_one_cloud(features: np.ndarray, method: str) -> None:
    places = lay_out(features, method)
    assert places.shape == (36, 2)
    assert np.abs(places).max() == pytest.approx(1)
    distances = np.linalg.norm(places[:, None] - places[None], axis=-1)
    np.fill_diagonal(distances, np.inf)
    assert (LABELS[distances.argmin(axis=1)] == LABELS).all()
    np.testing.assert_array_equal(lay_out(features, method), places)


@pytest.mark.parametrize("method", ["pca", "t-sne"])
def test_few_images_and_equal_images_have_a_map(features: np.ndarray, method: str) -> None:
    assert np.isfinite(lay_out(features[:3], method)).all()
    with pytest.raises(IngestError, match="at least three"):
        lay_out(features[:2], method)


def test_equal_images_lie_on_one_point() -> None:
    assert lay_out(np.ones((5, 8)), "pca").tolist() == [[0, 0]] * 5


def test_a_large_map_shows_some_of_all() -> None:
    chosen = chosen_for_map(10_000)
    assert len(chosen) == MOST_IMAGES and chosen[0] == 0 and chosen[-1] == 9_999
    assert chosen_for_map(5).tolist() == [0, 1, 2, 3, 4]
