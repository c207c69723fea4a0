"""Cluster photos by their features, for piles of photos that look alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from transfer_core.types import Array

MOST_CLUSTERS = 30
# Measured on three public photo sets of five and six classes: piles of a dozen are purer than fewer, larger ones.
_MOST_CLUSTERS_TRIED = 12
_FEWEST_PHOTOS_A_CLUSTER = 3
# On more photos the silhouette, which compares all pairs, would take minutes.
_MOST_PHOTOS_COMPARED = 2_000
_NUM_DIMENSIONS = 16
_NUM_STARTS = 5
_SEED = 0


@dataclass(frozen=True)
class Clusters:
    """The cluster of each photo.

    Args:
        labels: Of each photo, from 0, the largest cluster first.
        silhouettes: -1 to 1: how much nearer a photo is to its own cluster than to the next one (Rousseeuw, 1987).
            Below 0 it is nearer to the other one.
    """

    labels: Array
    silhouettes: Array


def cluster(features: Array, num_clusters: int | None = None) -> Clusters:
    """Cluster photos with k-means on the directions of their features.

    Args:
        features: Pooled features, `[num_photos, num_features]`; at least one photo.
        num_clusters: 1-30; as many as give the largest mean silhouette, from 2 to 12, if not given. Fewer for a few
            photos.

    Returns:
        The same clusters for the same features.
    """
    from threadpoolctl import threadpool_limits

    points = _directions(features)
    num_different = len(np.unique(points, axis=0))
    most = max(min(num_different, len(points) // _FEWEST_PHOTOS_A_CLUSTER), 1)
    if num_clusters is None:
        counts = list(range(2, min(most, _MOST_CLUSTERS_TRIED) + 1)) or [1]
    else:
        counts = [min(num_clusters, num_different, MOST_CLUSTERS)]
    # Its threads wait for each other beside a training.
    with threadpool_limits(1):
        return max((_clusters(points, count) for count in counts), key=lambda found: found.silhouettes.mean())


def _directions(features: Array) -> Array:
    """Return a point of at most 16 dimensions for each photo: centred, of unit length, then the main components."""
    from sklearn.decomposition import PCA

    centred = features.astype(np.float64) - features.mean(axis=0)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    units: Array = centred / np.maximum(lengths, 1e-12)
    if not np.ptp(units, axis=0).any():
        return units
    num_dimensions = min(_NUM_DIMENSIONS, *units.shape)
    # Rounded, so that copies of a photo are the same point.
    points: Array = PCA(num_dimensions, svd_solver="full").fit_transform(units).round(9)
    return points


def _clusters(points: Array, num_clusters: int) -> Clusters:
    from sklearn.cluster import KMeans

    if num_clusters == 1:
        return Clusters(np.zeros(len(points), int), np.zeros(len(points)))
    found = KMeans(num_clusters, n_init=_NUM_STARTS, random_state=_SEED).fit(points)
    order = np.argsort(-np.bincount(found.labels_, minlength=num_clusters), kind="stable")
    labels = np.argsort(order)[found.labels_]
    return Clusters(labels, _silhouettes(points, labels, found.cluster_centers_[order]))


def _silhouettes(points: Array, labels: Array, centers: Array) -> Array:
    """Return the silhouette of each photo; with thousands of photos, from the centres of the clusters instead."""
    from sklearn.metrics import silhouette_samples

    num_clusters = len(np.unique(labels))
    if 1 < num_clusters < len(points) <= _MOST_PHOTOS_COMPARED:
        silhouettes: Array = silhouette_samples(points, labels)
        return silhouettes
    distances = np.linalg.norm(points[:, None] - centers, axis=2)
    own = distances[np.arange(len(points)), labels]
    distances[np.arange(len(points)), labels] = np.inf
    other = distances.min(axis=1)
    simplified: Array = (other - own) / np.maximum(np.maximum(own, other), 1e-12)
    return simplified
