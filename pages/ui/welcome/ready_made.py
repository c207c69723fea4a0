"""The ready-made sets of photos above the quick start."""

from __future__ import annotations

from html import escape

import streamlit as st

from pages.ui.app.page import guarded
from pages.ui.app.pictures import data_url
from pages.ui.app.process import trainings
from pages.ui.app.sample_run import take_sample
from pages.ui.app.session import Session
from transfer_core.data.images.decoding import decode_image
from transfer_core.data.images.thumbnails import thumbnail
from transfer_core.data.samples import Sample, get_sample, list_samples
from transfer_core.language import _
from transfer_core.runs.run_status import ACTIVE

_PREVIEW_SIDE = 112
_MOST_PICTURES = 5


def show_ready_made(session: Session) -> None:
    """Draw the ready-made sets; a click brings its photos in."""
    is_training = session.run_id is not None and trainings().status(session.run_id) in ACTIVE
    with st.container(key="ready-made"):
        for sample in list_samples():
            with st.container(border=True, key=f"ready-made-card-{sample.name}"):
                _show_card(session, sample, is_disabled=is_training)


def _show_card(session: Session, sample: Sample, *, is_disabled: bool) -> None:
    pictures = "".join(f'<img src="{escape(url)}" alt="">' for url in _preview(sample.name))
    st.html(f'<div class="ready-made-strip">{pictures}</div>')
    key = f"ready-made-{sample.name}"
    if st.button(sample.title, key=key, type="tertiary", disabled=is_disabled):
        with st.spinner(_("Getting the photos ready …")):
            guarded(_take)(session, sample.name)


@st.cache_data(show_spinner=False)
def _preview(name: str) -> list[str]:
    """Return small pictures of a set as addresses."""
    files = get_sample(name).preview()[:_MOST_PICTURES]
    return [data_url(thumbnail(decode_image(file.read()), _PREVIEW_SIDE)) for file in files]


def _take(session: Session, name: str) -> None:
    take_sample(session, name)
    st.rerun()
