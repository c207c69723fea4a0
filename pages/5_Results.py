"""Step 5: see how good the model is and where it fails."""

from pages.ui.app.page import choose_part, guarded, run_page
from pages.ui.app.run_choice import choose_run, show_no_model
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from pages.ui.components.image_map import show_image_map
from pages.ui.results.certainty import show_certainty
from pages.ui.results.explanation import show_explanation
from pages.ui.results.mistakes import show_mistakes
from pages.ui.results.overview import show_overview
from transfer_core.language import _


def show_results(session: Session) -> None:
    """Draw one part of the page; the others are not computed."""
    run = choose_run(session)
    if run is None:
        show_no_model(session)
        return
    # The title of each part and the function that draws it, by the name in the address.
    parts = {
        "overview": (_("Overview"), show_overview),
        "mistakes": (_("Mistakes"), show_mistakes),
        "certainty": (_("Certainty"), show_certainty),
        "why": (_("Why it decides so"), show_explanation),
        "map": (_("Map of the photos"), show_image_map),
    }
    titles = {name: title for name, (title, _show) in parts.items()}
    session.results_part = choose_part(titles, session.results_part, "results-part")
    _title, show = parts[session.results_part]
    guarded(show)(session, run)


run_page(_("Results"), show_results, step=Step.RESULTS)
