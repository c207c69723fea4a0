"""What a model says about many files at once, as a table to look at and to take away."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np

from transfer_core.data.images.decoding import decode_image, image_id
from transfer_core.data.images.image_path import to_pixels
from transfer_core.data.images.similarity import fingerprint
from transfer_core.data.images.thumbnails import thumbnail
from transfer_core.data.parallel import map_ahead
from transfer_core.data.sources.source_file import SourceFile
from transfer_core.errors import UnreadableImageError
from transfer_core.inference.predictor import Prediction, Predictor
from transfer_core.language import _
from transfer_core.types import Array, OnProgress

_BATCH_SIZE = 32
_THUMBNAIL_SIDE = 96
# A spreadsheet takes a cell that begins so for a formula, and would act on it.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Answer:
    """What a model says about one file.

    Args:
        position: Of the file among all that were given, from 0.
        path: Its place in the source, for people.
        prediction: None where the file is no whole picture.
        reason: Why it was left out; empty where it was not.
        thumbnail: A small JPEG of it; empty where there is no picture.
        image_id: Hash of its pixels, as of an image of a dataset.
        fingerprint: Perceptual hash in hexadecimal digits, as of an image of a dataset.
    """

    position: int
    path: str
    prediction: Prediction | None
    reason: str = ""
    thumbnail: bytes = b""
    image_id: str = ""
    fingerprint: str = ""


@dataclass(frozen=True)
class _Decoded:
    pixels: Array | None
    thumbnail: bytes = b""
    reason: str = ""
    image_id: str = ""
    fingerprint: str = ""


def answer_files(
    predictor: Predictor,
    files: Iterable[SourceFile],
    progress: OnProgress | None = None,
) -> list[Answer]:
    """Score files in batches, the next ones being decoded meanwhile; memory stays bounded.

    Args:
        predictor: A finished run.
        files: From one of the sources. What an operating system put there is passed over.
        progress: Called with the number of files done and their number in all.

    Returns:
        An answer for each other file, in their order.
    """
    wanted = [(position, file) for position, file in enumerate(files) if not file.is_system_file]
    decode = partial(_decode, image_size=predictor.image_size)
    decoded = map_ahead(decode, [file for _position, file in wanted], num_ahead=2 * _BATCH_SIZE)
    answers: list[Answer] = []
    while batch := list(islice(decoded, _BATCH_SIZE)):
        pixels = [one.pixels for one in batch if one.pixels is not None]
        predictions = iter(predictor.predict_pixels(np.stack(pixels)) if pixels else [])
        for one, (position, file) in zip(batch, wanted[len(answers) :], strict=False):
            prediction = None if one.pixels is None else next(predictions)
            known_by = one.image_id, one.fingerprint
            answers.append(Answer(position, file.path, prediction, one.reason, one.thumbnail, *known_by))
        if progress:
            progress(len(answers), len(wanted))
    return answers


def least_sure_first(answers: Iterable[Answer]) -> list[tuple[Answer, Prediction]]:
    """Return those that are pictures, first what the model does not know, then the least certain."""
    scored = [(answer, answer.prediction) for answer in answers if answer.prediction]
    return sorted(scored, key=lambda pair: (pair[1].is_known, pair[1].probability))


def answers_csv(class_names: Sequence[str], answers: Iterable[Answer]) -> bytes:
    """Write answers as a table for a spreadsheet: UTF-8 with a mark that Excel knows it by, certainties in 0-1.

    Args:
        class_names: Each gets a column, in this order.
        answers: Also those of files that were left out, with the reason.
    """
    buffer = io.StringIO()
    table = csv.writer(buffer)
    heads = [_("File"), _("Answer"), _("Best guess"), _("Certainty"), *class_names, _("Left out because")]
    table.writerow(map(_as_text, heads))
    for answer in answers:
        table.writerow(_row(class_names, answer))
    return buffer.getvalue().encode("utf-8-sig")


def _row(class_names: Sequence[str], answer: Answer) -> list[str]:
    found = answer.prediction
    if found is None:
        return [_as_text(answer.path), *[""] * (3 + len(class_names)), _as_text(answer.reason)]
    said = found.class_name if found.is_known else _("I don't know")
    scores = [f"{found.probabilities[name]:.6f}" for name in class_names]
    return [*map(_as_text, (answer.path, said, found.class_name)), f"{found.probability:.6f}", *scores, ""]


def _as_text(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell


def _decode(file: SourceFile, image_size: int) -> _Decoded:
    try:
        image = decode_image(file.read())
    except UnreadableImageError as error:
        return _Decoded(None, reason=str(error))
    pixels, known_by = to_pixels(image, image_size), (image_id(image), fingerprint(image))
    return _Decoded(pixels, thumbnail(image, _THUMBNAIL_SIDE), "", *known_by)
