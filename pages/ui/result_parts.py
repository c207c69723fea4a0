"""Which part of the Results page is open."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from pages.ui.session import Session
from transfer_core.language import _


def choose_part(session: Session, titles: Mapping[str, str]) -> str:
    """Let the person pick a part; the one in the address is open at first.

    Args:
        session: Remembers the part.
        titles: What each part is called on screen, by its name in the address.
    """
    names = list(titles)
    wanted = session.results_part if session.results_part in names else names[0]
    chosen = st.segmented_control(
        _("What do you want to know?"),
        names,
        default=wanted,
        required=True,
        format_func=titles.__getitem__,
        key="results-part",
        label_visibility="collapsed",
    )
    session.results_part = chosen or wanted
    return session.results_part
