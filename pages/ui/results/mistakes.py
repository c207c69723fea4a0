"""The first part of the Results page: the photos that the model gets wrong, and the ways to fix that."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.ui.app.glossary import explain
from pages.ui.app.pictures import thumbnails
from pages.ui.app.session import Session
from pages.ui.app.words import short_names
from pages.ui.components.gallery import show_tiles
from pages.ui.images.edits import show_last_edit
from pages.ui.images.problems import show_label_check
from pages.ui.results.photo_sets import PhotoSet, choose_set, show_not_evaluated
from pages.ui.results.photos import show_photos
from pages.ui.results.retrain import show_retrain
from transfer_core.data.dataset import ImageDataset
from transfer_core.evaluation.evaluation import Evaluation
from transfer_core.evaluation.outcomes import least_sure, most_typical, most_wrong
from transfer_core.language import _, plural
from transfer_core.runs.training_run import TrainingRun

_MOST_LISTED = 12


def show_mistakes(session: Session, run: TrainingRun, sets: Mapping[str, PhotoSet]) -> None:
    """Draw the photos of a run worth a look, the mistakes first, and the offer to train again."""
    if not sets:
        show_not_evaluated()
        return
    with st.container(horizontal=True, vertical_alignment="center", key="photos-heading"):
        heading = st.container(width="stretch")
        kind = _choose_kind()
        chosen = choose_set(sets, "mistakes-set")
    if kind == "labels":
        heading.header(_("Labels that may be wrong"), anchor=False)
        _show_suspicions(session, chosen.dataset)
    else:
        _show_outcomes(chosen, kind, heading)
    if chosen.dataset is not None and chosen.name != "new":
        show_last_edit(chosen.dataset)
        show_retrain(session, run, chosen.dataset)


def _choose_kind() -> str:
    kinds = {
        "wrong": _("Mistakes"),
        "unsure": _("Least certain"),
        "typical": _("Most typical"),
        "labels": _("Suspicious labels"),
    }
    return str(
        st.selectbox(
            _("Show"),
            list(kinds),
            format_func=kinds.__getitem__,
            key="results-list",
            label_visibility="collapsed",
            width=180,
        )
    )


def _show_outcomes(chosen: PhotoSet, kind: str, heading: DeltaGenerator) -> None:
    """Draw the mistakes, the least certain or the most typical photos of a set."""
    evaluation = chosen.evaluation()
    wrong = most_wrong(evaluation)
    if kind == "wrong" and wrong:
        title = plural("It got {count} photo wrong", "It got {count} photos wrong", len(wrong))
        heading.header(title, anchor=False)
        show_photos(chosen.dataset, wrong, "list-wrong")
    elif kind == "typical":
        heading.header(_("Most typical photos"), anchor=False, help=explain("most typical"))
        name = _choose_class(evaluation)
        show_photos(chosen.dataset, most_typical(evaluation, name)[:_MOST_LISTED], "list-typical")
    else:
        heading.header(_("Least certain photos") if kind == "unsure" else _("No mistakes"), anchor=False)
        if kind == "wrong":
            st.markdown(_("Well done! It was least certain about these photos."))
        show_photos(chosen.dataset, least_sure(evaluation)[:_MOST_LISTED], f"list-{kind}")


def _choose_class(evaluation: Evaluation) -> str:
    names = evaluation.class_names
    return str(
        st.selectbox(
            _("Class"), names, format_func=short_names(names).__getitem__, key="typical-class", width=260
        )
    )


def _show_suspicions(session: Session, dataset: ImageDataset | None) -> None:
    """Draw photos of all splits whose label is likely wrong."""
    if dataset is None:
        st.caption(_("The photos of this model were deleted."))
        return
    st.caption(_("Similar photos have another label. Change the label, or say that it is right."))
    show_label_check(session, dataset)
    found = session.suspicions_about(dataset)[:_MOST_LISTED]
    if not found:
        return
    images = [dataset.by_id[suspicion.image_id] for suspicion in found]
    sources = thumbnails(tuple(str(dataset.image_path(image)) for image in images))
    tiles = [
        {
            "id": image.id,
            "source": source,
            "label": image.class_name,
            "note": _("looks like {name}").format(name=suspicion.suggested),
            "alt": _("{name}, class {class_name}").format(name=image.name, class_name=image.class_name),
        }
        for suspicion, image, source in zip(found, images, sources, strict=True)
    ]
    show_tiles(dataset, tiles, "list-labels", can_confirm=True)
