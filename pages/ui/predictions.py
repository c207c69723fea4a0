"""What a model says about photos: the photo, the classes as bars, the time it took."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from pages.ui.explanation import show_why
from pages.ui.glossary import explain
from pages.ui.page import guarded
from pages.ui.process import predictor
from pages.ui.test_images import NewImage
from pages.ui.words import duration_words, plain
from transfer_core.data.images import decode_image, encode_jpeg
from transfer_core.errors import UnreadableImageError
from transfer_core.language import _
from transfer_core.predictor import Prediction, Predictor
from transfer_core.runs.training_run import TrainingRun

_MAX_BARS = 8
_IMAGES_A_PAGE = 24
_IMAGES_A_ROW = 2
_SHOWN_SIDE = 320


def show_predictions(run: TrainingRun, images: Sequence[NewImage]) -> None:
    """Score photos and draw the answers, a page at a time."""
    with st.spinner(_("Getting the network ready …")):
        model = predictor(run.id)
    num_pages = -(-len(images) // _IMAGES_A_PAGE)
    page = st.pagination(num_pages, key=f"predictions-{num_pages}") if num_pages > 1 else 1
    st.caption(
        _(
            "How sure the network is of each class. It knows only these; a photo unlike all it has learned from gets "
            "no answer."
        ),
        help=explain("probability"),
    )
    shown = images[(page - 1) * _IMAGES_A_PAGE : page * _IMAGES_A_PAGE]
    # Row by row, so that the order is right for a phone and for a screen reader too.
    for start in range(0, len(shown), _IMAGES_A_ROW):
        row = enumerate(shown[start : start + _IMAGES_A_ROW], start)
        for column, (number, image) in zip(st.columns(_IMAGES_A_ROW), row, strict=False):
            with column.container(border=True, height="stretch"):
                _show_answer(run, model, image, number)


def _show_answer(run: TrainingRun, model: Predictor, image: NewImage, number: int) -> None:
    try:
        prediction = model.predict(image.content)
    except UnreadableImageError as error:
        st.error(_("{name} was left out: {reason}.").format(name=plain(image.name), reason=error))
        return
    photo, answer = st.columns([2, 3], vertical_alignment="center")
    shown = decode_image(image.content)
    shown.thumbnail((_SHOWN_SIDE, _SHOWN_SIDE))
    photo.image(encode_jpeg(shown, quality=90), alt=image.name, width="stretch")
    with answer:
        _show_class(prediction)
        st.html(_bars(prediction))
        st.caption(
            _("{name} · {time}").format(name=plain(image.name), time=duration_words(prediction.seconds))
        )
    key = f"why-{number}"
    if st.toggle(_("Show why"), key=key, help=explain("grad-cam")):
        guarded(show_why)(run, image.content, prediction.class_name, key)


def _show_class(prediction: Prediction) -> None:
    if prediction.is_known:
        st.markdown(f"### {plain(prediction.class_name)}")
        return
    st.markdown(_("### I don't know"), help=explain("i don't know"))
    st.caption(
        _(
            "This is not like the photos I learned from, or I am not sure enough. My best guess: {name}."
        ).format(name=plain(prediction.class_name))
    )


def _bars(prediction: Prediction) -> str:
    """The most probable classes as bars; the numbers stand beside them for every reader."""
    rows = []
    for name, probability in list(prediction.probabilities.items())[:_MAX_BARS]:
        best = " bars-best" if name == prediction.class_name else ""
        rows.append(
            f'<span class="bars-name{best}">{escape(name)}</span>'
            f'<span class="bars-track" aria-hidden="true"><span class="bars-fill" '
            f'style="display:block;width:{probability:.1%}"></span></span>'
            f'<span class="bars-number{best}">{probability:.1%}</span>'
        )
    return f'<div class="bars">{"".join(rows)}</div>'
