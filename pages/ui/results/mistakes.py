"""The mistakes part of the Results page: confusion matrix and galleries of photos, with fixes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.pictures import thumbnails
from pages.ui.app.session import Session
from pages.ui.app.words import plain, short_names
from pages.ui.components.gallery import IMAGES_A_PAGE, show_tiles
from pages.ui.images.edits import show_last_edit
from pages.ui.images.problems import show_label_check
from pages.ui.results.photo_sets import PhotoSet, choose_set, photo_sets
from pages.ui.results.plots import show_confusion_matrix
from pages.ui.results.retrain import show_retrain
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import ImageRecord
from transfer_core.evaluation.evaluation import Evaluation, ImageOutcome
from transfer_core.evaluation.outcomes import (
    in_cell,
    least_sure,
    most_typical,
    most_wrong,
)
from transfer_core.language import _, plural
from transfer_core.runs.training_run import TrainingRun

_SHOWN = 12
_CLASSES_NAMED = 2


def show_mistakes(session: Session, run: TrainingRun) -> None:
    """Draw the confusion matrix, lists of photos, and the offer to train again."""
    sets = photo_sets(run)
    if not sets:
        st.info(_("This run has not been checked on photos yet."), icon=":material/info:")
        return
    chosen = choose_set(sets)
    evaluation = chosen.evaluation()
    _show_matrix(chosen, evaluation)
    _show_lists(session, chosen, evaluation)
    if chosen.dataset is not None and chosen.name != "new":
        show_last_edit(chosen.dataset)
        show_retrain(session, run, chosen.dataset)


def _show_matrix(chosen: PhotoSet, evaluation: Evaluation) -> None:
    st.subheader(_("What was taken for what"), anchor=False, help=explain("confusion matrix"))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(_("Click a square to see its photos. The diagonal is right."))
        as_rates = st.toggle(_("As shares of each class"), key="confusion-rates")
    cell = show_confusion_matrix(evaluation, as_rates=as_rates, key=f"confusion-{chosen.name}")
    if cell is None:
        return
    outcomes = in_cell(evaluation, *cell)
    true, said = map(plain, cell)
    if not outcomes:
        st.markdown(_("No photo of {true} was taken for {said}.").format(true=true, said=said))
        return
    count = plural("{count} photo", "{count} photos", len(outcomes))
    if cell[0] == cell[1]:
        text = _("**{photos}** of {true}, and rightly called that.").format(photos=count, true=true)
    else:
        text = _("**{photos}** of **{true}** that the network took for **{said}**.").format(
            photos=count, true=true, said=said
        )
    st.markdown(text)
    _show_photos(chosen, evaluation, outcomes[:IMAGES_A_PAGE], key="cell-photos")


def _show_lists(session: Session, chosen: PhotoSet, evaluation: Evaluation) -> None:
    st.subheader(_("Photos worth a look"), anchor=False)
    st.caption(_("Under each photo: its label, and what the network says."))
    kinds = {
        "wrong": _("Most wrong"),
        "unsure": _("Least sure"),
        "typical": _("Most typical"),
        "labels": _("Labels that may be wrong"),
    }
    kind = st.segmented_control(
        _("Which photos"),
        list(kinds),
        default="wrong",
        required=True,
        format_func=kinds.__getitem__,
        key="results-list",
        label_visibility="collapsed",
    )
    if kind == "typical":
        name = st.selectbox(
            _("Class"),
            evaluation.class_names,
            format_func=short_names(evaluation.class_names).__getitem__,
            help=explain("most typical"),
            key="typical-class",
            width=260,
        )
        outcomes = most_typical(evaluation, name)
    elif kind == "labels":
        _show_suspicions(session, chosen.dataset)
        return
    else:
        outcomes = most_wrong(evaluation) if kind == "wrong" else least_sure(evaluation)
    if not outcomes:
        st.caption(_("There are none."))
        return
    _show_photos(chosen, evaluation, outcomes[:_SHOWN], key=f"list-{kind}")


def _show_suspicions(session: Session, dataset: ImageDataset | None) -> None:
    """Draw photos of all splits whose label is likely wrong."""
    if dataset is None:
        st.caption(_("The photos of this run are gone."))
        return
    st.caption(
        _(
            "The other photos speak for another label. Change it, or say that it is right: then the photo is not "
            "listed again."
        )
    )
    show_label_check(session, dataset)
    found = session.suspicions_about(dataset)[:_SHOWN]
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


def _show_photos(
    chosen: PhotoSet, evaluation: Evaluation, outcomes: Sequence[ImageOutcome], key: str
) -> None:
    """Draw photos with their predictions, and actions if their files are available."""
    dataset = chosen.dataset
    shown = []
    for outcome in outcomes:
        image = dataset.find(outcome.image_id) if dataset else None
        if image:
            shown.append((outcome, image))
    if dataset is None or not shown:
        for outcome in outcomes:
            st.markdown(f"- {plain(outcome.name)}: {plain(_prediction_words(evaluation, outcome))}")
        return
    out = dataset.excluded_by_id
    sources = thumbnails(tuple(str(dataset.image_path(image)) for _outcome, image in shown))
    tiles = [
        _tile(evaluation, outcome, image, source, is_out=image.id in out)
        for (outcome, image), source in zip(shown, sources, strict=True)
    ]
    show_tiles(dataset, tiles, key, can_confirm=True)


def _tile(
    evaluation: Evaluation, outcome: ImageOutcome, image: ImageRecord, source: str, *, is_out: bool
) -> dict[str, Any]:
    change = _change_words(outcome, image, is_out)
    return {
        "id": image.id,
        "source": source,
        "label": f"{outcome.class_name}{change}",
        "note": _prediction_words(evaluation, outcome),
        "alt": _("{name}, class {class_name}").format(name=image.name, class_name=image.class_name),
    }


def _change_words(outcome: ImageOutcome, image: ImageRecord, is_out: bool) -> str:
    """Return what has changed about a photo since it was scored."""
    if is_out:
        return _(" → left out")
    if image.class_name != outcome.class_name:
        return _(" → {name}").format(name=image.class_name)
    return _(" ✓ looked at") if image.is_confirmed else ""


def _prediction_words(evaluation: Evaluation, outcome: ImageOutcome) -> str:
    """Return the most probable classes with their probabilities."""
    if not outcome.probabilities:
        return f"{outcome.predicted_class_name} {outcome.probability:.0%}"
    pairs = zip(outcome.probabilities, evaluation.class_names, strict=True)
    # The first of equally probable classes is the answer; by name another would stand first.
    best = sorted(pairs, key=lambda pair: -pair[0])[:_CLASSES_NAMED]
    return " · ".join(f"{name} {share:.0%}" for share, name in best)
