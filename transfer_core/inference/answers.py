"""Batch prediction for many image files, with thumbnails for a page and a CSV export."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np

from transfer_core.data.images.decoding import image_id
from transfer_core.data.images.image_path import to_pixels
from transfer_core.data.images.similarity import fingerprint
from transfer_core.data.images.thumbnails import thumbnail
from transfer_core.data.parallel import map_ahead
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.errors import UnreadableImageError
from transfer_core.inference.predictor import Prediction, Predictor
from transfer_core.language import _
from transfer_core.types import Array, OnProgress

_BATCH_SIZE = 32
_THUMBNAIL_SIDE = 96
# A spreadsheet runs a cell that begins with one of these as a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Answer:
    """Prediction for one file, or the reason why there is none.

    Args:
        position: Index among all given files, from 0.
        path: Path inside the upload, for display.
        prediction: None if the file is no readable image.
        reason: Why the file was left out; empty if it has a prediction.
        thumbnail: JPEG of at most 96 px; empty without an image.
        image_id: Hash of the decoded pixels, comparable with `ImageRecord.id`.
        fingerprint: Perceptual hash in hexadecimal digits, comparable with `ImageRecord.fingerprint`.
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
    files: Iterable[ImportedFile],
    on_progress: OnProgress | None = None,
) -> list[Answer]:
    """Score files in batches of 32 and decode the next batches meanwhile, which bounds memory.

    Args:
        predictor: Predictor of a finished run.
        files: Uploaded files; system files such as `.DS_Store` are skipped.
        on_progress: Called after each batch with the number of files done and the total.

    Returns:
        One answer per file that is not skipped, in the given order.
    """
    wanted = [(position, file) for position, file in enumerate(files) if not file.is_system_file]
    decode = partial(_decode, predictor)
    decoded = map_ahead(decode, [file for _position, file in wanted], num_ahead=2 * _BATCH_SIZE)
    answers: list[Answer] = []
    while batch := list(islice(decoded, _BATCH_SIZE)):
        pixels = [image.pixels for image in batch if image.pixels is not None]
        predictions = iter(predictor.predict_pixels(np.stack(pixels)) if pixels else [])
        for image, (position, file) in zip(batch, wanted[len(answers) :], strict=False):
            prediction = None if image.pixels is None else next(predictions)
            hashes = image.image_id, image.fingerprint
            answers.append(Answer(position, file.path, prediction, image.reason, image.thumbnail, *hashes))
        if on_progress:
            on_progress(len(answers), len(wanted))
    return answers


def least_sure_first(answers: Iterable[Answer]) -> list[tuple[Answer, Prediction]]:
    """Return the answers that have a prediction, rejected ones first, then by rising probability."""
    scored = [(answer, answer.prediction) for answer in answers if answer.prediction]
    return sorted(scored, key=lambda pair: (pair[1].is_known, pair[1].probability))


def answers_csv(class_names: Sequence[str], answers: Iterable[Answer]) -> bytes:
    """Return answers as CSV with one column per class: UTF-8 with the BOM that Excel needs, probabilities in 0-1.

    Cells that a spreadsheet would run as a formula are quoted. Files without a prediction keep a row with the reason.
    """
    buffer = io.StringIO()
    table = csv.writer(buffer)
    header = [_("File"), _("Answer"), _("Best guess"), _("Certainty"), *class_names, _("Skipped because")]
    table.writerow(map(_as_text, header))
    for answer in answers:
        table.writerow(_row(class_names, answer))
    return buffer.getvalue().encode("utf-8-sig")


def _row(class_names: Sequence[str], answer: Answer) -> list[str]:
    prediction = answer.prediction
    if prediction is None:
        return [_as_text(answer.path), *[""] * (3 + len(class_names)), _as_text(str(answer.reason))]
    shown_class = prediction.class_name or _("I don't know")
    names = map(_as_text, (answer.path, shown_class, prediction.best_guess))
    scores = [f"{prediction.probabilities[name]:.6f}" for name in class_names]
    return [*names, f"{prediction.probability:.6f}", *scores, ""]


def _as_text(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell


def _decode(predictor: Predictor, file: ImportedFile) -> _Decoded:
    try:
        image = predictor.decode(file.read(), file.parts[-1])
    except UnreadableImageError as error:
        return _Decoded(None, reason=str(error))
    pixels, hashes = to_pixels(image, predictor.image_size), (image_id(image), fingerprint(image))
    return _Decoded(pixels, thumbnail(image, _THUMBNAIL_SIDE), "", *hashes)
