"""Fit closed-form and convex heads on pooled features.

Each head takes features that are centred on the training mean and scaled to unit length: one linear layer and a
softmax. With fewer photos than features it is fitted in the span of the photos, which is exact and small. Exported
scripts include this file, so it needs NumPy, SciPy and scikit-learn alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal, cast

import numpy as np

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

    from transfer_core.types import Array

LinearHeadKind = Literal["softmax_regression", "lda", "average"]
LINEAR_HEADS: tuple[LinearHeadKind, ...] = ("softmax_regression", "lda", "average")
# Chosen most often by cross-validation, on features of unit length.
_DEFAULT_STRENGTH = 100.0
_MIN_LENGTH = 1e-6
# Products of images, features and classes in all iterations of a fit, about ten seconds. Trainings on 80 to 430 photos
# converged in 8 to 25 iterations.
_MOST_PRODUCTS_FITTED = 2e10
_FEWEST_ITERATIONS, _MOST_ITERATIONS = 20, 300
# Features that never vary would make the covariance singular.
_LEAST_SHRINKAGE = 1e-4


@dataclass(frozen=True)
class LinearHead:
    """A linear layer with softmax on features that are centred and scaled to unit length.

    Args:
        mean: Subtracted from the features, `[num_features]`.
        kernel: `[num_features, num_classes]`.
        bias: `[num_classes]`.
    """

    mean: Array
    kernel: Array
    bias: Array

    def logits(self, features: Array) -> Array:
        """Return the inputs of the softmax, `[num_images, num_classes]`, for pooled features."""
        outputs: Array = unit_features(features, self.mean) @ self.kernel + self.bias
        return outputs

    def probabilities(self, features: Array) -> Array:
        """Return the probability of each class, `[num_images, num_classes]`, for pooled features."""
        return np.exp(log_softmax(self.logits(features)))


@dataclass(frozen=True)
class HeadRecipe:
    """A kind of head with all that a cross-validation chose for it: fits the head on any photos of the dataset.

    Args:
        kind: Softmax regression, linear discriminant analysis, or the average of their logits.
        strength: Of softmax regression: inverse of the L2 penalty for the sum of losses.
        lda_scale: Factor that turns the discriminants of LDA into calibrated logits. None scales them to the spread
            of the logits of softmax regression on the same photos.
    """

    kind: LinearHeadKind = "average"
    strength: float = _DEFAULT_STRENGTH
    lda_scale: float | None = None

    def fit(
        self,
        features: Array,
        labels: Array,
        class_weights: Sequence[float] | None = None,
        num_features: int | None = None,
    ) -> LinearHead:
        """Return the head for photos.

        Args:
            features: Pooled features, `[num_images, num_features]`.
            labels: Class index of each image; every class from 0 on occurs.
            class_weights: Weight of an image of each class; None if all are equal.
            num_features: Number of features before they were put into a basis of their span, if they were.
        """
        features = np.asarray(features, np.float64)
        mean = features.mean(axis=0)
        with one_thread():
            rows, basis = in_span(unit_features(features, mean))
            kernel, bias = self._fit_rows(rows, labels, class_weights, num_features or features.shape[1])
        return LinearHead(mean, kernel if basis is None else basis @ kernel, bias)

    def _fit_rows(
        self, rows: Array, labels: Array, class_weights: Sequence[float] | None, num_features: int
    ) -> tuple[Array, Array]:
        parts: dict[str, tuple[Array, Array]] = {}
        if self.kind != "lda" or self.lda_scale is None:
            parts["softmax_regression"] = fit_softmax_regression(rows, labels, self.strength, class_weights)
        if self.kind != "softmax_regression":
            kernel, bias = fit_lda(rows, labels, num_features)
            scale = self.lda_scale
            if scale is None:
                scale = _matching_scale(rows, (kernel, bias), parts["softmax_regression"])
            parts["lda"] = scale * kernel, scale * bias + log_priors(labels, class_weights)
        if self.kind != "average":
            return parts[self.kind]
        (kernel, bias), (other_kernel, other_bias) = parts.values()
        return (kernel + other_kernel) / 2, (bias + other_bias) / 2


def unit_features(features: Array, mean: Array) -> Array:
    """Return features minus a mean, scaled to unit length, `[num_images, num_features]`."""
    centred = features - mean
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    scaled: Array = centred / np.maximum(lengths, _MIN_LENGTH)
    return scaled


def log_softmax(logits: Array) -> Array:
    """Return the logarithms of the softmax of each row."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    logs: Array = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return logs


def in_span(rows: Array) -> tuple[Array, Array | None]:
    """Return rows in an orthonormal basis of their span, and the basis; None if it would not be smaller."""
    if len(rows) >= rows.shape[1]:
        return rows, None
    basis, coordinates = np.linalg.qr(rows.T)
    return coordinates.T, basis


