"""Photos of an evaluation with the prediction of each, and the actions on them."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from pages.ui.app.paging import page_of
from pages.ui.app.pictures import thumbnails
from pages.ui.app.words import labelled, plain
from pages.ui.components.gallery import show_tiles
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import ImageRecord
from transfer_core.evaluation.evaluation import ImageOutcome
from transfer_core.language import _, percent

_PHOTOS_A_PAGE = 24


def show_photos(
    dataset: ImageDataset | None, outcomes: Sequence[ImageOutcome], key: str, *, side: int = 288
) -> None:
    """Draw photos with their predictions, and actions if their files are available.

    Args:
        dataset: The photos; None if they were deleted.
        outcomes: In the order on screen.
        key: Unique for each list of a page.
        side: Of the square that a thumbnail fits into, in pixels.
    """
    shown = []
    for outcome in outcomes:
        image = dataset.find(outcome.image_id) if dataset else None
        if image:
            shown.append((outcome, image))
    if dataset is None or not shown:
        for outcome in outcomes:
            name = outcome.name or _("Deleted photo")
            st.markdown(f"- {labelled(plain(name), plain(prediction_words(outcome)))}")
        return
    tiles_area = st.container()
    # Below the photos, which come first.
    _first, page = page_of(shown, _PHOTOS_A_PAGE, f"{key}-page")
    sources = thumbnails(tuple(str(dataset.image_path(image)) for _outcome, image in page), side)
    tiles = [
        {
            "id": image.id,
            "source": source,
            "label": prediction_words(outcome),
            "note": _change_words(outcome, image, dataset),
            "alt": _("{name}, class {class_name}").format(name=image.name, class_name=image.class_name),
        }
        for (outcome, image), source in zip(page, sources, strict=True)
    ]
    with tiles_area:
        show_tiles(dataset, tiles, key, can_confirm=True)


def prediction_words(outcome: ImageOutcome) -> str:
    """Return the class of a photo and what the model said, such as `"daisy, said dandelion (71 %)"`."""
    confidence = percent(outcome.probability)
    if outcome.is_right:
        return _("{name} ({confidence})").format(name=outcome.class_name, confidence=confidence)
    return _("{true}, said {said} ({confidence})").format(
        true=outcome.class_name, said=outcome.predicted_class_name, confidence=confidence
    )


def _change_words(outcome: ImageOutcome, image: ImageRecord, dataset: ImageDataset) -> str:
    """Return what has changed about a photo since it was scored."""
    if image.id in dataset.excluded_by_id:
        return _("now excluded")
    if image.class_name != outcome.class_name:
        return _("now {name}").format(name=image.class_name)
    return _("label is right") if image.is_confirmed else ""
