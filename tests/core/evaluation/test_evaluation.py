"""An evaluation's numbers are scikit-learn's, computed here a second way."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics

from transfer_core.errors import IngestError, UnreadableImageError
from transfer_core.evaluation.evaluation import (
    Evaluation,
    ImageOutcome,
    LabelledImage,
    evaluate,
    evaluation_of,
    measured_sentence,
    occasion_sentence,
)
from transfer_core.evaluation.metrics import top2_accuracy
from transfer_core.inference.calibration import (
    Calibration,
    cross_fitted_temperatures,
    fit_temperature,
)
from transfer_core.inference.predictor import ModelOutputs, Predictor

CLASS_NAMES = ("ant", "bee", "cat", "dog")
# "cat" is never said, of "dog" there is no image.
TRUTH = ["ant", "ant", "ant", "bee", "bee", "cat", "cat", "bee"]
SCORES = np.array(
    [
        [0.70, 0.10, 0.10, 0.10],
        [0.20, 0.60, 0.10, 0.10],
        [0.40, 0.30, 0.20, 0.10],
        [0.05, 0.80, 0.10, 0.05],
        [0.10, 0.20, 0.30, 0.40],
        [0.60, 0.10, 0.20, 0.10],
        [0.30, 0.40, 0.20, 0.10],
        [0.25, 0.45, 0.20, 0.10],
    ],
    np.float32,
)


class ScriptedModel:
    """Gives the scores above, one row for each image, in the order of the calls."""

    def __init__(self) -> None:
        self._num_given = 0

    def predict_on_batch(self, pixels: np.ndarray) -> np.ndarray:
        start = self._num_given
        self._num_given += len(pixels)
        return SCORES[start : self._num_given]


@pytest.fixture
def images(tmp_path: Path, make_image) -> list[LabelledImage]:
    found = []
    for number, class_name in enumerate(TRUTH):
        path = tmp_path / f"{number}.png"
        path.write_bytes(make_image(seed=number))
        found.append(LabelledImage(path, f"{class_name}/{number}.png", class_name))
    return found


@pytest.fixture
def evaluation(images: list[LabelledImage]) -> Evaluation:
    return evaluate(Predictor(ScriptedModel(), CLASS_NAMES, 16), images)


@pytest.fixture
def said() -> list[str]:
    return [CLASS_NAMES[place] for place in SCORES.argmax(axis=1)]


def test_accuracy(evaluation: Evaluation, said: list[str]) -> None:
    assert evaluation.accuracy == metrics.accuracy_score(TRUTH, said) == 4 / 8
    assert evaluation.num_images == 8


def test_loss(evaluation: Evaluation) -> None:
    exact = SCORES.astype(np.float64)
    expected = metrics.log_loss(TRUTH, exact / exact.sum(axis=1, keepdims=True), labels=list(CLASS_NAMES))
    assert evaluation.log_loss == pytest.approx(expected, abs=1e-9)
    by_hand = -np.mean([np.log(row[CLASS_NAMES.index(name)]) for row, name in zip(exact, TRUTH, strict=True)])
    assert evaluation.log_loss == pytest.approx(by_hand, abs=1e-6)


def test_confusion_matrix_has_true_classes_in_rows(evaluation: Evaluation, said: list[str]) -> None:
    expected = metrics.confusion_matrix(TRUTH, said, labels=list(CLASS_NAMES))
    np.testing.assert_array_equal(evaluation.confusion_matrix, expected)
    assert evaluation.confusion_matrix[0] == (2, 1, 0, 0)


def test_numbers_of_each_class(evaluation: Evaluation, said: list[str]) -> None:
    report = metrics.classification_report(
        TRUTH, said, labels=list(CLASS_NAMES), output_dict=True, zero_division=0
    )
    assert list(evaluation.per_class) == list(CLASS_NAMES)
    for class_name, measures in evaluation.per_class.items():
        expected = report[class_name]
        assert measures == pytest.approx(
            {
                "precision": expected["precision"],
                "recall": expected["recall"],
                "f1": expected["f1-score"],
                "support": expected["support"],
            }
        )


def test_outcomes_say_what_became_of_each_image(evaluation: Evaluation, said: list[str]) -> None:
    for outcome, number, truth, guess in zip(evaluation.outcomes, range(8), TRUTH, said, strict=True):
        assert outcome.name == f"{truth}/{number}.png"
        assert (outcome.class_name, outcome.predicted_class_name) == (truth, guess)
        assert outcome.probability == pytest.approx(SCORES[number].max())
        assert outcome.true_probability == pytest.approx(SCORES[number][CLASS_NAMES.index(truth)])


def test_survives_json(evaluation: Evaluation) -> None:
    assert Evaluation.from_dict(json.loads(json.dumps(evaluation.to_dict()))) == evaluation


def test_means_over_classes_and_over_images(evaluation: Evaluation, said: list[str]) -> None:
    for average, found in (("macro", evaluation.macro), ("weighted", evaluation.weighted)):
        expected = metrics.precision_recall_fscore_support(
            TRUTH, said, labels=list(CLASS_NAMES), average=average, zero_division=0
        )
        assert found == pytest.approx({"precision": expected[0], "recall": expected[1], "f1": expected[2]})


def test_top_2_accuracy(evaluation: Evaluation) -> None:
    expected = metrics.top_k_accuracy_score(TRUTH, SCORES, k=2, labels=list(CLASS_NAMES))
    assert evaluation.top2_accuracy == expected


def test_the_first_of_equally_probable_classes_is_among_the_two() -> None:
    shares = np.full((3, 3), 1 / 3)
    # As in `Prediction`: the first class is the answer, the second comes next.
    assert top2_accuracy(np.array([0, 1, 2]), shares) == pytest.approx(2 / 3)
    assert top2_accuracy(np.array([0, 0, 0]), shares) == 1.0


def test_areas_of_classes_that_have_images_of_both_sides(evaluation: Evaluation) -> None:
    truth = np.array(TRUTH)
    for name in ("ant", "bee", "cat"):
        scores = SCORES[:, CLASS_NAMES.index(name)]
        curve = evaluation.roc_curves[name]
        assert curve.area == pytest.approx(metrics.roc_auc_score(truth == name, scores))
        assert curve.area == pytest.approx(metrics.auc(curve.x, curve.y))
        precise = evaluation.precision_recall_curves[name]
        assert precise.area == pytest.approx(metrics.average_precision_score(truth == name, scores))
    assert "dog" not in evaluation.roc_curves
    areas = [curve.area for curve in evaluation.roc_curves.values()]
    assert evaluation.roc_auc == pytest.approx(sum(areas) / 3)


def test_interval_is_wilsons(evaluation: Evaluation) -> None:
    # By hand, with z = 1.95996: (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n) for 4 of 8.
    assert evaluation.accuracy_interval == pytest.approx((0.215216, 0.784784), abs=1e-6)
    in_folds = replace(evaluation, num_folds=5)
    thrice = replace(in_folds, outcomes=evaluation.outcomes * 3)
    assert thrice.accuracy_interval == (0.21, 0.79)
    assert in_folds.accuracy_interval[0] < evaluation.accuracy_interval[0]


def test_certainty_before_temperature_scaling_is_found_again(images: list[LabelledImage]) -> None:
    plain = evaluate(Predictor(ScriptedModel(), CLASS_NAMES, 16), images)
    milder = evaluate(Predictor(ScriptedModel(), CLASS_NAMES, 16, Calibration(2.0, 50)), images)
    assert milder.accuracy == plain.accuracy
    assert max(milder.confidences) < max(plain.confidences)
    assert milder.uncalibrated_confidences == pytest.approx(plain.confidences, abs=1e-6)
    assert milder.to_dict()["temperature"] == 2.0


def test_a_file_of_version_0_1_still_loads(evaluation: Evaluation) -> None:
    values = evaluation.to_dict()
    for outcome in values["outcomes"]:
        for name in ("probabilities", "image_id", "familiarity"):
            del outcome[name]
    old = {name: values[name] for name in ("accuracy", "class_names", "confusion_matrix", "outcomes")}
    loaded = Evaluation.from_dict(json.loads(json.dumps({**old, "loss": 1.0})))
    assert (loaded.accuracy, loaded.confusion_matrix) == (evaluation.accuracy, evaluation.confusion_matrix)
    assert loaded.log_loss == pytest.approx(evaluation.log_loss, abs=1e-6)
    assert (loaded.top2_accuracy, loaded.roc_auc, loaded.roc_curves) == (None, None, {})
    assert loaded.to_dict()["ece"] == pytest.approx(evaluation.ece)


def test_calibration_is_measured_on_photos_that_did_not_choose_the_temperature() -> None:
    draws = np.random.default_rng(0)
    raw = draws.dirichlet([0.3, 0.3, 0.3], 160)
    truth = np.array([draws.choice(3, p=row) for row in raw**0.5 / (raw**0.5).sum(axis=1, keepdims=True)])
    names = ("ant", "bee", "cat")
    images = [LabelledImage(Path(f"{row}.jpg"), str(row), names[label]) for row, label in enumerate(truth)]
    calibration = fit_temperature(raw, truth, [image.name for image in images])
    elsewhere = evaluation_of(names, images, ModelOutputs(None, raw), calibration, None)
    here = replace(elsewhere, is_fitted_here=True)
    temperatures = cross_fitted_temperatures(raw, truth, [image.name for image in images])
    assert temperatures is not None and here.is_cross_fitted and not elsewhere.is_cross_fitted
    expected = np.stack(
        [Calibration(float(one)).apply(row) for one, row in zip(temperatures, raw, strict=True)]
    )
    assert here.measured_confidences == pytest.approx(expected.max(axis=1), abs=1e-6)
    assert here.log_loss == pytest.approx(metrics.log_loss(truth, expected), abs=1e-6)
    assert here.log_loss > elsewhere.log_loss and here.ece != elsewhere.ece
    # What people see, and what counts the most probable class only, stays.
    assert (here.confidences, here.accuracy) == (elsewhere.confidences, elsewhere.accuracy)
    assert here.uncalibrated_ece == elsewhere.uncalibrated_ece
    assert Evaluation.from_dict(json.loads(json.dumps(here.to_dict()))) == here


def test_missing_outcomes_are_an_error(evaluation: Evaluation) -> None:
    values = evaluation.to_dict()
    del values["outcomes"]
    with pytest.raises(ValueError, match="outcomes"):
        Evaluation.from_dict(values)


def test_trained_run_agrees_with_scikit_learn_on_the_same_predictions(finished_run, predictor) -> None:
    dataset, evaluation = finished_run.dataset, finished_run.run.evaluation()
    images = dataset.images_in("validation")
    truth = [image.class_name for image in images]
    said = [predictor.predict(dataset.image_path(image).read_bytes()) for image in images]
    assert evaluation.accuracy == metrics.accuracy_score(truth, [one.class_name for one in said])
    scores = np.array([one.scores for one in said])
    scores /= scores.sum(axis=1, keepdims=True)
    loss = metrics.log_loss(truth, scores, labels=list(dataset.class_names))
    assert evaluation.log_loss == pytest.approx(loss, abs=1e-5)


def test_class_that_the_model_does_not_know(images: list[LabelledImage]) -> None:
    foreign = LabelledImage(images[0].path, "x", "zebra")
    with pytest.raises(IngestError, match=r"does not know the class zebra.*ant, bee, cat, dog"):
        evaluate(Predictor(ScriptedModel(), CLASS_NAMES, 16), [*images, foreign])


def test_no_images() -> None:
    with pytest.raises(IngestError, match="no photos"):
        evaluate(Predictor(ScriptedModel(), CLASS_NAMES, 16), [])


def test_damaged_image_is_named(images: list[LabelledImage]) -> None:
    images[3].path.write_bytes(b"GIF89a and nothing more")
    with pytest.raises(UnreadableImageError, match=r"3\.png cannot be used"):
        evaluate(Predictor(ScriptedModel(), CLASS_NAMES, 16), images)


def scored(num_right: int, num_wrong: int, num_folds: int = 0, group: str = "") -> Evaluation:
    """Photos of one class, of which some are taken for the other."""
    outcomes = [
        ImageOutcome(
            "photo.jpg", "a", "a" if number < num_right else "b", 0.9, 0.9, (), str(number), None, group
        )
        for number in range(num_right + num_wrong)
    ]
    return Evaluation(("a", "b"), tuple(outcomes), num_folds=num_folds)


def test_a_model_of_all_photos_says_how_it_was_measured() -> None:
    assert measured_sentence(scored(30, 10)) == ""
    folds = measured_sentence(scored(180, 20, num_folds=5))
    assert folds.startswith("Measured by 5-fold cross-validation on 200 photos. The final model")
    assert measured_sentence(scored(30, 10, num_folds=1)).startswith("Measured on 40 validation photos.")


def test_photos_of_one_group_count_once_in_the_interval() -> None:
    alone, alike = scored(30, 10, num_folds=5), scored(30, 10, num_folds=5, group="one scene")
    assert (alone.num_groups, alike.num_groups) == (40, 1)
    assert alike.accuracy_interval[0] < alone.accuracy_interval[0]
    assert "count once: 1" in measured_sentence(alike)


def test_test_photos_of_another_occasion_are_named_only_beyond_chance() -> None:
    measured = scored(180, 20, num_folds=5)
    assert "another occasion" in occasion_sentence(measured, scored(24, 16))
    assert occasion_sentence(measured, scored(34, 6)) == ""
    # The same share of three photos may be chance.
    assert occasion_sentence(measured, scored(2, 1)) == ""


def test_the_number_of_folds_is_stored_and_optional() -> None:
    stored = scored(3, 1, num_folds=5).to_dict()
    assert Evaluation.from_dict(stored).num_folds == 5
    del stored["num_folds"]
    assert Evaluation.from_dict(stored).num_folds == 0
