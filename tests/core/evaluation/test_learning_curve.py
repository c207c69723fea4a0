"""Accuracy by number of training photos, and whether more of them would help."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from transfer_core.evaluation.intervals import cross_validated_interval
from transfer_core.evaluation.learning_curve import (
    CurvePoint,
    LearningCurve,
    enough_sentences,
    learning_curve,
)
from transfer_core.training.heads import HeadRecipe

NAMES = ("cup", "mug", "jar")


def curve_of(distance: float, num_images: int = 120, seed: int = 0, **changes) -> LearningCurve | None:
    """The curve of three classes whose means lie some standard deviations apart."""
    draws = np.random.default_rng(seed)
    labels = np.arange(num_images) % len(NAMES)
    means = np.random.default_rng(9).normal(0, distance, (len(NAMES), 80))
    features = means[labels] + draws.normal(0, 1, (num_images, 80))
    facts = {"features": features, "labels": labels, "groups": np.arange(num_images), "seed": seed, **changes}
    return learning_curve(class_names=NAMES, recipe=HeadRecipe("softmax_regression"), **facts)


def test_each_point_has_twice_the_photos_of_the_point_before() -> None:
    curve = curve_of(0.5)
    assert [point.num_images for point in curve.points] == [6, 12, 24, 48, 96]
    assert curve.num_scored == 120
    for point in curve.points:
        lowest, highest = point.interval
        assert 0 <= lowest <= point.accuracy <= highest <= 1
        assert (lowest, highest) == cross_validated_interval(point.accuracy, 120)


def test_photos_help_where_accuracy_still_rises() -> None:
    curve = curve_of(0.25)
    accuracies = [point.accuracy for point in curve.points]
    assert accuracies[-1] > accuracies[-2] + 0.02 > accuracies[0] + 0.1
    assert curve.gain == pytest.approx(accuracies[-1] - accuracies[-2])
    assert curve.verdict == "help"
    assert enough_sentences(curve)[0].startswith("More photos help: twice as many raised accuracy from")


def test_separable_classes_are_enough() -> None:
    curve = curve_of(3.0)
    assert curve.points[-1].accuracy == 1
    assert curve.verdict == "enough"
    assert enough_sentences(curve) == ["You have enough photos: more can hardly raise the accuracy."]


@pytest.mark.parametrize("seed", range(5))
def test_random_labels_give_no_advice_to_add_photos(seed: int) -> None:
    curve = curve_of(0.0, seed=seed)
    assert curve.points[-1].accuracy < 0.5
    assert curve.verdict != "help"
    assert not curve.neediest_class


def test_class_whose_recall_rises_is_named() -> None:
    draws = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [80, 80, 24])
    features = draws.normal(0, 0.2, (184, 40))
    features[:160, 0] += 4 * labels[:160]
    # The third class has eight kinds of photos, each of which has to be seen.
    features[160:, 0] += 4 * (np.arange(24) % 2)
    features[np.arange(160, 184), 10 + np.arange(24) % 8] += 5
    curve = curve_of(0, features=features, labels=labels, groups=np.arange(184))
    assert curve.neediest_class == "jar"
    assert "Ten more photos of jar would help most." in enough_sentences(curve)


def test_groups_are_never_on_both_sides() -> None:
    draws = np.random.default_rng(0)
    # Noise that can only be recognised by its copy.
    features = np.repeat(draws.normal(size=(60, 40)), 2, axis=0)
    labels = np.repeat(draws.permutation(60) % 3, 2)
    apart = curve_of(0, features=features, labels=labels, groups=np.repeat(np.arange(60), 2))
    together = curve_of(0, features=features, labels=labels, groups=np.arange(120))
    assert apart.points[-1].accuracy < 0.6 < together.points[-1].accuracy


def test_too_few_photos_give_no_curve() -> None:
    assert curve_of(1.0, num_images=12) is None
    assert curve_of(1.0, num_images=3) is None


def test_stop_ends_it() -> None:
    assert curve_of(1.0, should_stop=lambda: True) is None


def test_same_seed_gives_the_same_curve() -> None:
    assert curve_of(0.3) == curve_of(0.3)


def test_many_photos_leave_out_fewer_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transfer_core.evaluation.learning_curve._MOST_PRODUCTS", 1)
    curve = curve_of(0.3)
    assert curve.num_scored == 24


@pytest.mark.parametrize(
    ("accuracy", "interval", "sentence"),
    [
        (0.6, (-0.02, 0.01), "More photos of this kind would hardly help. Look at the mistakes first."),
        (0.92, (-0.02, 0.01), "You have enough photos: more can hardly raise the accuracy."),
        (0.99, (0.01, 0.05), "You have enough photos: more can hardly raise the accuracy."),
        (0.8, (-0.02, 0.05), "It is not clear yet whether more photos would help."),
    ],
)
def test_sentence_follows_the_interval_of_the_gain(accuracy, interval, sentence) -> None:
    points = tuple(CurvePoint(count, accuracy, (0.0, 1.0)) for count in (10, 20))
    assert enough_sentences(LearningCurve(points, 30, 0.0, interval)) == [sentence]


def test_curve_can_be_written_and_read() -> None:
    curve = curve_of(0.3)
    assert msgspec.json.decode(msgspec.json.encode(curve), type=LearningCurve) == curve
