"""Step 7: export the model, with a proof that it gives the same answers."""

from pages.ui.app.page import run_page
from pages.ui.app.run_choice import choose_run, show_no_model
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from pages.ui.export.formats import show_exports
from pages.ui.export.smaller_model import show_smaller_model
from transfer_core.language import _


def show_export(session: Session) -> None:
    """Draw the page."""
    run = choose_run(session)
    if run is None:
        show_no_model(session)
    else:
        show_exports(run)
        show_smaller_model(session, run)


run_page(_("Export"), show_export, step=Step.EXPORT)
