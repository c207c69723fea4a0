"""Step 5: what the model has learned, and where it fails."""

from pages.ui.explanation import show_explanation
from pages.ui.image_map import show_image_map
from pages.ui.page import guarded, run_page
from pages.ui.result_certainty import show_certainty
from pages.ui.result_mistakes import show_mistakes
from pages.ui.result_overview import show_overview
from pages.ui.result_parts import choose_part
from pages.ui.run_choice import choose_run, say_no_model
from pages.ui.session import Session
from pages.ui.steps import Step
from transfer_core.language import _


def show_results(session: Session) -> None:
    """Draw the page: one part of it at a time, so that only that part is computed."""
    run = choose_run(session)
    if run is None:
        say_no_model(session)
        return
    # By the name in the address: the title, and what draws it.
    parts = {
        "overview": (_("Overview"), show_overview),
        "mistakes": (_("Mistakes"), show_mistakes),
        "certainty": (_("Certainty"), show_certainty),
        "why": (_("Why it decides so"), show_explanation),
        "map": (_("Map of the photos"), show_image_map),
    }
    part = choose_part(session, {name: title for name, (title, _show) in parts.items()})
    guarded(parts[part][1])(session, run)


run_page(_("Results"), show_results, step=Step.RESULTS)