def fit_softmax_regression(
    rows: Array, labels: Array, strength: float, class_weights: Sequence[float] | None
) -> tuple[Array, Array]:
    """Return kernel and bias of softmax regression with an L2 penalty of the kernel.

    With many photos and classes the number of iterations is limited, so that the time is.

    Args:
        rows: Features that are centred and of unit length, perhaps in a basis of their span.
        labels: Class index of each row; every class from 0 on occurs.
        strength: Inverse of the penalty for the sum of losses.
        class_weights: Weight of an image of each class; None if all are equal.
    """
    from sklearn.linear_model import LogisticRegression

    weights = None if class_weights is None else np.asarray(class_weights)[labels]
    is_binary = labels.max() == 1
    # The gradient is a mean over images, so with many classes its entries are small from the start.
    tolerance = 1e-3 * min(5 / (labels.max() + 1), 1.0)
    num_iterations = int(_MOST_PRODUCTS_FITTED / (rows.size * (labels.max() + 1)))
    num_iterations = min(max(num_iterations, _FEWEST_ITERATIONS), _MOST_ITERATIONS)
    # For two classes scikit-learn fits one column w, which stands for two columns -w/2 and w/2: half the penalty.
    model = LogisticRegression(
        C=2 * strength if is_binary else strength, max_iter=num_iterations, tol=tolerance
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(rows, labels, sample_weight=weights)
    kernel, bias = model.coef_.T, model.intercept_
    if is_binary:
        return np.hstack([-kernel / 2, kernel / 2]), np.concatenate([-bias / 2, bias / 2])
    return kernel, bias


def fit_lda(rows: Array, labels: Array, num_features: int) -> tuple[Array, Array]:
    """Return kernel and bias of the linear discriminants, without priors.

    The shared covariance is shrunk as in Ledoit and Wolf, "A well-conditioned estimator for large-dimensional
    covariance matrices" (2004). scikit-learn's LDA takes forty times as long on 160 photos, since it works with all
    1,280 features instead of the span of the photos.
    """
    from scipy.linalg import cho_factor, cho_solve

    means = np.stack([rows[labels == label].mean(axis=0) for label in range(int(labels.max()) + 1)])
    within = rows - means[labels]
    shrinkage, variance = ledoit_wolf(within, num_features)
    if not variance:
        # One image a class: all directions count the same.
        return means.T, -0.5 * (means**2).sum(axis=1)
    covariance = (1 - shrinkage) / len(rows) * within.T @ within
    covariance[np.diag_indices_from(covariance)] += shrinkage * variance
    kernel = cho_solve(cho_factor(covariance), means.T)
    return kernel, -0.5 * (means.T * kernel).sum(axis=0)


def ledoit_wolf(centred: Array, num_features: int) -> tuple[float, float]:
    """Return the shrinkage of a covariance, 0-1, and the mean variance of a feature, from inner products.

    Args:
        centred: Rows with a mean of zero, `[num_images, num_dimensions]`, perhaps in a basis of their span.
        num_features: Number of features outside that basis.
    """
    num_images = len(centred)
    lengths = (centred**2).sum(axis=1)
    variance = lengths.sum() / num_images / num_features
    smaller = centred if len(centred) <= centred.shape[1] else centred.T
    of_covariance = ((smaller @ smaller.T) ** 2).sum() / num_images**2
    noise = ((lengths**2).sum() / num_images - of_covariance) / num_images
    spread = of_covariance - num_features * variance**2
    shrinkage = min(noise / spread, 1.0) if spread > 0 else 1.0
    return max(float(shrinkage), _LEAST_SHRINKAGE), float(variance)


def log_priors(labels: Array, class_weights: Sequence[float] | None) -> Array:
    """Return the logarithm of the share of each class, by weight."""
    counts = np.bincount(labels) * (1.0 if class_weights is None else np.asarray(class_weights))
    priors: Array = np.log(counts / counts.sum())
    return priors


def _matching_scale(rows: Array, lda: tuple[Array, Array], regression: tuple[Array, Array]) -> float:
    spreads = [
        np.std((logits := rows @ kernel + bias) - logits.mean(axis=1, keepdims=True))
        for kernel, bias in (regression, lda)
    ]
    return float(spreads[0] / max(spreads[1], 1e-12))


def one_thread() -> AbstractContextManager[object]:
    """Limit linear algebra to one thread: on small matrices, more of them wait for each other."""
    return cast("AbstractContextManager[object]", _thread_pools().limit(limits=1, user_api="blas"))


@cache
def _thread_pools() -> ThreadpoolController:
    # Finding the libraries takes milliseconds, and they must be loaded before.
    import scipy.linalg  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
