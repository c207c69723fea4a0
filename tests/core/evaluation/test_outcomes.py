"""Which photos are worth a look, and what answering only when sure costs."""

from __future__ import annotations

import numpy as np
import pytest

from transfer_core.evaluation.evaluation import Evaluation, ImageOutcome
from transfer_core.evaluation.outcomes import (
    answered,
    coverage_curve,
    in_cell,
    least_sure,
    most_typical,
    most_wrong,
    probability_for_coverage,
    probability_for_error,
)
from transfer_core.evaluation.rejection import Rejection


def outcome(name: str, truth: str, cat: float, familiarity: float = 0.9) -> ImageOutcome:
    shares = {"cat": cat, "dog": 1 - cat}
    said = max(shares, key=shares.__getitem__)
    return ImageOutcome(name, truth, said, shares[said], shares[truth], (cat, 1 - cat), name, familiarity)


@pytest.fixture
def evaluation() -> Evaluation:
    outcomes = (
        outcome("a", "cat", 0.95),
        outcome("b", "cat", 0.55),
        outcome("c", "dog", 0.90),
        outcome("d", "dog", 0.65, familiarity=0.1),
        outcome("e", "dog", 0.02),
    )
    return Evaluation(("cat", "dog"), outcomes)


def names(outcomes: list[ImageOutcome]) -> str:
    return "".join(one.name for one in outcomes)


def test_lists(evaluation: Evaluation) -> None:
    assert names(in_cell(evaluation, "dog", "cat")) == "cd"
    assert names(in_cell(evaluation, "cat", "dog")) == ""
    assert names(most_wrong(evaluation)) == "cd"
    assert names(least_sure(evaluation)) == "bdcae"
    assert names(most_typical(evaluation, "cat")) == "ab"


def test_coverage_curve_starts_with_the_surest(evaluation: Evaluation) -> None:
    shares, right = np.transpose(coverage_curve(evaluation))
    assert shares == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert right == pytest.approx([1, 1, 2 / 3, 2 / 4, 3 / 5])


def test_thresholds_for_a_coverage_and_for_an_error(evaluation: Evaluation) -> None:
    assert probability_for_coverage(evaluation, 1.0) == 0.0
    assert names(answered(evaluation, _sure(probability_for_coverage(evaluation, 0.5)))) == "ace"
    assert names(answered(evaluation, _sure(probability_for_error(evaluation, 0.0)))) == "ae"
    assert probability_for_error(evaluation, 0.4) == 0.0
    assert names(answered(evaluation, None)) == "abcde"


def test_unfamiliar_photos_get_no_answer(evaluation: Evaluation) -> None:
    familiar = Rejection(np.ones((1, 2)), min_familiarity=0.5)
    assert names(answered(evaluation, familiar)) == "abce"


def _sure(probability: float) -> Rejection:
    return Rejection(np.ones((1, 2))).sure_above(probability)
