"""A card for each new photo: the photo, the probabilities as bars, the time it took."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.page import guarded
from pages.ui.app.process import answer_version
from pages.ui.app.run_choice import describe_run
from pages.ui.app.session import Session
from pages.ui.app.words import duration_words, plain
from pages.ui.components.heat import show_why
from pages.ui.test.answer import Runs, load_models, prediction_of, show_answer
from pages.ui.test.correction import show_correction
from pages.ui.test.photos import SHOWN_SIDE, small_copy
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.errors import UnreadableImageError
from transfer_core.language import _

_IMAGES_A_ROW = 2


def show_predictions(session: Session, runs: Runs, photos: Sequence[ImportedFile]) -> None:
    """Classify photos and draw a card for each.

    Args:
        session: Keeps the corrections.
        runs: The run to test, and optionally a second one to compare it with.
        photos: The files.
    """
    if not photos:
        return
    load_models(runs)
    explain_certainty()
    # Two models need the width of two cards.
    num_columns = _IMAGES_A_ROW if len(runs) == 1 else 1
    # Row by row, so that the order is right for a phone and for a screen reader too.
    for start in range(0, len(photos), num_columns):
        row = enumerate(photos[start : start + num_columns], start)
        for column, (number, photo) in zip(st.columns(num_columns), row, strict=False):
            with column.container(border=True, height="stretch"):
                show_card(session, runs, photo, number)


def explain_certainty() -> None:
    """Draw the sentence about what the numbers mean."""
    st.caption(
        _(
            "How sure the network is of each class. It knows only these; a photo unlike all it has learned from gets "
            "no answer."
        ),
        help=explain("probability"),
    )


def show_card(session: Session, runs: Runs, photo: ImportedFile, number: int) -> None:
    """Draw a photo with the prediction of each run, its explanation, and the form to correct it.

    Args:
        session: Keeps the corrections.
        runs: The run to test, and optionally a second one to compare it with.
        photo: The file.
        number: Unique for each photo of the page.
    """
    name = plain(photo.path)
    try:
        content = photo.read()
        predictions = [prediction_of(run.id, answer_version(run.id), content) for run in runs]
    except UnreadableImageError as error:
        st.error(_("{name} was left out: {reason}.").format(name=name, reason=error))
        return
    picture, *answers = st.columns([2, *[3 for _run in runs]], vertical_alignment="center")
    picture.image(
        small_copy(runs[0].id, answer_version(runs[0].id), content, SHOWN_SIDE),
        alt=photo.path,
        width="stretch",
    )
    for column, run, prediction in zip(answers, runs, predictions, strict=True):
        with column:
            if len(runs) > 1:
                st.caption(plain(describe_run(run)))
            show_answer(prediction)
            st.caption(_("{name} · {time}").format(name=name, time=duration_words(prediction.seconds)))
    guarded(show_correction)(session, runs[0], photo.path, content, predictions[0].class_name, number)
    key = f"why-{number}"
    if st.toggle(_("Show why"), key=key, help=explain("grad-cam")):
        guarded(show_why)(runs[0], content, predictions[0].best_guess, key)
