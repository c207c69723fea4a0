"""The ready-made sets of photos above the quick start."""

from __future__ import annotations

from html import escape

import streamlit as st

from pages.ui.app.page import guarded
from pages.ui.app.process import trainings
from pages.ui.app.sample_run import sample_pictures, take_sample
from pages.ui.app.session import Session
from transfer_core.data.samples import list_samples
from transfer_core.language import _
from transfer_core.runs.run_status import ACTIVE


def show_ready_made(session: Session) -> None:
    """Draw the ready-made sets, of which a click brings the photos in, and the way to photos of one's own."""
    is_training = session.run_id is not None and trainings().status(session.run_id) in ACTIVE
    with st.container(key="ready-made"):
        for sample in list_samples():
            with st.container(border=True, key=f"ready-made-card-{sample.name}"):
                if _is_picked(sample.name, sample.title, _strip(sample.name), is_disabled=is_training):
                    with st.spinner(_("Getting the photos ready …")):
                        guarded(_take)(session, sample.name)
        with st.container(border=True, key="ready-made-card-own"):
            icon = '<span class="ready-made-icon" aria-hidden="true">add_a_photo</span>'
            if _is_picked("own", _("Your own"), icon, is_disabled=is_training):
                session.choose_dataset(None)
                st.rerun()


def _is_picked(name: str, title: str, picture: str, *, is_disabled: bool) -> bool:
    """Draw the content of a card; return whether it was clicked."""
    is_clicked = st.button(title, key=f"ready-made-{name}", type="tertiary", disabled=is_disabled)
    st.html(f'<div class="ready-made-strip">{picture}</div>')
    return is_clicked


def _strip(name: str) -> str:
    return "".join(f'<img src="{escape(url)}" alt="">' for url in sample_pictures(name))


def _take(session: Session, name: str) -> None:
    take_sample(session, name)
    st.rerun()
