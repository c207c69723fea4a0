"""The overview part of the Results page: accuracy with its interval, and metrics of each class."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.page import guarded, link_to_next
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from pages.ui.app.words import plain
from pages.ui.results.learning_curve import show_learning_curve
from pages.ui.results.new_photos import show_new_photos
from pages.ui.results.photo_sets import PhotoSet, choose_set, photo_sets
from pages.ui.results.plots import show_class_curves
from transfer_core.data.checks.series_check import check_series
from transfer_core.evaluation.evaluation import (
    Evaluation,
    measured_sentence,
    occasion_sentence,
    seen_in_training_sentence,
)
from transfer_core.language import _, plural
from transfer_core.runs.run_evaluation import none_left
from transfer_core.runs.training_run import TrainingRun

# A larger gap than this between photos it knows and photos it does not is worth a word.
_GAP = 0.15
_FEW_IMAGES = 100


def show_overview(session: Session, run: TrainingRun) -> None:
    """Draw the metrics of a run on all photos that it can be scored on."""
    sets = photo_sets(run)
    if not sets:
        st.info(_("This run has not been checked on photos yet."), icon=":material/info:")
        return
    evaluations: dict[str, Evaluation] = {}
    for found in sets.values():
        # A damaged photo of one set is no reason not to show the others, or not to let it go.
        guarded(_evaluate)(found, evaluations)
    if evaluations:
        _show_side_by_side(sets, evaluations)
        _show_in_words(sets, evaluations)
        _show_series(run, sets.get("validation"))
        if "train" in sets and "test" not in sets and _has_test_photos(sets["train"]):
            st.caption(none_left("test"))
        link_to_next(Step.TEST, _("Next: test it on new photos"))
    guarded(show_new_photos)(session, run)
    guarded(show_learning_curve)(run)
    if evaluations:
        _show_class_by_class(sets, evaluations)


def _has_test_photos(found: PhotoSet) -> bool:
    return found.dataset is not None and bool(found.dataset.images_in("test"))


def _evaluate(found: PhotoSet, evaluations: dict[str, Evaluation]) -> None:
    evaluations[found.name] = found.evaluation()


def _show_class_by_class(sets: dict[str, PhotoSet], evaluations: dict[str, Evaluation]) -> None:
    st.subheader(_("Class by class"), anchor=False)
    chosen = choose_set({name: sets[name] for name in evaluations})
    evaluation = evaluations[chosen.name]
    _show_classes(evaluation)
    _show_more_numbers(evaluation)
    _show_curves(evaluation)


def _show_side_by_side(sets: dict[str, PhotoSet], evaluations: dict[str, Evaluation]) -> None:
    helps = {
        "validation": explain("cross-validation" if _has_folds(evaluations) else "validation"),
        "train": _(
            "Photos it has learned from. Being right on these says little: they can be learned by heart."
        ),
        "test": explain("test images"),
        "new": _("Photos that you brought only to test it. It has never met them."),
    }
    with st.container(horizontal=True):
        for name, evaluation in evaluations.items():
            lowest, highest = evaluation.accuracy_interval
            count = plural("{count} photo", "{count} photos", evaluation.num_images)
            st.metric(
                _("Right on: {title}").format(title=sets[name].title),
                f"{evaluation.accuracy:.0%}",
                delta=count
                if name == "train"
                else _("{lowest:.0%} to {highest:.0%} · {photos}").format(
                    lowest=lowest, highest=highest, photos=count
                ),
                delta_color="off",
                delta_arrow="off",
                help=helps[name],
                border=True,
                height="stretch",
            )


def _has_folds(evaluations: dict[str, Evaluation]) -> bool:
    return "validation" in evaluations and evaluations["validation"].num_folds > 1


def _show_in_words(sets: dict[str, PhotoSet], evaluations: dict[str, Evaluation]) -> None:
    name = next(name for name in ("test", "new", "validation", "train") if name in evaluations)
    evaluation = evaluations[name]
    lowest, highest = evaluation.accuracy_interval
    sentences = [
        _(
            "On new photos of the same kind it is probably right in between **{lowest:.0%} and {highest:.0%}** of "
            "cases: {count} photos were tested."
        ).format(lowest=lowest, highest=highest, count=evaluation.num_images)
    ]
    measured = measured_sentence(evaluations["validation"]) if "validation" in evaluations else ""
    if measured:
        st.caption(measured)
    elif name == "validation":
        sentences.append(
            _("Probably slightly lower in real use: the validation photos also picked the kept epoch.")
        )
    if evaluation.num_images < _FEW_IMAGES:
        sentences.append(_("More test photos would narrow this down."))
    st.markdown(" ".join(sentences), help=explain("confidence interval"))
    if "validation" in evaluations:
        for other in {"test", "new"} & evaluations.keys():
            differs = occasion_sentence(evaluations["validation"], evaluations[other])
            if differs:
                st.warning(differs, icon=":material/warning:")
    for title, scored in (
        (sets[name].title, one) for name, one in evaluations.items() if one.num_seen_in_training
    ):
        st.caption(f"{title}: {seen_in_training_sentence(scored)}")
    if {"train", "validation"} <= evaluations.keys():
        gap = evaluations["train"].accuracy - evaluations["validation"].accuracy
        if gap > _GAP:
            st.info(
                _(
                    "It does much better on photos it learned from than on others: a part was learned by heart "
                    "(overfitting). More photos, stronger augmentation or more frozen layers help."
                ),
                icon=":material/lightbulb:",
            )


def _show_series(run: TrainingRun, validation: PhotoSet | None) -> None:
    """Draw what series of photos mean for the accuracy. A run from before they were looked for had another split."""
    dataset = validation.dataset if validation else None
    if dataset and 0 < dataset.series_version <= run.dataset_version:
        for problem in check_series(dataset):
            st.caption(f":material/burst_mode: {plain(problem.sentence)}")


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
            "class": _("All, each class counts the same"),
            **evaluation.macro,
            "support": evaluation.num_images,
            "area": evaluation.roc_auc,
        },
        {
            "class": _("All, each photo counts the same"),
            **evaluation.weighted,
            "support": evaluation.num_images,
        },
    ]
    share: Any = {"format": "percent", "min_value": 0.0, "max_value": 1.0, "color": "#14828c"}
    st.dataframe(
        pd.DataFrame(rows).round(3),
        hide_index=True,
        placeholder="–",
        column_config={
            "class": st.column_config.TextColumn(_("Class"), width="medium"),
            "precision": st.column_config.ProgressColumn(
                _("Right when it says so"), help=_precise("precision", _("Precision")), **share
            ),
            "recall": st.column_config.ProgressColumn(
                _("Found"), help=_precise("recall", _("Recall")), **share
            ),
            "f1": st.column_config.ProgressColumn(_("Both (F1)"), help=explain("f1"), **share),
            "support": st.column_config.NumberColumn(_("Photos"), format="%d"),
            "area": st.column_config.NumberColumn(_("AUC"), help=explain("roc"), format="%.3f"),
        },
        key="classes",
    )


def _precise(term: str, name: str) -> str:
    return f"{name}: {explain(term)}"


def _show_more_numbers(evaluation: Evaluation) -> None:
    with st.container(horizontal=True, key="facts-evaluation"):
        if evaluation.top2_accuracy is not None:
            st.metric(_("In the first two (top-2)"), f"{evaluation.top2_accuracy:.1%}", help=explain("top-2"))
        st.metric(_("Log loss"), f"{evaluation.log_loss:.3f}", help=explain("log loss"))
        if evaluation.roc_auc is not None:
            st.metric(_("AUC, mean of the classes"), f"{evaluation.roc_auc:.3f}", help=explain("roc"))


def _show_curves(evaluation: Evaluation) -> None:
    if not evaluation.roc_curves:
        return
    with st.expander(_("For experts: ROC and precision-recall curves"), icon=":material/show_chart:"):
        left, right = st.columns(2)
        with left:
            st.markdown(_("**ROC** (area under the curve)"), help=explain("roc"))
            show_class_curves(
                evaluation.roc_curves, _("others wrongly taken for it"), _("found"), key="roc-curves"
            )
        with right:
            st.markdown(_("**Precision and recall** (average precision)"), help=explain("precision-recall"))
            show_class_curves(
                evaluation.precision_recall_curves, _("found"), _("right when it says so"), key="pr-curves"
            )
