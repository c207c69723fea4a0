"""Photos as thumbnails of which one is picked."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from pages.ui.app.pictures import data_url
from pages.ui.app.process import answer_version, predictor
from pages.ui.components.photo_picker import pick_photo
from transfer_core.data.images.thumbnails import thumbnail
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.errors import UnreadableImageError
from transfer_core.runs.training_run import TrainingRun

_THUMBNAIL_SIDE = 144  # pixels


def choose_photo(run: TrainingRun, photos: Mapping[str, ImportedFile], label: str) -> str:
    """Draw thumbnails, and return the id of the photo that is picked; the first at the start.

    Args:
        run: Its model decodes the photos.
        photos: By id, at least one. An unreadable photo has an empty thumbnail.
        label: Says what the photos are.
    """
    shown = [
        {"id": photo_id, "source": photo_address(run, photo, _THUMBNAIL_SIDE), "label": photo.name}
        for photo_id, photo in photos.items()
    ]
    # Keyed by the photos, so that a new one is picked at once.
    return pick_photo(shown, label, f"photo-strip-{run.id}-{hash(tuple(photos))}", is_compact=True)


def photo_address(run: TrainingRun, photo: ImportedFile, side: int) -> str:
    """Return the address of a small copy of a photo; empty if it cannot be read."""
    try:
        return data_url(small_copy(run.id, answer_version(run.id), photo.read(), side))
    except UnreadableImageError:
        return ""


@st.cache_data(show_spinner=False, max_entries=500)
def small_copy(run_id: str, version: tuple[int, ...], content: bytes, side: int) -> bytes:
    """Return a copy of a photo as a JPEG, in the colours that the model sees.

    Raises:
        UnreadableImageError: If the bytes are no complete image.
    """
    return thumbnail(predictor(run_id).decode(content), side, quality=88)
