"""The top of the Results page: the accuracy with its interval in one sentence, and the way on."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.page import guarded, link_to_next
from pages.ui.app.steps import Step
from pages.ui.app.words import accuracy_words, expected_sentence, labelled
from pages.ui.results.photo_sets import PhotoSet
from transfer_core.errors import TransferStudioError
from transfer_core.evaluation.evaluation import Evaluation, occasion_sentence
from transfer_core.language import _, percent, plural, sentences


def show_headline(sets: Mapping[str, PhotoSet]) -> None:
    """Draw the accuracy of a run, which is the same on every page, and the button that leads on."""
    link_to_next(Step.TEST, _("Next: try it"))
    measured = _scores(sets, "validation")
    if measured:
        with st.container(key="headline"):
            st.markdown(
                sentences(accuracy_sentence(measured), expected_sentence(measured)),
                help=explain("confidence interval"),
            )
            st.caption(labelled(sets["validation"].title, mistakes_words(measured)))
    for name in ("test", "new"):
        guarded(_show_test_accuracy)(sets, name, measured)


def accuracy_sentence(evaluation: Evaluation) -> str:
    """Return the accuracy as a sentence, in Markdown."""
    return _("**{accuracy}** accuracy.").format(accuracy=percent(evaluation.accuracy))


def mistakes_words(evaluation: Evaluation) -> str:
    """Return how many photos of an evaluation are wrong."""
    num_wrong = evaluation.is_right.count(False)
    return plural(
        "{wrong} of {count} photo wrong.",
        "{wrong} of {count} photos wrong.",
        evaluation.num_images,
        wrong=num_wrong,
    )


def _show_test_accuracy(sets: Mapping[str, PhotoSet], name: str, measured: Evaluation | None) -> None:
    tested = _scores(sets, name)
    if tested is None:
        return
    text = _("{photos}: **{accuracy}**. {mistakes}").format(
        photos=sets[name].title, accuracy=accuracy_words(tested), mistakes=mistakes_words(tested)
    )
    st.markdown(text)
    differs = occasion_sentence(measured, tested) if measured else ""
    if differs:
        st.warning(differs, icon=":material/warning:")


def _scores(sets: Mapping[str, PhotoSet], name: str) -> Evaluation | None:
    """Return the evaluation of a set; None if there is none, or a part of the page says what is wrong with it."""
    try:
        return sets[name].evaluation(f"headline-{name}") if name in sets else None
    except TransferStudioError:
        return None
