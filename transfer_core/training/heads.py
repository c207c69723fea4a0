"""Fit closed-form and convex heads on pooled features, and choose among them by cross-validation.

Each head takes features that are centred on the training mean and scaled to unit length: one linear layer and a
softmax. With fewer photos than features all of this is done in the span of the photos, which is exact and small.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np

from transfer_core.types import Array

LinearHeadKind = Literal["softmax_regression", "lda", "average"]
LINEAR_HEADS: tuple[LinearHeadKind, ...] = ("softmax_regression", "lda", "average")
NUM_FOLDS = 5
# Photos on which strength and scale are chosen; more would change neither.
MOST_COMPARED = 1500
# Inverse of the L2 penalty for the sum of losses, on features of unit length.
STRENGTHS = (10.0, 30.0, 100.0, 300.0)
_DEFAULT_STRENGTH = 100.0
# Lower, a difference between heads would often be chance.
_MOST_CHANCE = 0.01
_MIN_LENGTH = 1e-6
# Features that never vary would make the covariance singular.
_LEAST_SHRINKAGE = 1e-4
_MIN_PROBABILITY = 1e-30


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

    def fit(self, features: Array, labels: Array, class_weights: Sequence[float] | None = None) -> LinearHead:
        """Return the head for photos.

        Args:
            features: Pooled features, `[num_images, num_features]`.
            labels: Class index of each image; every class from 0 on occurs.
            class_weights: Weight of an image of each class; None if all are equal.
        """
        features = np.asarray(features, np.float64)
        mean = features.mean(axis=0)
        with _one_thread():
            rows, basis = _span(unit_features(features, mean))
            kernel, bias = self._fit_rows(rows, labels, class_weights, features.shape[1])
        return LinearHead(mean, kernel if basis is None else basis @ kernel, bias)

    def _fit_rows(
        self, rows: Array, labels: Array, class_weights: Sequence[float] | None, num_features: int
    ) -> tuple[Array, Array]:
        parts: dict[str, tuple[Array, Array]] = {}
        if self.kind != "lda" or self.lda_scale is None:
            parts["softmax_regression"] = _softmax_regression(rows, labels, self.strength, class_weights)
        if self.kind != "softmax_regression":
            kernel, bias = _lda(rows, labels, num_features)
            scale = self.lda_scale
            if scale is None:
                scale = _matching_scale(rows, (kernel, bias), parts["softmax_regression"])
            parts["lda"] = scale * kernel, scale * bias + _log_priors(labels, class_weights)
        if self.kind != "average":
            return parts[self.kind]
        (kernel, bias), (other_kernel, other_bias) = parts.values()
        return (kernel + other_kernel) / 2, (bias + other_bias) / 2


@dataclass(frozen=True)
class HeadChoice:
    """The result of a cross-validation of heads.

    Args:
        recipe: The head that was chosen, ready to fit.
        accuracies: Cross-validated accuracy of each kind, 0-1; empty if there were too few photos to compare.
        log_losses: Cross-validated cross-entropy of each kind; empty likewise.
        out_of_fold: Probabilities of the chosen head for each image from folds without it,
            `[num_images, num_classes]`; NaN for images in no fold. None without folds.
        folds: Fold of each image as `folds_of` gives it; None if there were too few photos.
    """

    recipe: HeadRecipe
    accuracies: Mapping[LinearHeadKind, float]
    log_losses: Mapping[LinearHeadKind, float]
    out_of_fold: Array | None
    folds: Array | None


def folds_of(
    labels: Array, groups: Sequence[str] | Array, seed: int, num_folds: int = NUM_FOLDS
) -> Array | None:
    """Split images into stratified folds of groups.

    Every class occurs outside each fold. Images of a class with one group are in no fold, so that they are always
    trained on.

    Args:
        labels: Class index of each image.
        groups: Group of each image, such as near-duplicates; its images share a fold.
        seed: For the draw.
        num_folds: At least 2; fewer if there are fewer groups.

    Returns:
        Fold of each image from 0 on, -1 for none, as in scikit-learn's `PredefinedSplit`. None if fewer than half of
        the images, or fewer than two classes, could be in folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    labels = np.asarray(labels)
    _names, groups = np.unique(np.asarray(groups), return_inverse=True)
    num_groups = _groups_by_class(labels, groups)
    can_be_left_out = (num_groups >= 2)[labels]
    # A group may hold images of several classes.
    can_be_left_out &= ~np.isin(groups, groups[~can_be_left_out])
    found = np.unique(labels[can_be_left_out])
    if len(found) < 2 or can_be_left_out.mean() < 0.5:
        return None
    labels_inside, groups_inside = labels[can_be_left_out], groups[can_be_left_out]
    most = min(num_folds, len(np.unique(groups_inside)), int(np.bincount(labels_inside).max()))
    folds = np.full(len(labels), -1)
    inside = np.empty(len(labels_inside), int)
    with warnings.catch_warnings():
        # A class may have fewer images than there are folds.
        warnings.simplefilter("ignore")
        splits = StratifiedGroupKFold(most, shuffle=True, random_state=seed)
        for fold, (_others, members) in enumerate(splits.split(labels_inside, labels_inside, groups_inside)):
            inside[members] = fold
    folds[can_be_left_out] = inside
    for label in found:
        members = labels == label
        if len(np.unique(folds[members])) == 1:
            # Both of its groups were drawn into the same fold.
            first = groups == groups[members][0]
            folds[first] = (folds[members][0] + 1) % most
    return folds


