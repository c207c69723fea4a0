"""Find series: photos of one scene, taken one after the other, whose features are far closer than is usual.

The thresholds, and which series they find, are measured in docs/photo-check.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from transfer_core.types import Array

# Two photos are linked when they are at most this much of their usual distance apart.
MAX_LINK_SHARE = 0.3
# Without a limit on the mean, hundreds of links make a chain of photos that have little in common.
MAX_MEAN_SHARE = 0.4
# Where a whole class is one scene, the photos of the other classes say which distance is usual.
SHARE_OF_OTHER_CLASSES = 0.45
# A median of so many distances hardly changes with more.
_MOST_COMPARED = 1000
_DISTANCES_AT_ONCE = 4_000_000
# Clustering compares all pairs: 16 MB for so many photos. A larger chain of links is kept whole.
_MOST_CLUSTERED = 2000


def find_series(image_ids: Sequence[str], class_names: Sequence[str], features: Array) -> list[str]:
    """Return the series of each photo; photos of one series have the same class.

    The distance of two photos is 1 - cosine of their features. The usual distance of a photo is the median to its
    class, or 0.45 times the median to other classes if that is more. Two photos are linked when they are nearer than
    0.3 times the usual distance of either; linked photos are clustered by average linkage (Sokal and Michener, 1958)
    up to a mean of 0.4. The order of the photos does not matter.

    Args:
        image_ids: Id of each photo.
        class_names: Class of each photo.
        features: Pooled features of a pretrained backbone, `[photos, features]`.

    Returns:
        For each photo the id of its series, which is the least id of its photos; its own id when it is alone.
    """
    order = sorted(range(len(image_ids)), key=lambda place: image_ids[place])
    directions = _directions(np.asarray(features, dtype=np.float32)[order])
    by_class: dict[str, list[int]] = defaultdict(list)
    for row, place in enumerate(order):
        by_class[class_names[place]].append(row)
    ids = [image_ids[place] for place in order]
    series = dict(zip(ids, ids, strict=True))
    for name in sorted(by_class):
        rows = np.array(by_class[name])
        of_class = directions[rows]
        usual = _usual_distances(of_class, directions[_sample(np.setdiff1d(np.arange(len(ids)), rows))])
        for places in _clusters(of_class, usual):
            first, *others = (ids[rows[place]] for place in places)
            series |= dict.fromkeys(others, first)
    return [series[image_id] for image_id in image_ids]


def _directions(features: Array) -> Array:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    directions: Array = features / np.maximum(lengths, 1e-9)
    return directions


def _sample(rows: Array) -> Array:
    # The rows are in the order of ids, which are hashes, so the first ones are a random sample.
    return rows[:_MOST_COMPARED]


def _usual_distances(of_class: Array, of_others: Array) -> Array:
    """Return the usual distance of each photo of a class, `[photos]`."""
    if len(of_class) < 2:
        return np.zeros(len(of_class), dtype=np.float32)
    usual = _median_distances(of_class, _sample(of_class), num_nearest_left_out=1)
    if len(of_others):
        usual = np.maximum(usual, SHARE_OF_OTHER_CLASSES * _median_distances(of_class, of_others))
    return usual


def _median_distances(directions: Array, others: Array, num_nearest_left_out: int = 0) -> Array:
    num_rows = max(_DISTANCES_AT_ONCE // len(others), 1)
    medians = []
    for start in range(0, len(directions), num_rows):
        distances = np.sort(1 - directions[start : start + num_rows] @ others.T, axis=1)
        # The nearest photo of its class is the photo itself.
        medians.append(np.median(distances[:, num_nearest_left_out:], axis=1))
    return np.concatenate(medians)


def _clusters(directions: Array, usual: Array) -> list[Array]:
    """Return the places of the photos of each series, in ascending order."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    found = []
    labels = _linked_labels(directions, usual)
    for places in _groups(labels):
        if not 2 < len(places) <= _MOST_CLUSTERED:
            found.append(places)
            continue
        shares = _shares(directions, usual, places, places)
        np.fill_diagonal(shares, 0)
        tree = linkage(squareform((shares + shares.T) / 2, checks=False), "average")
        found += [places[group] for group in _groups(fcluster(tree, MAX_MEAN_SHARE, criterion="distance"))]
    return found


def _linked_labels(directions: Array, usual: Array) -> Array:
    """Return the label of each photo: photos that a chain of links connects have the same."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(directions)
    labels = np.arange(count)
    num_rows = max(_DISTANCES_AT_ONCE // count, 1)
    for start in range(0, count, num_rows):
        rows = np.arange(start, min(start + num_rows, count))
        is_near = _shares(directions, usual, rows, np.arange(start, count)) <= MAX_LINK_SHARE
        # Links of photos that are connected already are left out, so memory stays bounded.
        is_near &= labels[rows][:, None] != labels[start:][None]
        near, others = np.nonzero(is_near)
        links = np.concatenate([near + start, np.arange(count)]), np.concatenate([others + start, labels])
        graph = coo_array((np.ones(len(links[0]), dtype=bool), links), shape=(count, count))
        components = connected_components(graph, directed=False)[1]
        labels = np.unique(components, return_index=True)[1][components]
    return labels


def _shares(directions: Array, usual: Array, rows: Array, columns: Array) -> Array:
    """Return the distances of photos as shares of their usual distance, `[rows, columns]`."""
    distances = 1 - directions[rows] @ directions[columns].T
    # Pixels of one color have no direction and no usual distance: nothing is near them.
    limits = np.maximum(np.minimum(usual[rows][:, None], usual[columns][None]), 1e-9)
    shares: Array = np.maximum(distances, 0) / limits
    return shares


def _groups(labels: Array) -> list[Array]:
    """Return the places of each label that occurs more than once."""
    order = np.argsort(labels, kind="stable")
    starts = np.flatnonzero(np.diff(labels[order])) + 1
    return [places for places in np.split(order, starts) if len(places) > 1]
