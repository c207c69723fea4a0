"""The ready-made sets of photos above the quick start."""

from __future__ import annotations

import streamlit as st

from pages.ui.app.page import guarded
from pages.ui.app.sample_run import take_sample
from pages.ui.app.session import Session
from transfer_core.data.samples import list_samples


def show_ready_made(session: Session) -> None:
    """Draw the ready-made sets; a click brings its photos in."""
    with st.container(horizontal=True):
        for sample in list_samples():
            if st.button(sample.title, help=sample.description, key=f"ready-made-{sample.name}"):
                guarded(_take)(session, sample.name)


def _take(session: Session, name: str) -> None:
    take_sample(session, name)
    st.rerun()