def choose_head(
    features: Array,
    labels: Array,
    groups: Sequence[str] | Array,
    seed: int,
    *,
    kinds: Sequence[LinearHeadKind] = LINEAR_HEADS,
    class_weights: Sequence[float] | None = None,
    on_progress: Callable[[int, int], None] = lambda num_done, num_in_all: None,
) -> HeadChoice:
    """Choose head and strength by cross-validation.

    The strength is that with the lowest log loss, and LDA gets the scale with the lowest log loss. The average of both
    heads is taken unless another is right on so many more images that chance would do it in less than 1 % of cases
    (exact McNemar test: McNemar, 1947). With too few photos for folds the average is taken without a comparison.

    Args:
        features: Pooled features, `[num_images, num_features]`.
        labels: Class index of each image; every class from 0 on occurs.
        groups: Group of each image, such as near-duplicates.
        seed: For the folds, and the images that are compared if there are more than 1,500.
        kinds: Heads to compare. A single one still gets strength, scale and probabilities.
        class_weights: Weight of an image of each class; None if all are equal.
        on_progress: Called with the number of folds done and the number of folds.
    """
    default = kinds[0] if len(kinds) == 1 else "average"
    folds = folds_of(labels, groups, seed)
    if folds is None:
        return HeadChoice(HeadRecipe(default), {}, {}, None, None)
    num_folds = int(folds.max()) + 1
    with _one_thread():
        found = _OutOfFold.of(
            features, labels, folds, class_weights, lambda done: on_progress(done, num_folds)
        )
    scored = folds >= 0
    truth = labels[scored]
    probabilities = {kind: np.exp(log_softmax(found.logits(kind))) for kind in LINEAR_HEADS}
    is_right = {kind: probabilities[kind][scored].argmax(axis=1) == truth for kind in kinds}
    chosen = _better(is_right, default)
    return HeadChoice(
        HeadRecipe(chosen, found.strength, found.lda_scale),
        {kind: float(is_right[kind].mean()) for kind in kinds},
        {kind: _log_loss(found.logits(kind)[scored], truth) for kind in kinds},
        probabilities[chosen],
        folds,
    )


@dataclass(frozen=True)
class _OutOfFold:
    """Logits of each image from folds without it."""

    strength: float
    lda_scale: float
    regression: Array
    lda: Array

    @classmethod
    def of(
        cls,
        features: Array,
        labels: Array,
        folds: Array,
        class_weights: Sequence[float] | None,
        on_fold: Callable[[int], None],
    ) -> _OutOfFold:
        num_classes = int(labels.max()) + 1
        rows, _basis = _span(np.asarray(features, np.float64))
        regressions = np.full((len(STRENGTHS), len(rows), num_classes), np.nan)
        discriminants = np.full((len(rows), num_classes), np.nan)
        priors = np.full((len(rows), num_classes), np.nan)
        for fold in range(int(folds.max()) + 1):
            inside, outside = folds == fold, folds != fold
            mean = rows[outside].mean(axis=0)
            train, validation = unit_features(rows[outside], mean), unit_features(rows[inside], mean)
            for number, strength in enumerate(STRENGTHS):
                kernel, bias = _softmax_regression(train, labels[outside], strength, class_weights)
                regressions[number, inside] = validation @ kernel + bias
            kernel, bias = _lda(train, labels[outside], features.shape[1])
            discriminants[inside] = validation @ kernel + bias
            priors[inside] = _log_priors(labels[outside], class_weights)
            on_fold(fold + 1)
        scored = folds >= 0
        truth = labels[scored]
        weights = None if class_weights is None else np.asarray(class_weights)[truth]
        losses = [_log_loss(logits[scored], truth, weights) for logits in regressions]
        scale = _best_scale(discriminants[scored], priors[scored], truth, weights)
        best = int(np.argmin(losses))
        return cls(STRENGTHS[best], scale, regressions[best], scale * discriminants + priors)

    def logits(self, kind: LinearHeadKind) -> Array:
        if kind == "average":
            return (self.regression + self.lda) / 2
        return self.lda if kind == "lda" else self.regression


