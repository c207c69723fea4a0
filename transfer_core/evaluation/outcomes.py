"""Rank the outcomes of an evaluation, and find the thresholds below which to give no answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import ImageRecord
from transfer_core.evaluation.evaluation import Evaluation, ImageOutcome
from transfer_core.inference.rejection import (
    NO_ANSWER,
    TOLERANCE,
    Rejection,
    distinct_thresholds,
    threshold_for_share,
)
from transfer_core.types import Array


def in_cell(evaluation: Evaluation, class_name: str, said: str) -> list[ImageOutcome]:
    """Return the images of one cell of the confusion matrix, the surest first."""
    found = [
        outcome
        for outcome in evaluation.outcomes
        if (outcome.class_name, outcome.predicted_class_name) == (class_name, said)
    ]
    return sorted(found, key=lambda outcome: -outcome.probability)


def most_wrong(evaluation: Evaluation) -> list[ImageOutcome]:
    """Return the images that the model gets wrong, in descending order of confidence."""
    wrong = [outcome for outcome in evaluation.outcomes if not outcome.is_right]
    return sorted(wrong, key=lambda outcome: -outcome.probability)


def least_sure(evaluation: Evaluation) -> list[ImageOutcome]:
    """Return all images, those first of which the model is least sure, right or wrong."""
    return sorted(evaluation.outcomes, key=lambda outcome: outcome.probability)


def most_typical(evaluation: Evaluation, class_name: str) -> list[ImageOutcome]:
    """Return the images of a class that the model has right, the surest first."""
    return in_cell(evaluation, class_name, class_name)


def coverage_curve(evaluation: Evaluation) -> list[tuple[float, float]]:
    """Return how often answers are right (0-1) by the share of images that get one (0-1), if only the surest do.

    There is a point for each limit that can be set: images that are equally sure get an answer together.
    """
    _limits, num_given, num_right = _by_limit(evaluation)
    points = zip(num_given[::-1], num_right[::-1], strict=True)
    return [(float(given / evaluation.num_images), float(right / given)) for given, right in points]


def answered(evaluation: Evaluation, rejection: Rejection | None) -> list[ImageOutcome]:
    """Return the images that get an answer."""
    if rejection is None:
        return list(evaluation.outcomes)
    return [
        outcome
        for outcome in evaluation.outcomes
        if rejection.is_known(outcome.probability, outcome.familiarity)
    ]


def probability_for_coverage(evaluation: Evaluation, coverage: float) -> float:
    """Return the highest limit that at least this share of images reaches; 0 for all.

    Args:
        evaluation: On images that the model of each outcome had not learned from.
        coverage: 0-1.
    """
    if coverage >= 1:
        return 0.0
    return threshold_for_share(coverage, evaluation.confidences)


def probability_for_error(evaluation: Evaluation, error: float) -> float:
    """Return the lowest limit with which at most a share of the answers is wrong.

    Args:
        evaluation: On images that the model of each outcome had not learned from.
        error: Share of answers that may be wrong, 0-1.

    Returns:
        0 if all answers may be given; `NO_ANSWER` if even the surest are wrong too often.
    """
    limits, num_given, num_right = _by_limit(evaluation)
    fitting = np.flatnonzero((num_given - num_right) / num_given <= error)
    if not len(fitting):
        return NO_ANSWER
    return 0.0 if fitting[0] == 0 else float(limits[fitting[0]])


def _by_limit(evaluation: Evaluation) -> tuple[Array, Array, Array]:
    """Each limit that can be set, from low to high, with how many images get an answer and how many are right."""
    ranked = least_sure(evaluation)
    sure = np.array([outcome.probability for outcome in ranked])
    limits = distinct_thresholds(sure)
    # As `Rejection.is_known` compares.
    starts = np.searchsorted(sure + TOLERANCE, limits)
    right_from = np.cumsum([outcome.is_right for outcome in reversed(ranked)])[::-1]
    return limits, len(ranked) - starts, right_from[starts]


@dataclass(frozen=True)
class ScoredImage:
    """An image of a dataset and its outcome.

    Args:
        image: In the present dataset.
        outcome: Of the evaluation.
    """

    image: ImageRecord
    outcome: ImageOutcome


def scored_images(evaluation: Evaluation, dataset: ImageDataset) -> list[ScoredImage]:
    """Return the images of an evaluation that are still in the dataset: first the mistakes, by descending confidence.

    The correct ones follow, by ascending confidence.

    Args:
        evaluation: Of a run on images of the dataset.
        dataset: Where they are.
    """
    found = [
        ScoredImage(dataset.by_id[outcome.image_id], outcome)
        for outcome in evaluation.outcomes
        if outcome.image_id in dataset.by_id
    ]
    return sorted(found, key=_worst_first)


def _worst_first(scored: ScoredImage) -> tuple[bool, float]:
    outcome = scored.outcome
    return outcome.is_right, outcome.probability if outcome.is_right else -outcome.probability
