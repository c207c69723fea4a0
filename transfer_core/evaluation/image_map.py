"""A map of the images: the projection of their features onto a plane."""

from __future__ import annotations

from typing import Literal

import numpy as np

from transfer_core.errors import IngestError
from transfer_core.language import _
from transfer_core.types import Array

MapMethod = Literal["t-sne", "pca"]
MOST_IMAGES = 400

_FEWEST_IMAGES = 3
_USUAL_PERPLEXITY = 30
_DIMENSIONS_BEFORE_TSNE = 50
_SEED = 0


def lay_out(features: Array, method: MapMethod) -> Array:
    """Return a place for each image on a plane.

    Args:
        features: Pooled features, `[num_images, num_features]`, three or more images.
        method: `"pca"`, the two directions in which the features differ most (Pearson 1901), or `"t-sne"`, which
            keeps neighbours together and lets far distances go (van der Maaten and Hinton 2008). Both are
            scikit-learn's.

    Returns:
        Places in -1 to 1, `[num_images, 2]`; the same for the same features.

    Raises:
        IngestError: If there are fewer than three images.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    num_images = len(features)
    if num_images < _FEWEST_IMAGES:
        raise IngestError(_("A map needs at least three photos. Add more."))
    if not np.ptp(features, axis=0).any():
        return np.zeros((num_images, 2))
    num_dimensions = min(_DIMENSIONS_BEFORE_TSNE, num_images, features.shape[1])
    # With exact singular vectors a feature more or less moves nothing at random.
    places = PCA(num_dimensions, svd_solver="full", random_state=_SEED).fit_transform(
        features.astype(np.float64)
    )
    if method == "t-sne":
        perplexity = min(_USUAL_PERPLEXITY, (num_images - 1) / 3)
        # Measured beside other work on two cores: its threads wait for each other, and one takes a tenth of the time.
        with threadpool_limits(1):
            places = TSNE(2, perplexity=perplexity, init="pca", random_state=_SEED).fit_transform(places)
    places = places[:, :2] - places[:, :2].mean(axis=0)
    scaled: Array = places / np.abs(places).max()
    return scaled


def chosen_for_map(num_images: int) -> Array:
    """Return which images a map shows: all, or 400 of them, evenly spread.

    Args:
        num_images: How many there are.
    """
    return np.unique(np.linspace(0, num_images - 1, min(num_images, MOST_IMAGES)).round().astype(int))
