"""Batch predictions equal single predictions, and the CSV export is safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from transfer_core.data.sources.upload import uploaded_file
from transfer_core.inference.answers import Answer, answer_files, answers_csv, least_sure_first
from transfer_core.inference.predictor import Prediction, Predictor
from transfer_core.inference.rejection import Rejection


def prediction(scores: tuple[float, float], *, is_known: bool = True) -> Prediction:
    return Prediction(("ant", "bee"), scores, 0.01, is_known)


def test_batch_predictions_equal_single_predictions(predictor: Predictor, make_image) -> None:
    # More than one batch, and a damaged file within the first, to catch shifted positions.
    contents = [make_image(color, seed=seed) for seed in range(12) for color in ("red", "green", "blue")]
    contents.insert(7, b"not an image")
    files = [uploaded_file(f"photos/{number}.png", content) for number, content in enumerate(contents)]
    files.insert(3, uploaded_file("photos/.DS_Store", b"x"))
    reports: list[tuple[int, int]] = []
    answers = answer_files(predictor, files, lambda done, total: reports.append((done, total)))
    assert reports == [(32, 37), (37, 37)]
    assert [answer.path for answer in answers] == [f"{number}.png" for number in range(37)]
    assert [files[answer.position].path for answer in answers] == [answer.path for answer in answers]
    damaged = answers.pop(7)
    assert damaged.prediction is None and "not a photo" in damaged.reason
    assert not damaged.thumbnail
    del contents[7]
    for answer, content in zip(answers, contents, strict=True):
        assert answer.prediction is not None and not answer.reason
        assert answer.prediction.scores == pytest.approx(predictor.predict(content).scores, abs=1e-5)
    with Image.open(io.BytesIO(answers[0].thumbnail)) as small:
        assert small.format == "JPEG" and max(small.size) <= 96


def test_batch_rejects_like_a_single_prediction(predictor: Predictor, make_image) -> None:
    outputs = predictor.outputs(np.zeros((2, predictor.image_size, predictor.image_size, 3), np.uint8))
    assert outputs.features is not None
    content = make_image("red")
    for threshold, is_known in ((1.1, False), (0.0, True)):
        rejection = Rejection(np.asarray(outputs.features), min_probability=threshold)
        strict = predictor.with_rejection(rejection)
        (answer,) = answer_files(strict, [uploaded_file("a.png", content)])
        single = strict.predict(content)
        assert answer.prediction is not None
        assert answer.prediction.is_known is single.is_known is is_known
        assert answer.prediction.familiarity == pytest.approx(single.familiarity, abs=1e-5)


def test_only_damaged_files(predictor: Predictor) -> None:
    answers = answer_files(predictor, [uploaded_file("a.jpg", b"")])
    assert [answer.reason for answer in answers] == ["the file is empty (0 bytes)"]


def test_rejected_and_unsure_answers_come_first() -> None:
    answers = [
        Answer(0, "sure", prediction((0.1, 0.9))),
        Answer(1, "damaged", None, "it is damaged"),
        Answer(2, "unsure", prediction((0.5, 0.5))),
        Answer(3, "unknown", prediction((0.05, 0.95), is_known=False)),
    ]
    assert [answer.path for answer, _prediction in least_sure_first(answers)] == ["unknown", "unsure", "sure"]


def test_csv_has_a_row_per_file_and_quotes_formulas() -> None:
    answers = [
        Answer(0, "ä, b.jpg", prediction((0.25, 0.75))),
        Answer(1, "=HYPERLINK(1)", prediction((0.9, 0.1), is_known=False)),
        Answer(2, "c.jpg", None, "it is damaged"),
    ]
    content = answers_csv(("ant", "bee"), answers)
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
    assert rows == [
        ["File", "Answer", "Best guess", "Certainty", "ant", "bee", "Skipped because"],
        ["ä, b.jpg", "bee", "bee", "0.750000", "0.250000", "0.750000", ""],
        ["'=HYPERLINK(1)", "I don't know", "ant", "0.900000", "0.900000", "0.100000", ""],
        ["c.jpg", "", "", "", "", "", "it is damaged"],
    ]


def test_csv_quotes_class_names_that_begin_like_formulas() -> None:
    found = replace(prediction((0.2, 0.8)), class_names=("ant", "@bee"))
    header, row = answers_csv(found.class_names, [Answer(0, "a.jpg", found)]).decode("utf-8-sig").splitlines()
    assert ",'@bee," in header and ",'@bee," in row
