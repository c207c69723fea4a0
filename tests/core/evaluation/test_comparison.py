"""Two runs on the same photos: who changed sides, and whether that may be chance."""

from __future__ import annotations

import pytest
from scipy.stats import binom

from transfer_core.evaluation.comparison import Comparison, compare, reasoning, verdict
from transfer_core.evaluation.evaluation import Evaluation, ImageOutcome


def evaluation(answers: str, *, first_id: int = 0, truth: str = "cat") -> Evaluation:
    """One outcome for each letter: `r` for right, `w` for wrong."""
    wrong = "dog" if truth == "cat" else "cat"
    outcomes = tuple(
        ImageOutcome(
            f"{number}.jpg",
            truth,
            truth if answer == "r" else wrong,
            0.8,
            0.8 if answer == "r" else 0.2,
            image_id=str(number),
        )
        for number, answer in enumerate(answers, first_id)
    )
    return evaluation_of(outcomes)


def evaluation_of(outcomes: tuple[ImageOutcome, ...]) -> Evaluation:
    return Evaluation(("cat", "dog"), outcomes)


def compared(before: str, after: str) -> Comparison:
    return compare(evaluation(before), evaluation(after))


def test_photos_are_sorted_by_who_is_right() -> None:
    comparison = compared("rrwwr", "rwwrr")
    assert [photo.before.image_id for photo in comparison.lost] == ["1"]
    assert [photo.before.image_id for photo in comparison.won] == ["3"]
    assert (len(comparison.both_right), len(comparison.both_wrong)) == (2, 1)
    assert comparison.accuracies == (0.6, 0.6)


def test_only_photos_that_both_were_checked_with_count() -> None:
    comparison = compare(evaluation("rrr"), evaluation("rrrr", first_id=2))
    assert len(comparison.photos) == 1 and comparison.num_left_out == 5
    relabelled = compare(evaluation("rr"), evaluation("rr", truth="dog"))
    assert not relabelled.photos and relabelled.num_left_out == 2
    assert relabelled.accuracies is None
    assert verdict(relabelled).startswith("They share no validation photos")


def test_the_p_value_is_that_of_the_exact_test() -> None:
    comparison = compared("r" * 20 + "w" * 9 + "r", "r" * 20 + "r" * 9 + "w")
    assert comparison.p_value == pytest.approx(2 * binom.cdf(1, 10, 0.5))
    assert comparison.is_beyond_chance
    assert compared("rrw", "rrw").p_value == 1.0


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("w" * 9 + "r", "r" * 9 + "w", "B is better by 8 photos of 10. That is hardly chance."),
        ("r" * 20, "w" * 20, "A is better by 20 photos of 20. That is hardly chance."),
        ("wrr", "rrr", "B is better by 1 photo of 3. That may be chance."),
        ("rw", "rw", "There is no difference. Both are right and wrong on the very same photos."),
        ("rwr", "wrr", "They are equally good. Each is right on 2 of 3 photos."),
    ],
)
def test_the_verdict_says_who_and_whether_it_may_be_chance(before: str, after: str, sentence: str) -> None:
    assert verdict(compared(before, after), "A", "B") == sentence
    assert verdict(compared("w" * 9, "r" * 9)).startswith("The second run is better by 9 photos of 9.")


def test_the_reasoning_counts_the_photos_that_changed_sides() -> None:
    clear = reasoning(compared("w" * 9 + "r", "r" * 9 + "w"))
    assert clear.startswith("9 photos became right, and 1 became wrong.")
    assert "2 in 100 comparisons" in clear
    assert "fewer than 1 in 100" in reasoning(compared("r" * 20, "w" * 20))
    assert "100 in 100" in reasoning(compared("wr", "rw"))
    assert reasoning(compared("rw", "rw")) == ""


def test_classes_and_plain_values() -> None:
    cats, dogs = evaluation("rw"), evaluation("wwr", first_id=10, truth="dog")
    before = evaluation_of(cats.outcomes + dogs.outcomes)
    after = evaluation_of(evaluation("rr").outcomes + evaluation("rwr", first_id=10, truth="dog").outcomes)
    facts = compare(before, after).to_dict()
    assert facts["per_class"] == [
        {"class_name": "cat", "num_images": 2, "num_right_before": 1, "num_right_after": 2},
        {"class_name": "dog", "num_images": 3, "num_right_before": 1, "num_right_after": 2},
    ]
    assert (facts["num_won"], facts["num_lost"], facts["num_images"]) == (2, 0, 5)
    assert [photo["before"]["name"] for photo in facts["won"]] == ["1.jpg", "10.jpg"]


def test_outcomes_without_ids_are_matched_by_class_and_name() -> None:
    old = evaluation_of((ImageOutcome("a.jpg", "cat", "dog", 0.6, 0.4),))
    new = evaluation_of((ImageOutcome("a.jpg", "cat", "cat", 0.6, 0.6),))
    assert len(compare(old, new).won) == 1
