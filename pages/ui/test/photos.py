"""One photo out of several: picked by its thumbnail, shown large, with its answer."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from pages.ui.app.pictures import data_url
from pages.ui.app.process import answer_version, predictor
from pages.ui.app.words import plain
from pages.ui.components.photo_strip import pick_photo
from pages.ui.test.answer import prediction_of, show_answer
from transfer_core.data.images.thumbnails import thumbnail
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.errors import UnreadableImageError
from transfer_core.language import _
from transfer_core.runs.training_run import TrainingRun

SHOWN_SIDE = 640  # pixels
_THUMBNAIL_SIDE = 136


def choose_photo(run: TrainingRun, photos: Sequence[ImportedFile], key: str) -> ImportedFile:
    """Draw thumbnails, and return the photo that is picked; the first at the start.

    Args:
        run: Its model decodes the photos.
        photos: At least one. The thumbnail of one that cannot be read is empty.
        key: Unique for these photos.
    """
    sources = [_source(run, photo) for photo in photos]
    names = [photo.name for photo in photos]
    return photos[pick_photo(list(zip(sources, names, strict=True)), _("Photos"), key)]


def _source(run: TrainingRun, photo: ImportedFile) -> str:
    try:
        return data_url(small_copy(run.id, answer_version(run.id), photo.read(), _THUMBNAIL_SIDE))
    except UnreadableImageError:
        return ""


def show_photo_answer(run: TrainingRun, content: bytes, name: str) -> None:
    """Draw a photo and its answer below it.

    Args:
        run: A run with a model.
        content: The bytes of the photo's file.
        name: Of its file.
    """
    version = answer_version(run.id)
    try:
        prediction = prediction_of(run.id, version, content)
    except UnreadableImageError as error:
        st.error(_("{name} was left out: {reason}.").format(name=plain(name), reason=error))
        return
    st.image(small_copy(run.id, version, content, SHOWN_SIDE), alt=name, width="stretch")
    show_answer(prediction)


@st.cache_data(show_spinner=False, max_entries=500)
def small_copy(run_id: str, version: tuple[int, ...], content: bytes, side: int) -> bytes:
    """Return a copy of a photo as a JPEG, as the model sees its colours.

    Raises:
        UnreadableImageError: If the bytes are no complete image.
    """
    return thumbnail(predictor(run_id).decode(content), side, quality=88)
