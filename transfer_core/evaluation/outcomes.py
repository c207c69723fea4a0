"""Which photos are worth a look, and what it costs to answer only when sure."""

from __future__ import annotations

import numpy as np

from transfer_core.evaluation.evaluation import Evaluation, ImageOutcome
from transfer_core.evaluation.rejection import Rejection


def in_cell(evaluation: Evaluation, class_name: str, said: str) -> list[ImageOutcome]:
    """Return the images of one cell of the confusion matrix, the surest first."""
    found = [
        outcome
        for outcome in evaluation.outcomes
        if (outcome.class_name, outcome.predicted_class_name) == (class_name, said)
    ]
    return sorted(found, key=lambda outcome: -outcome.probability)


def most_wrong(evaluation: Evaluation) -> list[ImageOutcome]:
    """Return the images that the model has wrong, those first whose true class it finds least probable."""
    wrong = [outcome for outcome in evaluation.outcomes if not outcome.is_right]
    return sorted(wrong, key=lambda outcome: outcome.true_probability)


def least_sure(evaluation: Evaluation) -> list[ImageOutcome]:
    """Return all images, those first of which the model is least sure, right or wrong."""
    return sorted(evaluation.outcomes, key=lambda outcome: outcome.probability)


def most_typical(evaluation: Evaluation, class_name: str) -> list[ImageOutcome]:
    """Return the images of a class that the model has right, the surest first."""
    return in_cell(evaluation, class_name, class_name)


def coverage_curve(evaluation: Evaluation) -> list[tuple[float, float]]:
    """Return how often answers are right (0-1) by the share of images that get one (0-1), if only the surest do."""
    ranked = least_sure(evaluation)[::-1]
    right = np.cumsum([outcome.is_right for outcome in ranked])
    count = len(ranked)
    return [((place + 1) / count, float(right[place] / (place + 1))) for place in range(count)]


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
    """Return the probability from which on at least this share of images lies; 0 for all.

    Args:
        evaluation: On validation images.
        coverage: 0-1.
    """
    if coverage >= 1:
        return 0.0
    return float(np.quantile(evaluation.confidences, 1 - coverage, method="lower"))


def probability_for_error(evaluation: Evaluation, error: float) -> float:
    """Return the lowest probability above which at most a share of the answers is wrong; 0 if all may be given.

    Args:
        evaluation: On validation images.
        error: Share of answers that may be wrong, 0-1.
    """
    ranked = least_sure(evaluation)[::-1]
    wrong = np.cumsum([not outcome.is_right for outcome in ranked])
    fitting = np.flatnonzero(wrong <= error * np.arange(1, len(ranked) + 1))
    if len(fitting) == 0:
        return 1.0
    return 0.0 if fitting[-1] == len(ranked) - 1 else ranked[fitting[-1]].probability
