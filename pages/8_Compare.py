"""Runs side by side, and the same images at several freeze depths."""

import streamlit as st

from pages.ui.compare_runs import show_comparison
from pages.ui.compare_table import choose_runs
from pages.ui.page import run_page
from pages.ui.result_parts import choose_named
from pages.ui.results import show_undo
from pages.ui.session import Session
from pages.ui.sweep import show_sweeps
from transfer_core.language import _


def show_compare(session: Session) -> None:
    """Draw the page."""
    st.title(_("Compare"), anchor=False)
    parts = {"runs": _("Runs side by side"), "depths": _("Try several depths")}
    session.compare_part = choose_named(parts, session.compare_part, "compare-part")
    show_undo(session)
    if session.compare_part == "depths":
        show_sweeps(session)
        return
    runs = choose_runs(session)
    if runs:
        show_comparison(session, runs)


run_page(_("Compare"), show_compare)
