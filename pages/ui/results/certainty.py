"""The certainty part of the Results page: calibration, and the limits below which a model rejects photos."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.page import guarded, guarded_callback
from pages.ui.app.process import limits_version, rejection
from pages.ui.app.session import Session, widget_value
from pages.ui.results.photo_sets import PhotoSet, show_not_evaluated
from pages.ui.results.plots import show_coverage, show_reliability
from transfer_core.evaluation.evaluation import Evaluation
from transfer_core.evaluation.outcomes import (
    answered,
    coverage_curve,
    probability_for_coverage,
    probability_for_error,
)
from transfer_core.inference.calibration import MIN_IMAGES as MIN_IMAGES_TO_CALIBRATE
from transfer_core.inference.rejection import DEFAULT_SHARE, REJECTION_FILE, Rejection
from transfer_core.inference.rejection import MIN_IMAGES as MIN_IMAGES_TO_REFUSE
from transfer_core.language import _, number, percent, sentences
from transfer_core.locks import changing
from transfer_core.runs.training_run import TrainingRun

_WELL = 0.05
_MANY_IMAGES = 300
_SHARES: tuple[float, ...] = (0.8, 0.85, 0.9, DEFAULT_SHARE, 0.95, 0.98, 1.0)
_COVERAGES: tuple[float, ...] = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0)
_ERRORS: tuple[float, ...] = (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2)


def show_certainty(session: Session, run: TrainingRun, sets: Mapping[str, PhotoSet]) -> None:
    """Draw calibration and limits of a run."""
    if "validation" not in sets:
        show_not_evaluated()
        return
    evaluation = sets["validation"].evaluation()
    st.header(_("Can you trust its confidence?"), anchor=False, help=explain("calibration"))
    _show_calibration(evaluation)
    st.header(_("When it says “I don't know”"), anchor=False, help=explain("i don't know"))
    thresholds = rejection(run.id)
    if thresholds is None:
        st.info(
            _("This model was trained without it. Train again to get it."),
            icon=":material/info:",
        )
        return
    guarded(_show_thresholds)(run, evaluation, thresholds)


def _show_calibration(evaluation: Evaluation) -> None:
    confidence = sum(evaluation.measured_confidences) / evaluation.num_images
    text = _("Its confidence is **{confidence}** on average, and **{accuracy}** of its answers are correct.")
    text = text.format(confidence=percent(confidence), accuracy=percent(evaluation.accuracy))
    st.markdown(sentences(text, _verdict(confidence - evaluation.accuracy)))
    show_reliability(evaluation)
    with st.expander(_("Details"), icon=":material/straighten:"):
        _show_calibration_details(evaluation)


def _show_calibration_details(evaluation: Evaluation) -> None:
    with st.container(horizontal=True, key="facts-calibration"):
        st.metric(_("Calibration error (ECE)"), percent(evaluation.ece, digits=1), help=explain("ece"))
        st.metric(
            _("Before calibration"), percent(evaluation.uncalibrated_ece, digits=1), help=explain("ece")
        )
        st.metric(_("Temperature"), number(evaluation.temperature, 2), help=explain("temperature"))
    if evaluation.num_images < MIN_IMAGES_TO_CALIBRATE:
        st.caption(
            _("With fewer than {count} photos the confidence is not adjusted.").format(
                count=MIN_IMAGES_TO_CALIBRATE
            )
        )
    elif evaluation.num_images < _MANY_IMAGES:
        st.caption(
            _("With only {count} photos the line is partly chance.").format(count=evaluation.num_images)
        )
    if evaluation.is_cross_fitted:
        st.caption(_("The temperature for each photo was fitted on the other photos."))
    elif evaluation.is_fitted_here and evaluation.temperature != 1.0:
        st.caption(_("The same photos also set the temperature. The real error is probably larger."))
    elif evaluation.is_fitted_here and evaluation.num_images >= MIN_IMAGES_TO_CALIBRATE:
        st.caption(_("Calibration would not help here, so none is used."))


def _verdict(gap: float) -> str:
    if abs(gap) <= _WELL:
        return _("That fits well.")
    return _("It is too confident.") if gap > 0 else _("It could be more confident.")


def _show_thresholds(run: TrainingRun, evaluation: Evaluation, thresholds: Rejection) -> None:
    st.markdown(_("Two limits let it say “I don't know” to photos. They are saved with the model."))
    left, right = st.columns(2)
    with left:
        _choose_share(run, evaluation, thresholds)
    with right:
        _choose_min_probability(run, evaluation, thresholds)
    given = answered(evaluation, thresholds)
    coverage = len(given) / evaluation.num_images
    accuracy = sum(outcome.is_right for outcome in given) / len(given) if given else math.nan
    st.markdown(
        _("**{share}** of photos get an answer, and **{accuracy}** of the answers are correct.").format(
            share=percent(coverage), accuracy=percent(accuracy)
        )
        if given
        else _("With these limits no photo gets an answer.")
    )
    st.caption(_("Measured on photos it had not seen. Photos from another place may get fewer answers."))
    if given:
        show_coverage(coverage_curve(evaluation), (coverage, accuracy))


def _choose_share(run: TrainingRun, evaluation: Evaluation, thresholds: Rejection) -> None:
    """Let the person choose how many familiar photos are accepted, which limits the unfamiliar ones."""
    familiarities = [
        outcome.familiarity for outcome in evaluation.outcomes if outcome.familiarity is not None
    ]
    if len(familiarities) < MIN_IMAGES_TO_REFUSE:
        st.caption(
            _("To reject unfamiliar things it needs at least {count} photos.").format(
                count=MIN_IMAGES_TO_REFUSE
            )
        )
        return
    key = _key("familiar-share", run)
    st.select_slider(
        _("How strictly to reject unfamiliar things"),
        _SHARES,
        value=_nearest(_SHARES, thresholds.familiar_share),
        format_func=lambda share: (
            _("never") if share >= 1 else _("keep {share}").format(share=percent(share))
        ),
        help=explain("familiarity"),
        key=key,
        on_change=guarded_callback(_save),
        args=(run, key, lambda stored, share: stored.with_familiar_share(share, familiarities)),
    )


def _choose_min_probability(run: TrainingRun, evaluation: Evaluation, thresholds: Rejection) -> None:
    """Let the person choose the smallest probability, by coverage or by error rate."""
    slider = st.container()
    by_error = st.toggle(_("Limit wrong answers instead"), key=f"by-error-{run.id}")
    choices = _COVERAGES
    probability: Callable[[Evaluation, float], float] = probability_for_coverage
    if by_error:
        choices, probability = _ERRORS[::-1], probability_for_error
        label = _("How many answers may be wrong")
    else:
        label = _("How many photos get an answer")
    options = {probability(evaluation, choice): choice for choice in choices}
    now = _nearest(tuple(options), thresholds.min_probability)
    key = _key("most-errors" if by_error else "sure-coverage", run)
    slider.select_slider(
        label,
        choices,
        value=options[now],
        format_func=lambda share: _("all") if share >= 1 else percent(share),
        help=None if by_error else explain("coverage"),
        key=key,
        on_change=guarded_callback(_save),
        args=(run, key, lambda stored, share: stored.with_min_probability(probability(evaluation, share))),
    )


def _key(name: str, run: TrainingRun) -> str:
    """Return the key of a slider; it changes with the run and its stored limits, which resets the slider."""
    return f"{name}-{run.id}-{limits_version(run.id)}"


def _save(run: TrainingRun, key: str, change: Callable[[Rejection, float], Rejection]) -> None:
    """Store the new value of a slider with the model."""
    # The other slider may be moved in another window at the same moment.
    with changing(run.folder / REJECTION_FILE):
        stored = rejection(run.id)
        if stored is None:
            return
        change(stored, widget_value(key)).save_thresholds(run.folder)
    st.toast(_("Saved with the model."), icon=":material/check:")


def _nearest(options: tuple[float, ...], value: float) -> float:
    return min(options, key=lambda option: abs(option - value))
