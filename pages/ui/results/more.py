"""The last part of the Results page: accuracy on each set of photos, test photos, and the learning curve."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.page import guarded
from pages.ui.app.session import Session
from pages.ui.app.words import labelled, plain
from pages.ui.results.learning_curve import show_learning_curve
from pages.ui.results.new_photos import show_new_photos
from pages.ui.results.photo_sets import PhotoSet
from transfer_core.data.checks.series_check import check_series
from transfer_core.evaluation.evaluation import (
    Evaluation,
    measured_sentence,
    seen_in_training_sentence,
)
from transfer_core.language import _, number, percent, percent_range, plural, sentences
from transfer_core.runs.run_evaluation import none_left
from transfer_core.runs.training_run import TrainingRun

# A gap between training and validation accuracy that is worth a hint.
_GAP = 0.15
_FEW_IMAGES = 100


def show_more(session: Session, run: TrainingRun, sets: Mapping[str, PhotoSet]) -> None:
    """Draw the accuracy of a run on all photos that it can be scored on, and ways to measure more."""
    evaluations: dict[str, Evaluation] = {}
    for found in sets.values():
        # A damaged photo of one set is no reason not to show the others, or not to remove it.
        guarded(_evaluate)(found, evaluations)
    if evaluations:
        st.header(_("Accuracy"), anchor=False)
        _show_accuracies(sets, evaluations)
        _show_in_words(sets, evaluations)
        _show_series(run, sets.get("validation"))
        if "train" in sets and "test" not in sets and _has_test_photos(sets["train"]):
            st.caption(none_left("test"))
        _show_more_metrics(next(iter(evaluations.values())))
    guarded(show_new_photos)(session, run)
    guarded(show_learning_curve)(run)


def _has_test_photos(found: PhotoSet) -> bool:
    return found.dataset is not None and bool(found.dataset.images_in("test"))


def _evaluate(found: PhotoSet, evaluations: dict[str, Evaluation]) -> None:
    evaluations[found.name] = found.evaluation()


def _show_accuracies(sets: Mapping[str, PhotoSet], evaluations: Mapping[str, Evaluation]) -> None:
    has_folds = "validation" in evaluations and evaluations["validation"].num_folds > 1
    helps = {
        "validation": explain("cross-validation" if has_folds else "validation"),
        "train": _("Photos it has learned from. It may know these by heart."),
        "test": explain("test images"),
        "new": _("Photos that you brought only to test it."),
    }
    with st.container(horizontal=True):
        for name, evaluation in evaluations.items():
            count = plural("{count} photo", "{count} photos", evaluation.num_images)
            interval = f"{percent_range(*evaluation.accuracy_interval)} · {count}"
            st.metric(
                sets[name].title,
                percent(evaluation.accuracy),
                delta=count if name == "train" else interval,
                delta_color="off",
                delta_arrow="off",
                help=helps[name],
                border=True,
                height="stretch",
            )


def _show_in_words(sets: Mapping[str, PhotoSet], evaluations: Mapping[str, Evaluation]) -> None:
    validation = evaluations.get("validation")
    parts = [measured_sentence(validation)] if validation else []
    if validation and not parts[0] and not {"test", "new"} & evaluations.keys():
        parts = [_("Probably slightly lower in real use.")]
    if min(evaluation.num_images for evaluation in evaluations.values()) < _FEW_IMAGES:
        parts.append(_("More photos would make this more precise."))
    st.caption(sentences(*parts))
    for name, evaluation in evaluations.items():
        if evaluation.num_seen_in_training:
            st.caption(labelled(sets[name].title, seen_in_training_sentence(evaluation)))
    if validation and "train" in evaluations and evaluations["train"].accuracy - validation.accuracy > _GAP:
        st.info(
            _(
                "It does much better on its training photos: it learned some by heart (overfitting). "
                "More photos, stronger augmentation or more frozen layers help."
            ),
            icon=":material/lightbulb:",
        )


def _show_series(run: TrainingRun, validation: PhotoSet | None) -> None:
    """Draw what series of photos mean for the accuracy. A run from before they were looked for had another split."""
    dataset = validation.dataset if validation else None
    if dataset and 0 < dataset.series_version <= run.dataset_version:
        for problem in check_series(dataset):
            st.caption(f":material/burst_mode: {plain(problem.sentence)}")


def _show_more_metrics(evaluation: Evaluation) -> None:
    with st.container(horizontal=True, key="facts-evaluation"):
        if evaluation.top2_accuracy is not None:
            st.metric(_("Top-2 accuracy"), percent(evaluation.top2_accuracy), help=explain("top-2"))
        st.metric(_("Log loss"), number(evaluation.log_loss, 3), help=explain("log loss"))
        if evaluation.roc_auc is not None:
            st.metric(_("AUC, average"), number(evaluation.roc_auc, 3), help=explain("roc"))
