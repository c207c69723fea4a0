"""Measure accuracy by number of training photos, and estimate whether more photos would help.

Everything is computed from pooled features that earlier work has cached, by fitting the head again on parts of the
photos.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Annotated, Literal

import msgspec
import numpy as np

from transfer_core.evaluation.intervals import cross_validated_interval
from transfer_core.language import _, percent
from transfer_core.training.heads import HeadRecipe, in_span, one_thread
from transfer_core.training.out_of_fold import NUM_FOLDS, stratified_folds
from transfer_core.types import Array, ShouldStop

Verdict = Literal["help", "enough", "unclear"]

_MOST_SIZES = 6
_MOST_DRAWS = 5
# Multiplications for all fits; about five seconds, where one draw of few photos needs a tenth of a second.
_MOST_PRODUCTS = 2e10
_Z = 1.96
# All folds learn from much the same photos, so their errors are alike (Bengio and Grandvalet, 2004). Over simulated
# photo sets the gain varied by up to a fifth more than over the photos of one set.
_MORE_ERROR = 1.2
# Twice the photos for less than this is not worth the work.
_LEAST_GAIN = 0.02
_GOOD_ACCURACY = 0.9
_MORE_PHOTOS = 10

_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
_Difference = Annotated[float, msgspec.Meta(ge=-1, le=1)]


class CurvePoint(msgspec.Struct, frozen=True):
    """The accuracy with a number of training photos.

    Args:
        num_images: Photos that a head learned from.
        accuracy: On photos of other folds, the mean over the draws, 0-1.
        interval: 95 % interval of the accuracy on other photos of the same kind. All points are measured on the same
            photos, so the difference of two points is more certain than their intervals suggest.
    """

    num_images: Annotated[int, msgspec.Meta(ge=1)]
    accuracy: _Share
    interval: tuple[_Share, _Share]


class LearningCurve(msgspec.Struct, frozen=True):
    """Accuracy by number of training photos.

    Args:
        points: By number of photos, each twice that before; at least two.
        num_scored: Photos that the accuracy was measured on.
        gain: Accuracy with all photos of the other folds minus that with half of them.
        gain_interval: Its 95 % confidence interval, from the differences on the same photos.
        neediest_class: The class that would gain most from ten more photos; empty where that may be chance.
    """

    points: Annotated[tuple[CurvePoint, ...], msgspec.Meta(min_length=2)]
    num_scored: int
    gain: _Difference
    gain_interval: tuple[float, float]
    neediest_class: str = ""

    @property
    def verdict(self) -> Verdict:
        """Whether more photos of the same kind would help, as far as chance allows an answer."""
        lowest, highest = self.gain_interval
        if min(highest, 1 - self.points[-1].accuracy) < _LEAST_GAIN:
            return "enough"
        return "help" if lowest > 0 else "unclear"


def learning_curve(
    features: Array,
    labels: Array,
    groups: Sequence[str] | Array,
    class_names: Sequence[str],
    recipe: HeadRecipe,
    *,
    seed: int = 0,
    on_progress: Callable[[int, int], None] = lambda num_done, num_in_all: None,
    should_stop: ShouldStop = lambda: False,
) -> LearningCurve | None:
    """Return the accuracy by number of training photos.

    In each draw the photos are split into five folds of groups. For each fold the head is fitted on nested, stratified
    parts of the other folds, and classifies the photos of the fold. There are up to three draws; with thousands of
    photos not every fold is left out, so that it takes seconds.

    Args:
        features: Pooled features, `[num_images, num_features]`.
        labels: Class index of each image; every class from 0 on occurs.
        groups: Group of each image, such as near-duplicates; its images share a fold.
        class_names: In the order of the class indices.
        recipe: The head.
        seed: For the draws.
        on_progress: Called with the number of folds done and the number of folds.
        should_stop: Called before each fold.

    Returns:
        None if there are too few photos to leave some out, or if `should_stop` returned true.
    """
    num_classes = len(class_names)
    folds = stratified_folds(labels, groups, seed, NUM_FOLDS)
    if folds is None:
        return None
    sizes = _sizes(len(labels) - int(np.bincount(folds[folds >= 0]).max()), num_classes)
    if len(sizes) < 2:
        return None
    num_parts = _num_parts(sizes, features.shape[1], num_classes)
    with one_thread():
        rows, _basis = in_span(np.asarray(features, np.float64))
        num_right = np.zeros((len(sizes), len(labels)))
        num_scored = np.zeros((len(sizes), len(labels)))
        for number, (inside, order) in enumerate(islice(_parts(labels, folds, seed), num_parts)):
            if should_stop():
                return None
            on_progress(number, num_parts)
            for place, size in enumerate(sizes):
                if size == sizes[-1] and num_scored[place, inside].any():
                    # All photos of the other folds are the same in each draw.
                    continue
                learned = order[:size]
                head = recipe.fit(rows[learned], labels[learned], num_features=features.shape[1])
                num_right[place, inside] += head.logits(rows[inside]).argmax(axis=1) == labels[inside]
                num_scored[place, inside] += 1
    scored = num_scored[0] > 0
    is_right = num_right[:, scored] / num_scored[:, scored]
    groups = np.unique(np.asarray(groups)[scored], return_inverse=True)[1]
    gains = is_right[-1] - is_right[-2]
    gain, error = _mean_and_error(gains, groups)
    margin = _Z * _MORE_ERROR * error
    return LearningCurve(
        tuple(
            CurvePoint(size, accuracy, cross_validated_interval(accuracy, int(groups.max()) + 1))
            for size, accuracy in zip(sizes, is_right.mean(axis=1).tolist(), strict=True)
        ),
        int(scored.sum()),
        gain,
        (gain - margin, gain + margin),
        _neediest_class(gains, labels[scored], groups, np.bincount(labels), class_names),
    )


def enough_sentences(curve: LearningCurve) -> list[str]:
    """Say whether more photos would help, and which class would gain most from ten more."""
    half, full = (point.accuracy for point in curve.points[-2:])
    sentences = {
        "help": _("More photos help: twice as many raised accuracy from {half} to {full}."),
        "enough": _("You have enough photos: more can hardly raise the accuracy.")
        if full >= _GOOD_ACCURACY
        else _("More photos of this kind would hardly help. Look at the mistakes first."),
        "unclear": _("It is not clear yet whether more photos would help."),
    }
    said = [sentences[curve.verdict].format(half=percent(half), full=percent(full))]
    if curve.neediest_class:
        said.append(
            _("Ten more photos of {class_name} would help most.").format(class_name=curve.neediest_class)
        )
    elif curve.verdict == "help":
        said.append(_("It is not clear which class would gain most from ten more."))
    return said


def _sizes(most: int, num_classes: int) -> list[int]:
    """Return numbers of training photos, each half of the next, with at least two photos a class."""
    sizes = [most // 2**halvings for halvings in range(_MOST_SIZES)]
    return sorted(size for size in sizes if size >= 2 * num_classes)


def _num_parts(sizes: Sequence[int], num_features: int, num_classes: int) -> int:
    num_products = 0.0
    for size in sizes:
        rank = min(size, num_features)
        # Covariance and its factors for LDA, and about thirty steps of softmax regression.
        num_products += size * rank**2 + 60 * size * rank * num_classes
    return int(np.clip(_MOST_PRODUCTS / num_products, 1, _MOST_DRAWS * NUM_FOLDS))


def _parts(labels: Array, folds: Array, seed: int) -> Iterator[tuple[Array, Array]]:
    """Yield whether each image is in a fold, and the others in an order whose every beginning is stratified."""
    draws = np.random.default_rng(seed)
    for _draw in range(_MOST_DRAWS):
        for fold in range(int(folds.max()) + 1):
            others = draws.permutation(np.flatnonzero(folds != fold))
            places = np.empty(len(others))
            for label in np.unique(labels):
                members = labels[others] == label
                count = int(members.sum())
                # Each class comes once before any comes twice.
                places[members] = np.append(0, (np.arange(1, count) + draws.random(count - 1)) / count)
            yield folds == fold, others[np.argsort(places, kind="stable")]


def _mean_and_error(values: Array, groups: Array) -> tuple[float, float]:
    """Return the mean of values and its standard error, where the values of a group may be alike.

    It counts one photo more that differs: no difference on a few photos is not certainty.
    """
    count = len(values)
    sums = np.bincount(groups, values - values.mean())
    return float(values.mean()), float(np.sqrt((sums**2).sum() + 1) / count)


def _neediest_class(
    gains: Array, labels: Array, groups: Array, num_images: Array, class_names: Sequence[str]
) -> str:
    """Return the class whose recall would gain most from ten more photos; empty where that may be chance.

    Recall is taken to grow by as much with each doubling of the photos as with the last. A class is returned if that is
    more than the mean of the other classes, at the level of 5 % for all classes together (Bonferroni).
    """
    from scipy.stats import norm

    present = np.unique(labels)
    if len(present) < 2:
        return ""
    found = np.array([_mean_and_error(gains[labels == one], groups[labels == one]) for one in present])
    found *= np.log2(1 + _MORE_PHOTOS / num_images[present])[:, np.newaxis]
    best = int(found[:, 0].argmax())
    others = np.delete(found, best, axis=0)
    difference = found[best, 0] - others[:, 0].mean()
    error = np.hypot(found[best, 1], np.sqrt((others[:, 1] ** 2).sum()) / len(others))
    is_chance = min(difference, found[best, 0]) < norm.ppf(1 - 0.05 / len(present)) * _MORE_ERROR * error
    return "" if is_chance else class_names[present[best]]
