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
from transfer_core.inference.rejection import Rejection


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


def test_limits_split_no_group_of_equally_sure_photos() -> None:
    outcomes = [outcome(name, "cat", 0.9) for name in "abcdefghi"] + [outcome("x", "dog", 0.9)]
    evaluation = Evaluation(("cat", "dog"), (*outcomes, outcome("low", "cat", 0.6)))
    none, tenth = (probability_for_error(evaluation, error) for error in (0.0, 0.1))
    assert names(answered(evaluation, _sure(none))) == ""
    assert names(answered(evaluation, _sure(tenth))) == "abcdefghixlow"
    half = probability_for_coverage(evaluation, 0.5)
    assert names(answered(evaluation, _sure(half))) == "abcdefghix"
    # Only the two points that a limit can reach.
    assert coverage_curve(evaluation) == [pytest.approx((10 / 11, 0.9)), pytest.approx((1.0, 10 / 11))]


def test_no_answer_is_given_where_the_surest_is_wrong() -> None:
    evaluation = Evaluation(("cat", "dog"), (outcome("a", "dog", 1.0), outcome("b", "cat", 1.0)))
    assert names(answered(evaluation, _sure(probability_for_error(evaluation, 0.1)))) == ""


@pytest.mark.parametrize("seed", range(5))
def test_the_error_that_comes_of_a_limit_is_at_most_the_wanted_one(seed: int) -> None:
    draws = np.random.default_rng(seed)
    # Few different values, some apart by less than what another runtime may move them.
    shares = draws.choice([0.55, 0.7, 0.7 + 4e-6, 0.9, 0.9 - 9e-6, 0.99], 60)
    truth = draws.choice(["cat", "dog"], 60, p=[0.8, 0.2])
    found = tuple(
        outcome(str(row), name, share) for row, (name, share) in enumerate(zip(truth, shares, strict=True))
    )
    evaluation = Evaluation(("cat", "dog"), found)
    for wanted in (0.0, 0.05, 0.1, 0.2, 0.5):
        rejection = _sure(probability_for_error(evaluation, wanted))
        for moved in (-9e-6, 0.0, 9e-6):
            given = [one for one in found if rejection.is_known(one.probability + moved, one.familiarity)]
            assert given == answered(evaluation, rejection)
        assert sum(not one.is_right for one in given) <= wanted * len(given)


def test_unfamiliar_photos_get_no_answer(evaluation: Evaluation) -> None:
    familiar = Rejection(np.ones((1, 2)), min_familiarity=0.5)
    assert names(answered(evaluation, familiar)) == "abce"


def _sure(probability: float) -> Rejection:
    return Rejection(np.ones((1, 2))).with_min_probability(probability)
