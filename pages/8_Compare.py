"""Compare runs, and train the same images at several freeze depths."""

from pages.ui.app.deleted_run import show_deleted_run
from pages.ui.app.page import choose_part, run_page
from pages.ui.app.session import Session
from pages.ui.compare.comparison import show_comparison
from pages.ui.compare.sweep import show_sweeps
from pages.ui.compare.table import choose_runs, show_table
from transfer_core.language import _


def show_compare(session: Session) -> None:
    """Draw the page."""
    parts = {"runs": _("Models side by side"), "depths": _("Try several depths")}
    session.compare_part = choose_part(parts, session.compare_part, "compare-part")
    show_deleted_run(session)
    if session.compare_part == "depths":
        show_sweeps(session)
        return
    rows, picked = choose_runs(session)
    if picked:
        show_comparison(session, picked)
    if rows:
        show_table(session, rows)


run_page(_("Compare"), show_compare)
