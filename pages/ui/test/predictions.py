"""A card for each new photo: the photo, the probabilities as bars, the time it took."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.page import guarded
from pages.ui.app.process import answer_version, predictor
from pages.ui.app.session import Session
from pages.ui.app.words import duration_words, model_name, plain
from pages.ui.components.heat import show_why
from pages.ui.components.live_camera import MAX_BARS
from pages.ui.test.correction import show_correction
from transfer_core.data.images.thumbnails import thumbnail
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.errors import UnreadableImageError
from transfer_core.inference.predictor import Prediction
from transfer_core.language import _
from transfer_core.runs.training_run import TrainingRun

_IMAGES_A_ROW = 2
_SHOWN_SIDE = 320

Runs = tuple[TrainingRun, ...]


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


def load_models(runs: Runs) -> None:
    """Load the models, which takes some seconds the first time, and draw their warnings."""
    with st.spinner(_("Getting the network ready …")):
        notices = [notice for run in runs for notice in predictor(run.id).notices]
    for notice in notices:
        st.warning(plain(notice), icon=":material/warning:")


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
        predictions = [_prediction(run.id, answer_version(run.id), content) for run in runs]
    except UnreadableImageError as error:
        st.error(_("{name} was left out: {reason}.").format(name=name, reason=error))
        return
    picture, *answers = st.columns([2, *[3 for _run in runs]], vertical_alignment="center")
    picture.image(_shown(runs[0].id, answer_version(runs[0].id), content), alt=photo.path, width="stretch")
    for column, run, prediction in zip(answers, runs, predictions, strict=True):
        with column:
            if len(runs) > 1:
                st.caption(plain(model_name(run)))
            _show_class(prediction)
            st.html(_bars(prediction))
            st.caption(_("{name} · {time}").format(name=name, time=duration_words(prediction.seconds)))
    guarded(show_correction)(session, runs[0], photo.path, content, predictions[0].class_name, number)
    key = f"why-{number}"
    if st.toggle(_("Show why"), key=key, help=explain("grad-cam")):
        guarded(show_why)(runs[0], content, predictions[0].best_guess, key)


@st.cache_data(show_spinner=False, max_entries=200)
def _prediction(run_id: str, version: tuple[int, ...], content: bytes) -> Prediction:
    return predictor(run_id).predict(content)


@st.cache_data(show_spinner=False, max_entries=200)
def _shown(run_id: str, version: tuple[int, ...], content: bytes) -> bytes:
    return thumbnail(predictor(run_id).decode(content), _SHOWN_SIDE, quality=90)


def _show_class(prediction: Prediction) -> None:
    if prediction.class_name:
        st.markdown(f"### {plain(prediction.class_name)}")
        return
    st.markdown(_("### I don't know"), help=explain("i don't know"))
    st.caption(
        _(
            "This is not like the photos I learned from, or I am not sure enough. My best guess: {name}."
        ).format(name=plain(prediction.best_guess))
    )


def _bars(prediction: Prediction) -> str:
    """Return the most probable classes as bars in HTML, with their numbers as text."""
    rows = []
    for name, probability in list(prediction.probabilities.items())[:MAX_BARS]:
        best = " bars-best" if name == prediction.best_guess else ""
        rows.append(
            f'<span class="bars-name{best}">{escape(name)}</span>'
            f'<span class="bars-track" aria-hidden="true"><span class="bars-fill" '
            f'style="display:block;width:{probability:.1%}"></span></span>'
            f'<span class="bars-number{best}">{probability:.1%}</span>'
        )
    return f'<div class="bars">{"".join(rows)}</div>'
