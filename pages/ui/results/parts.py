"""Which part of the Results page is open."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from pages.ui.app.session import Session
from transfer_core.language import _


def choose_part(session: Session, titles: Mapping[str, str]) -> str:
    """Let the person pick a part; the one in the address is open at first.

    Args:
        session: Remembers the part.
        titles: What each part is called on screen, by its name in the address.
    """
    session.results_part = choose_named(titles, session.results_part, "results-part")
    return session.results_part


def choose_named(titles: Mapping[str, str], wanted: str, key: str) -> str:
    """Let the person pick one of the parts of a page.

    Args:
        titles: What each is called on screen, by its name in the address.
        wanted: The name of the one that is open at first; the first one where there is none of that name.
        key: Tells the choice from others.
    """
    names = list(titles)
    wanted = wanted if wanted in names else names[0]
    chosen = st.segmented_control(
        _("What do you want to know?"),
        names,
        default=wanted,
        required=True,
        format_func=titles.__getitem__,
        key=key,
        label_visibility="collapsed",
    )
    return chosen or wanted
