"""Many files at once: the same answers as one by one, and a table that can be taken away."""

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


def test_a_batch_answers_as_one_photo_after_another_does(predictor: Predictor, make_image) -> None:
    # More than one batch, with a damaged file inside it, so that places could be mixed up.
    contents = [make_image(color, seed=seed) for seed in range(12) for color in ("red", "green", "blue")]
    contents.insert(7, b"no picture")
    files = [uploaded_file(f"photos/{number}.png", content) for number, content in enumerate(contents)]
    files.insert(3, uploaded_file("photos/.DS_Store", b"x"))
    told: list[tuple[int, int]] = []
    answers = answer_files(predictor, files, lambda done, total: told.append((done, total)))
    assert told == [(32, 37), (37, 37)]
    assert [answer.path for answer in answers] == [f"{number}.png" for number in range(37)]
    assert [files[answer.position].path for answer in answers] == [answer.path for answer in answers]
    damaged = answers.pop(7)
    assert damaged.prediction is None and "not a picture" in damaged.reason
    assert not damaged.thumbnail
    del contents[7]
    for answer, content in zip(answers, contents, strict=True):
        assert answer.prediction is not None and not answer.reason
        assert answer.prediction.scores == pytest.approx(predictor.predict(content).scores, abs=1e-5)
    with Image.open(io.BytesIO(answers[0].thumbnail)) as small:
        assert small.format == "JPEG" and max(small.size) <= 96


def test_a_batch_knows_as_little_as_one_photo(predictor: Predictor, make_image) -> None:
    outputs = predictor.outputs(np.zeros((2, predictor.image_size, predictor.image_size, 3), np.uint8))
    assert outputs.features is not None
    content = make_image("red")
    for limit, is_known in ((1.1, False), (0.0, True)):
        rejection = Rejection(np.asarray(outputs.features), min_probability=limit)
        strict = predictor.with_rejection(rejection)
        (answer,) = answer_files(strict, [uploaded_file("a.png", content)])
        alone = strict.predict(content)
        assert answer.prediction is not None
        assert answer.prediction.is_known is alone.is_known is is_known
        assert answer.prediction.familiarity == pytest.approx(alone.familiarity, abs=1e-5)


def test_only_damaged_files(predictor: Predictor) -> None:
    answers = answer_files(predictor, [uploaded_file("a.jpg", b"")])
    assert [answer.reason for answer in answers] == ["the file is empty (0 bytes)"]


def test_least_sure_come_first() -> None:
    answers = [
        Answer(0, "sure", prediction((0.1, 0.9))),
        Answer(1, "damaged", None, "it is damaged"),
        Answer(2, "unsure", prediction((0.5, 0.5))),
        Answer(3, "unknown", prediction((0.05, 0.95), is_known=False)),
    ]
    assert [answer.path for answer, _found in least_sure_first(answers)] == ["unknown", "unsure", "sure"]


def test_table_for_a_spreadsheet() -> None:
    answers = [
        Answer(0, "ä, b.jpg", prediction((0.25, 0.75))),
        Answer(1, "=HYPERLINK(1)", prediction((0.9, 0.1), is_known=False)),
        Answer(2, "c.jpg", None, "it is damaged"),
    ]
    content = answers_csv(("ant", "bee"), answers)
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
    assert rows == [
        ["File", "Answer", "Best guess", "Certainty", "ant", "bee", "Left out because"],
        ["ä, b.jpg", "bee", "bee", "0.750000", "0.250000", "0.750000", ""],
        ["'=HYPERLINK(1)", "I don't know", "ant", "0.900000", "0.900000", "0.100000", ""],
        ["c.jpg", "", "", "", "", "", "it is damaged"],
    ]


def test_names_of_classes_are_no_formulas_either() -> None:
    found = replace(prediction((0.2, 0.8)), class_names=("ant", "@bee"))
    head, row = answers_csv(found.class_names, [Answer(0, "a.jpg", found)]).decode("utf-8-sig").splitlines()
    assert ",'@bee," in head and ",'@bee," in row
