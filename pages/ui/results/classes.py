"""The confusion matrix with the photos of each cell, and precision and recall by class: a part of the Results page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.page import guarded
from pages.ui.app.session import Session
from pages.ui.app.words import percent_format, plain
from pages.ui.components.confusion_matrix import choose_cell
from pages.ui.images.edits import show_last_edit
from pages.ui.results.photo_sets import PhotoSet, choose_set, show_not_evaluated
from pages.ui.results.photos import show_photos
from pages.ui.results.plots import show_class_curves
from pages.ui.results.retrain import show_retrain
from transfer_core.evaluation.evaluation import Evaluation
from transfer_core.evaluation.outcomes import in_cell
from transfer_core.language import _
from transfer_core.runs.training_run import TrainingRun

# From this many classes on, the photos of a cell get a third of the width in place of two fifths.
_MANY_CLASSES = 8


def show_class_by_class(session: Session, run: TrainingRun, sets: Mapping[str, PhotoSet]) -> None:
    """Draw the confusion matrix of a set of photos, and the metrics of each class."""
    if not sets:
        show_not_evaluated()
        return
    with st.container(horizontal=True, vertical_alignment="center", key="matrix-heading"):
        heading = st.container(width="stretch")
        chosen = choose_set(sets, "classes-set")
    heading.header(_("Confusion matrix"), anchor=False, help=explain("confusion matrix"))
    evaluation = chosen.evaluation()
    st.fragment(guarded(_show_matrix))(chosen, evaluation, f"confusion-{run.id}-{chosen.name}")
    if chosen.dataset is not None and chosen.name != "new":
        show_last_edit(chosen.dataset)
        show_retrain(session, run, chosen.dataset)
    st.header(_("Precision and recall"), anchor=False)
    _show_classes(evaluation)
    _show_curves(evaluation)


def _show_matrix(chosen: PhotoSet, evaluation: Evaluation, key: str) -> None:
    """Draw the matrix, and beside it the photos of the cell that the person picks."""
    widths = (2, 1) if len(evaluation.class_names) > _MANY_CLASSES else (3, 2)
    left, right = st.columns(widths, gap="medium")
    with left:
        class_name, said = choose_cell(evaluation, key)
    with right:
        outcomes = in_cell(evaluation, class_name, said)
        st.subheader(cell_words(class_name, said, len(outcomes)), anchor=False)
        if outcomes:
            show_photos(chosen.dataset, outcomes, key="cell-photos")


def cell_words(class_name: str, said: str, count: int) -> str:
    """Return what a cell of the confusion matrix counts, in Markdown."""
    text = _("{true}, correct: {count}") if class_name == said else _("{true}, said {said}: {count}")
    return text.format(true=plain(class_name), said=plain(said), count=count)


def _show_classes(evaluation: Evaluation) -> None:
    rows = [
        {
            "class": name,
            **measures,
            "area": evaluation.roc_curves[name].area if name in evaluation.roc_curves else None,
        }
        for name, measures in evaluation.per_class.items()
    ]
    rows += [
        {
            "class": _("Average over classes"),
            **evaluation.macro,
            "support": evaluation.num_images,
            "area": evaluation.roc_auc,
        },
        {
            "class": _("Average over photos"),
            **evaluation.weighted,
            "support": evaluation.num_images,
        },
    ]
    share: Any = {"format": percent_format(), "min_value": 0, "max_value": 100, "color": "#14828c"}
    frame = pd.DataFrame(rows).round(3)
    frame[["precision", "recall", "f1"]] *= 100
    st.dataframe(
        frame,
        hide_index=True,
        placeholder="–",
        column_config={
            "class": st.column_config.TextColumn(_("Class"), width="medium"),
            "precision": st.column_config.ProgressColumn(_("Precision"), help=explain("precision"), **share),
            "recall": st.column_config.ProgressColumn(_("Recall"), help=explain("recall"), **share),
            "f1": st.column_config.ProgressColumn(_("F1"), help=explain("f1"), **share),
            "support": st.column_config.NumberColumn(_("Photos"), format="%d"),
            "area": st.column_config.NumberColumn(_("AUC"), help=explain("roc"), format="localized"),
        },
        key="classes",
    )


def _show_curves(evaluation: Evaluation) -> None:
    if not evaluation.roc_curves:
        return
    with st.expander(_("ROC and precision-recall curves"), icon=":material/show_chart:"):
        left, right = st.columns(2)
        with left:
            st.markdown(_("**ROC** (area under the curve)"), help=explain("roc"))
            show_class_curves(evaluation.roc_curves, _("false positive rate"), _("recall"), key="roc-curves")
        with right:
            st.markdown(_("**Precision and recall** (average precision)"), help=explain("precision-recall"))
            show_class_curves(
                evaluation.precision_recall_curves, _("recall"), _("precision"), key="pr-curves"
            )
