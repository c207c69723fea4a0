"""Step 6: show the model new photos."""

from pages.ui.page import run_page
from pages.ui.predictions import show_predictions
from pages.ui.run_choice import choose_run, say_no_model
from pages.ui.session import Session
from pages.ui.steps import Step
from pages.ui.test_images import collect_images
from transfer_core.language import _


def show_test(session: Session) -> None:
    """Draw the page."""
    run = choose_run(session)
    if run is None:
        say_no_model(session)
        return
    images = collect_images(run)
    if images:
        show_predictions(run, images)


run_page(_("Test"), show_test, step=Step.TEST)
