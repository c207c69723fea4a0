"""Closed-form and convex heads, their folds, and the choice among them."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import linear_model

from transfer_core.training import head_choice, heads
from transfer_core.training.head_choice import STRENGTHS, choose_head
from transfer_core.training.heads import LINEAR_HEADS, HeadRecipe, ledoit_wolf, unit_features
from transfer_core.training.out_of_fold import stratified_folds

NUM_CLASSES = 4


def drawn(num_images: int, num_features: int, seed: int = 0, distance: float = 1.0):
    """Features of classes that lie around different means, and their labels."""
    draws = np.random.default_rng(seed)
    labels = np.arange(num_images) % NUM_CLASSES
    means = np.random.default_rng(9).normal(0, distance, (NUM_CLASSES, num_features))
    return 3 + means[labels] + draws.normal(0, 1, (num_images, num_features)), labels


def alone(labels: np.ndarray) -> np.ndarray:
    return np.arange(len(labels))


def folds_of(labels: np.ndarray, seed: int = 1) -> np.ndarray | None:
    return stratified_folds(labels, alone(labels), seed, 5)


@pytest.mark.parametrize("num_features", [10, 60, 200])
def test_shrinkage_is_that_of_scikit_learn(num_features: int) -> None:
    from sklearn.covariance import ledoit_wolf_shrinkage

    rows = np.random.default_rng(0).normal(0, np.arange(1, num_features + 1), (60, num_features))
    rows -= rows.mean(axis=0)
    shrinkage, variance = ledoit_wolf(rows, num_features)
    assert shrinkage == pytest.approx(ledoit_wolf_shrinkage(rows, assume_centered=True))
    assert variance == pytest.approx((rows**2).mean())


@pytest.mark.parametrize("num_features", [10, 60, 200])
def test_lda_is_that_of_scikit_learn(num_features: int) -> None:
    from sklearn.covariance import LedoitWolf
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    features, labels = drawn(48, num_features, distance=0.3)
    rows = unit_features(features, features.mean(axis=0))
    theirs = LinearDiscriminantAnalysis(solver="lsqr", covariance_estimator=LedoitWolf(assume_centered=True))
    within = rows - np.stack([rows[labels == label].mean(axis=0) for label in range(NUM_CLASSES)])[labels]
    covariance = LedoitWolf(assume_centered=True).fit(within).covariance_
    theirs.covariance_estimator.fit = lambda rows: theirs.covariance_estimator
    theirs.covariance_estimator.covariance_ = covariance
    expected = theirs.fit(rows, labels).decision_function(rows)
    logits = HeadRecipe("lda", lda_scale=1.0).fit(features, labels).logits(features)
    np.testing.assert_allclose(
        logits - logits.mean(axis=1, keepdims=True),
        expected - expected.mean(axis=1, keepdims=True),
        rtol=1e-6,
        atol=1e-6,
    )


def test_average_is_the_mean_of_the_logits_of_both() -> None:
    features, labels = drawn(40, 100)
    logits = {
        kind: HeadRecipe(kind, 30.0, 0.1).fit(features, labels).logits(features) for kind in LINEAR_HEADS
    }
    np.testing.assert_allclose(
        logits["average"], (logits["softmax_regression"] + logits["lda"]) / 2, atol=1e-9
    )


@pytest.mark.parametrize("kind", LINEAR_HEADS)
@pytest.mark.parametrize("labels", [[0, 1], [0, 1, 1, 2], [0, 0, 1, 1, 1, 1]])
def test_few_photos_a_class_give_a_head(kind: str, labels: list[int]) -> None:
    features = np.random.default_rng(0).normal(size=(len(labels), 30)) + 5 * np.array(labels)[:, np.newaxis]
    choice = choose_head(features, np.array(labels), folds_of(np.array(labels)), kinds=[kind])
    head = choice.recipe.fit(features, np.array(labels))
    assert choice.recipe.kind == kind
    assert head.probabilities(features).argmax(axis=1).tolist() == labels


def test_too_few_photos_to_compare_give_the_average() -> None:
    features, labels = drawn(NUM_CLASSES, 20)
    choice = choose_head(features, labels, folds_of(labels))
    assert (choice.recipe.kind, choice.accuracies, choice.out_of_fold) == ("average", {}, None)


def test_groups_share_a_fold_and_every_class_is_outside_each_fold() -> None:
    labels = np.array([0] * 12 + [1] * 3 + [2] * 2)
    groups = np.array([*"aabbccddeeff", *"ghh", *"ij"])
    for seed in range(20):
        folds = stratified_folds(labels, groups, seed, 5)
        assert folds is not None and folds.min() == 0
        assert all(len(set(folds[groups == group])) == 1 for group in groups)
        for fold in range(folds.max() + 1):
            assert set(labels[folds != fold]) == {0, 1, 2}


def test_fold_with_all_images_of_a_class_is_always_trained_on() -> None:
    # The group m holds images of both classes, and all but one of the first.
    labels = np.array([0] * 3 + [1] * 9)
    groups = np.array([*"mmemmmffffff"])
    for seed in range(20):
        folds = stratified_folds(labels, groups, seed, 5)
        for fold in range(0 if folds is None else folds.max() + 1):
            assert set(labels[folds != fold]) == {0, 1}


def test_class_of_one_group_is_always_trained_on() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1, 2])
    folds = stratified_folds(labels, alone(labels), 1, 5)
    assert folds is not None
    assert folds[-1] == -1 and folds[:-1].min() == 0
    assert stratified_folds(np.array([0, 1, 2]), np.arange(3), 1, 5) is None


def test_out_of_fold_is_measured_without_the_images_of_the_fold() -> None:
    features, labels = drawn(40, 200, distance=0.0)
    choice = choose_head(features, labels, folds_of(labels))
    # Pure noise is right by chance, though the head is right on all that it has learned from.
    assert max(choice.accuracies.values()) < 0.6
    assert (choice.recipe.fit(features, labels).logits(features).argmax(axis=1) == labels).all()
    assert choice.folds is not None and choice.out_of_fold is not None
    for fold in range(5):
        inside, outside = choice.folds == fold, choice.folds != fold
        head = choice.recipe.fit(features[outside], labels[outside])
        np.testing.assert_allclose(
            head.probabilities(features[inside]), choice.out_of_fold[inside], atol=2e-3
        )


def test_same_seed_gives_the_same_choice_bit_for_bit() -> None:
    features, labels = drawn(40, 60, distance=0.2)
    first, second = (choose_head(features, labels, folds_of(labels, 3)) for _ in range(2))
    assert first.recipe == second.recipe
    np.testing.assert_array_equal(first.out_of_fold, second.out_of_fold)


def test_progress_counts_folds() -> None:
    features, labels = drawn(40, 10)
    seen = []
    choose_head(features, labels, folds_of(labels), on_progress=lambda *counts: seen.append(counts))
    assert seen == [(fold, 5) for fold in range(1, 6)]


def test_softmax_regression_learns_many_classes() -> None:
    draws = np.random.default_rng(0)
    labels = np.repeat(np.arange(300), 2)
    features = draws.normal(0, 1, (300, 400))[labels] + draws.normal(0, 0.3, (600, 400))
    head = HeadRecipe("softmax_regression").fit(features, labels)
    assert (head.logits(features).argmax(axis=1) == labels).all()


def test_strengths_are_compared_on_a_sample_of_many_photos(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = drawn(400, 10)
    folds = folds_of(labels)
    sizes = []
    fit = head_choice.fit_softmax_regression

    def counted(rows, labels, strength, class_weights):
        sizes.append((len(rows), strength))
        return fit(rows, labels, strength, class_weights)

    monkeypatch.setattr(head_choice, "fit_softmax_regression", counted)
    monkeypatch.setattr(head_choice, "_MOST_PRODUCTS_COMPARED", 100 * 10 * NUM_CLASSES)
    choice = choose_head(features, labels, folds)
    assert [size for size, _strength in sizes] == [80] * 5 * len(STRENGTHS) + [320] * 5
    assert {strength for _size, strength in sizes[-5:]} == {choice.recipe.strength}
    assert choice.out_of_fold is not None and np.isfinite(choice.out_of_fold).all()


@pytest.mark.parametrize("kind", ["softmax_regression", "average"])
def test_a_single_kind_gets_fewer_iterations_with_many_photos(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = []
    plain = linear_model.LogisticRegression

    def limited(*, max_iter, **options):
        limits.append(max_iter)
        return plain(max_iter=max_iter, **options)

    monkeypatch.setattr(linear_model, "LogisticRegression", limited)
    features, labels = drawn(40, 10)
    for products, expected in ((1e9, 300), (40 * 10 * NUM_CLASSES * 50, range(50, 100)), (1, 20)):
        monkeypatch.setattr(heads, "_MOST_PRODUCTS_FITTED", products)
        limits.clear()
        choice = choose_head(features, labels, folds_of(labels), kinds=[kind])
        choice.recipe.fit(features, labels)
        assert choice.recipe.kind == kind
        assert len(limits) == 5 * len(STRENGTHS) + 1
        assert all(
            limit in expected if isinstance(expected, range) else limit == expected for limit in limits
        )


def test_lda_is_taken_where_softmax_regression_would_take_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = drawn(40, 10)
    monkeypatch.setattr(head_choice, "_MOST_PRODUCTS_FITTED", 100)
    monkeypatch.setattr(head_choice, "fit_softmax_regression", None)
    choice = choose_head(features, labels, folds_of(labels))
    assert (choice.recipe.kind, set(choice.accuracies)) == ("lda", {"lda"})
    assert np.isfinite(choice.out_of_fold).all()
