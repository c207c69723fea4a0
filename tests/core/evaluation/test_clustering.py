"""Photos that look alike are in one cluster, and the number of clusters fits them."""

import numpy as np
import pytest

from transfer_core.evaluation.clustering import MOST_CLUSTERS, cluster


def blobs(num_blobs: int, num_each: int = 12, spread: float = 0.2, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Features around directions that have nothing in common, and the blob of each."""
    generator = np.random.default_rng(seed)
    centers = np.eye(64)[:num_blobs] * 5
    truth = np.repeat(np.arange(num_blobs), num_each)
    return centers[truth] + generator.normal(0, spread, (len(truth), 64)), truth


@pytest.mark.parametrize("num_blobs", range(2, 9))
def test_the_number_of_clusters_is_found(num_blobs: int) -> None:
    features, truth = blobs(num_blobs)
    found = cluster(features)
    pairs = set(zip(found.labels.tolist(), truth.tolist(), strict=True))
    assert len(pairs) == num_blobs
    assert (found.silhouettes > 0.5).all()


@pytest.mark.parametrize("wanted", [1, 3, 6])
def test_the_number_of_clusters_can_be_given(wanted: int) -> None:
    assert set(cluster(blobs(3)[0], wanted).labels.tolist()) == set(range(wanted))


def test_the_largest_cluster_is_first_and_a_repetition_is_equal() -> None:
    features, truth = blobs(3)
    features = features[truth != 2][:-4]
    found, again = cluster(features, 2), cluster(features, 2)
    assert np.bincount(found.labels).tolist() == [12, 8]
    assert (found.labels == again.labels).all() and (found.silhouettes == again.silhouettes).all()


@pytest.mark.parametrize("num_photos", [1, 2, 3, 4, 5, 7])
def test_a_few_photos_are_clustered_too(num_photos: int) -> None:
    found = cluster(blobs(3)[0][:num_photos])
    assert len(found.labels) == len(found.silhouettes) == num_photos
    assert set(found.labels.tolist()) == set(range(found.labels.max() + 1))


def test_equal_photos_are_one_cluster() -> None:
    assert set(cluster(np.ones((9, 64))).labels.tolist()) == {0}
    assert set(cluster(np.ones((9, 64)), 5).labels.tolist()) == {0}


def test_more_clusters_than_photos_or_than_the_limit() -> None:
    features = np.random.default_rng(0).normal(size=(60, 64))
    assert cluster(features[:4], 10).labels.max() == 3
    assert cluster(features, 55).labels.max() == MOST_CLUSTERS - 1


def test_a_photo_between_two_clusters_has_a_low_silhouette() -> None:
    features, _truth = blobs(2)
    between = features[[0, -1]].mean(axis=0, keepdims=True)
    found = cluster(np.concatenate([features, between]), 2)
    assert found.silhouettes.argmin() == len(features)


def test_thousands_are_compared_with_the_centres_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    features, _truth = blobs(4)
    exact = cluster(features)
    monkeypatch.setattr("transfer_core.evaluation.clustering._MOST_PHOTOS_COMPARED", 10)
    found = cluster(features)
    assert (found.labels == exact.labels).all()
    assert (found.silhouettes > 0.5).all()