def unit_features(features: Array, mean: Array) -> Array:
    """Return features minus a mean, scaled to unit length, `[num_images, num_features]`."""
    centred = features - mean
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    scaled: Array = centred / np.maximum(lengths, _MIN_LENGTH)
    return scaled


def log_softmax(logits: Array) -> Array:
    """Return the logarithms of the softmax of each row."""
    from scipy.special import log_softmax

    return cast(Array, log_softmax(logits, axis=1))


def _span(rows: Array) -> tuple[Array, Array | None]:
    """Return rows in an orthonormal basis of their span, and the basis; None if it would not be smaller."""
    if len(rows) >= rows.shape[1]:
        return rows, None
    basis, coordinates = np.linalg.qr(rows.T)
    return coordinates.T, basis


def _softmax_regression(
    rows: Array, labels: Array, strength: float, class_weights: Sequence[float] | None
) -> tuple[Array, Array]:
    from sklearn.linear_model import LogisticRegression

    weights = None if class_weights is None else np.asarray(class_weights)[labels]
    is_binary = labels.max() == 1
    # For two classes scikit-learn fits one column w, which stands for two columns -w/2 and w/2: half the penalty.
    model = LogisticRegression(C=2 * strength if is_binary else strength, max_iter=300, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(rows, labels, sample_weight=weights)
    kernel, bias = model.coef_.T, model.intercept_
    if is_binary:
        return np.hstack([-kernel / 2, kernel / 2]), np.concatenate([-bias / 2, bias / 2])
    return kernel, bias


def _lda(rows: Array, labels: Array, num_features: int) -> tuple[Array, Array]:
    """Return kernel and bias of the linear discriminants, without priors.

    The shared covariance is shrunk as in Ledoit and Wolf, "A well-conditioned estimator for large-dimensional
    covariance matrices" (2004). scikit-learn's LDA takes seconds on 1,280 features.
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


def _log_priors(labels: Array, class_weights: Sequence[float] | None) -> Array:
    counts = np.bincount(labels) * (1.0 if class_weights is None else np.asarray(class_weights))
    log_priors: Array = np.log(counts / counts.sum())
    return log_priors


def _matching_scale(rows: Array, lda: tuple[Array, Array], regression: tuple[Array, Array]) -> float:
    spreads = [
        np.std((logits := rows @ kernel + bias) - logits.mean(axis=1, keepdims=True))
        for kernel, bias in (regression, lda)
    ]
    return float(spreads[0] / max(spreads[1], 1e-12))


def _best_scale(discriminants: Array, priors: Array, truth: Array, weights: Array | None) -> float:
    """Return the factor of the discriminants with the lowest log loss.

    The target of the true class is (n + 1) / (n + 2), as in Platt, 1999: with few images all may be right, and the best
    factor would be infinite.
    """
    from scipy.optimize import minimize_scalar

    num_images, num_classes = discriminants.shape
    likely = (num_images + 1) / (num_images + 2)
    spread = max(float(np.std(discriminants - discriminants.mean(axis=1, keepdims=True))), 1e-12)

    def loss(log_scale: float) -> float:
        logs = log_softmax(np.exp(log_scale) / spread * discriminants + priors)
        right = logs[np.arange(num_images), truth]
        wrong = (logs.sum(axis=1) - right) / (num_classes - 1)
        return -float(np.average(likely * right + (1 - likely) * wrong, weights=weights))

    return float(np.exp(minimize_scalar(loss, bounds=(-5.0, 5.0), method="bounded").x) / spread)


def _log_loss(logits: Array, truth: Array, weights: Array | None = None) -> float:
    return -float(np.average(log_softmax(logits)[np.arange(len(truth)), truth], weights=weights))


def _better(is_right: Mapping[LinearHeadKind, Array], default: LinearHeadKind) -> LinearHeadKind:
    from scipy.stats import binomtest

    best = max(is_right, key=lambda kind: is_right[kind].sum())
    wins = int((is_right[best] & ~is_right[default]).sum())
    losses = int((is_right[default] & ~is_right[best]).sum())
    if wins <= losses or binomtest(wins, wins + losses).pvalue >= _MOST_CHANCE:
        return default
    return best


def _groups_by_class(labels: Array, groups: Array) -> Array:
    pairs = np.unique(np.stack([labels, groups]), axis=1)
    return np.bincount(pairs[0], minlength=int(labels.max()) + 1)


def _one_thread() -> AbstractContextManager[object]:
    # The libraries must be loaded before they can be limited.
    import scipy.linalg  # noqa: F401
    from threadpoolctl import threadpool_limits

    return cast("AbstractContextManager[object]", threadpool_limits(1, user_api="blas"))
