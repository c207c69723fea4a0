"""Choose a head by cross-validation on pooled features, and apply it to a training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast, get_args

import numpy as np

from transfer_core.config import Head, TrainingConfig
from transfer_core.events import HeadChosen
from transfer_core.language import _
from transfer_core.training.heads import (
    LINEAR_HEADS,
    HeadRecipe,
    LinearHeadKind,
    fit_lda,
    fit_softmax_regression,
    in_span,
    log_priors,
    log_softmax,
    one_thread,
    unit_features,
)
from transfer_core.types import Array

# Inverse of the L2 penalty for the sum of losses, on features of unit length.
STRENGTHS = (10.0, 30.0, 100.0, 300.0)
# Products of images, dimensions of their span, and classes. With more, strengths are compared on a sample of the images
# (about 800 images of 6 classes are all compared), and no softmax regression is fitted (10,000 images of 40 classes).
_MOST_PRODUCTS_COMPARED = 4e6
_MOST_PRODUCTS_FITTED = 5e8
# Lower, a difference between heads would often be chance.
_MOST_CHANCE = 0.01
# The flattened map has fifty times the inputs, so the same learning rate changes its outputs far more. Features of unit
# length need large weights.
_RATE_SHARES: dict[Head, float] = {
    "flattened_map": 0.1,
    "softmax_regression": 10.0,
    "lda": 10.0,
    "average": 10.0,
}


@dataclass(frozen=True)
class HeadChoice:
    """The result of a cross-validation of heads.

    Args:
        recipe: The head that was chosen, ready to fit.
        accuracies: Cross-validated accuracy of each kind, 0-1; empty if there were too few photos to compare.
        log_losses: Cross-validated cross-entropy of each kind; empty likewise.
        out_of_fold: Probabilities of the chosen head for each image from folds without it,
            `[num_images, num_classes]`; NaN for images in no fold. None without folds.
        folds: Fold of each image as `stratified_folds` gives it; None if there were too few photos.
    """

    recipe: HeadRecipe
    accuracies: Mapping[LinearHeadKind, float]
    log_losses: Mapping[LinearHeadKind, float]
    out_of_fold: Array | None
    folds: Array | None


def choose_head(
    features: Array,
    labels: Array,
    folds: Array | None,
    *,
    kinds: Sequence[LinearHeadKind] = LINEAR_HEADS,
    class_weights: Sequence[float] | None = None,
    on_progress: Callable[[int, int], None] = lambda num_done, num_in_all: None,
) -> HeadChoice:
    """Choose head and strength by cross-validation.

    The strength is that with the lowest log loss, and LDA gets the scale with the lowest log loss. The average of both
    heads is taken unless another is right on so many more images that chance would do it in less than 1 % of cases
    (exact McNemar test: McNemar, 1947). With too few photos for folds the average is taken without a comparison.

    It takes a fraction of the time that reading the photos took: with thousands of photos the strength is chosen on a
    sample with every class and fold, and with so many photos and classes that softmax regression would take minutes,
    LDA is taken if it is among the kinds; a single other kind gets fewer iterations. The accuracies are those of all
    photos.

    Args:
        features: Pooled features, `[num_images, num_features]`.
        labels: Class index of each image; every class from 0 on occurs.
        folds: Fold of each image as `stratified_folds` gives it; None gives no comparison.
        kinds: Heads to compare. A single one still gets strength, scale and probabilities.
        class_weights: Weight of an image of each class; None if all are equal.
        on_progress: Called with the number of folds done and the number of folds.
    """
    default = kinds[0] if len(kinds) == 1 else "average"
    if folds is None:
        return HeadChoice(HeadRecipe(default), {}, {}, None, None)
    num_folds = int(folds.max()) + 1
    strengths: tuple[float, ...] = STRENGTHS
    if "lda" in kinds and min(features.shape) * labels.max() * len(labels) > _MOST_PRODUCTS_FITTED:
        kinds, default = ("lda",), "lda"
    if tuple(kinds) == ("lda",):
        strengths = ()
    with one_thread():
        sample = _sample(features, labels, folds)
        if strengths and not sample.all():
            sampled = _OutOfFold.of(
                features[sample], labels[sample], folds[sample], class_weights, strengths, lambda done: None
            )
            strengths = (sampled.strength,)
        found = _OutOfFold.of(
            features, labels, folds, class_weights, strengths, lambda done: on_progress(done, num_folds)
        )
    scored = folds >= 0
    truth = labels[scored]
    probabilities = {kind: np.exp(log_softmax(found.logits(kind))) for kind in kinds}
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
    regression: Array | None
    lda: Array

    @classmethod
    def of(
        cls,
        features: Array,
        labels: Array,
        folds: Array,
        class_weights: Sequence[float] | None,
        strengths: Sequence[float],
        on_fold: Callable[[int], None],
    ) -> _OutOfFold:
        num_classes = int(labels.max()) + 1
        rows, _basis = in_span(np.asarray(features, np.float64))
        regressions = np.full((len(strengths), len(rows), num_classes), np.nan)
        discriminants = np.full((len(rows), num_classes), np.nan)
        priors = np.full((len(rows), num_classes), np.nan)
        for fold in range(int(folds.max()) + 1):
            inside, outside = folds == fold, folds != fold
            mean = rows[outside].mean(axis=0)
            train, validation = unit_features(rows[outside], mean), unit_features(rows[inside], mean)
            for number, strength in enumerate(strengths):
                kernel, bias = fit_softmax_regression(train, labels[outside], strength, class_weights)
                regressions[number, inside] = validation @ kernel + bias
            kernel, bias = fit_lda(train, labels[outside], features.shape[1])
            discriminants[inside] = validation @ kernel + bias
            priors[inside] = log_priors(labels[outside], class_weights)
            on_fold(fold + 1)
        scored = folds >= 0
        truth = labels[scored]
        weights = None if class_weights is None else np.asarray(class_weights)[truth]
        scale = _best_scale(discriminants[scored], priors[scored], truth, weights)
        lda = scale * discriminants + priors
        if not strengths:
            return cls(HeadRecipe.strength, scale, None, lda)
        losses = [_log_loss(logits[scored], truth, weights) for logits in regressions]
        best = int(np.argmin(losses))
        return cls(strengths[best], scale, regressions[best], lda)

    def logits(self, kind: LinearHeadKind) -> Array:
        if kind == "lda" or self.regression is None:
            return self.lda
        return self.regression if kind == "softmax_regression" else (self.regression + self.lda) / 2


def _sample(features: Array, labels: Array, folds: Array) -> Array:
    """Return whether each image is in a sample for comparisons, with equal numbers of each class in each fold."""
    most = _MOST_PRODUCTS_COMPARED / (int(labels.max()) + 1)
    size = int(max(most**0.5, most / features.shape[1]))
    if size >= len(labels):
        return np.ones(len(labels), bool)
    cells = labels * (int(folds.max()) + 2) + folds + 1
    order = np.random.default_rng(0).permutation(len(labels))
    order = order[np.argsort(cells[order], kind="stable")]
    ranks = np.empty(len(labels), int)
    ranks[order] = np.arange(len(labels)) - np.searchsorted(cells[order], cells[order])
    # With the first of each cell, every class is outside each fold.
    is_sampled: Array = ranks < max(np.sort(ranks)[size], 1)
    return is_sampled


def needs_linear_head(config: TrainingConfig) -> bool:
    """Return whether a config changes the images or the targets of a training, which a closed form cannot use."""
    changes = (config.has_augmentation, config.oversampling, config.label_smoothing, config.teacher)
    return any(changes)


def reason_against_head(config: TrainingConfig) -> str:
    """Return why the head that a config names cannot be trained with its other choices; empty if it can.

    Args:
        config: Every choice of the training. A network with random weights trains each head by steps.
    """
    if config.head not in LINEAR_HEADS or config.weights == "random" or not needs_linear_head(config):
        return ""
    return _(
        "This last layer cannot use augmentation, oversampling, label smoothing or a teacher. Switch those off, "
        "or choose the linear one."
    )


def with_head(config: TrainingConfig, head: Head) -> TrainingConfig:
    """Return the config with a head in place of `"auto"`, and a learning rate for that head."""
    rate = min(config.learning_rate * _RATE_SHARES.get(head, 1.0), 1.0)
    return config.with_changes(head=head, learning_rate=rate)


def chosen_event(time: float, choice: HeadChoice) -> HeadChosen:
    """Return the event for a choice.

    Args:
        time: In seconds since 1970.
        choice: The result of the cross-validation.
    """
    recipe = choice.recipe
    accuracies = {str(kind): share for kind, share in choice.accuracies.items()}
    return HeadChosen(time, recipe.kind, accuracies, recipe.strength, recipe.lda_scale)


def recipe_of(chosen: HeadChosen) -> HeadRecipe | None:
    """Return the recipe that an event recorded; None for a head without one."""
    if chosen.head not in get_args(LinearHeadKind) or chosen.strength is None:
        return None
    return HeadRecipe(cast(LinearHeadKind, chosen.head), chosen.strength, chosen.lda_scale)


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
