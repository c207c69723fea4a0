"""What is stored, where, and how to delete it for good."""

from pages.ui.app.page import guarded, run_page
from pages.ui.app.session import Session
from pages.ui.data.deleting import show_deletion
from pages.ui.data.stored import show_stored, show_where
from transfer_core.language import _


def show_your_data(session: Session) -> None:
    """Draw the page."""
    show_where()
    if not show_deletion(session):
        guarded(show_stored)(session)


run_page(_("Your data"), show_your_data)
