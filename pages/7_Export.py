"""Step 7: export the model, with a proof that it gives the same answers."""

from pages.ui.app.page import guarded, run_page
from pages.ui.app.run_choice import choose_run, show_no_model
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from pages.ui.export.formats import show_formats
from pages.ui.export.other_programs import show_other_programs
from pages.ui.export.shared_page import show_shared_page
from pages.ui.export.smaller_model import show_smaller_model
from transfer_core.language import _


def show_export(session: Session) -> None:
    """Draw the page."""
    run = choose_run(session)
    if run is None:
        show_no_model(session)
        return
    guarded(show_shared_page)(run)
    show_formats(run)
    guarded(show_other_programs)(session, run)
    show_smaller_model(session, run)


run_page(_("Export"), show_export, step=Step.EXPORT)
