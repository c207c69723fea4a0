"""Step 5: see which photos the model gets wrong, and how good it is."""

import streamlit as st

from pages.ui.app.computers import show_computers_of_model
from pages.ui.app.page import choose_part, guarded, run_page
from pages.ui.app.run_choice import choose_run, show_no_model
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from pages.ui.results.certainty import show_certainty
from pages.ui.results.classes import show_class_by_class
from pages.ui.results.explanation import show_explanation
from pages.ui.results.headline import show_headline
from pages.ui.results.mistakes import show_mistakes
from pages.ui.results.more import show_more
from pages.ui.results.photo_map import show_photo_map
from pages.ui.results.photo_sets import photo_sets
from transfer_core.language import _


def show_results(session: Session) -> None:
    """Draw the accuracy and one part of the page; the others are not computed."""
    run = choose_run(session)
    if run is None:
        show_no_model(session)
        return
    sets = photo_sets(run)
    show_headline(sets)
    show_computers_of_model(run.snapshot())
    # The title of each part and the function that draws it, by the name in the address.
    parts = {
        "mistakes": (_("Mistakes"), show_mistakes),
        "classes": (_("Class by class"), show_class_by_class),
        "certainty": (_("Confidence"), show_certainty),
        "why": (_("Why"), show_explanation),
        "map": (_("Photo map"), show_photo_map),
        "overview": (_("More"), show_more),
    }
    titles = {name: title for name, (title, _show) in parts.items()}
    session.results_part = choose_part(titles, session.results_part, "results-part")
    # Each part has a place of its own, so that Streamlit removes an earlier part before it draws this one.
    places = {name: st.container() if name == session.results_part else st.empty() for name in parts}
    _title, show = parts[session.results_part]
    with places[session.results_part]:
        guarded(show)(session, run, sets)


run_page(_("Results"), show_results, step=Step.RESULTS)
