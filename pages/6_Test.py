"""Step 6: test the model on new photos."""

import streamlit as st

from pages.ui.app.page import guarded, run_page
from pages.ui.app.run_choice import choose_other_run, choose_run, runs_with_a_model, show_no_model
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from pages.ui.test.add_test_photos import choose_way
from pages.ui.test.answer import Runs, load_models
from pages.ui.test.game import show_game
from pages.ui.test.many_photos import show_folder
from pages.ui.test.own_photos import show_live, show_photos
from transfer_core.language import _


def show_test(session: Session) -> None:
    """Draw the page."""
    by_id = runs_with_a_model()
    run = choose_run(session, by_id)
    if run is None:
        show_no_model(session)
        return
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        way, control = choose_way(session)
        # The one primary button of the live view switches the camera on.
        if st.button(
            _("Next: export"),
            type="secondary" if way == "live" else "primary",
            icon=":material/arrow_forward:",
            key="next-export",
        ):
            st.switch_page(Step.EXPORT.page)
    stage = st.container()
    runs: Runs = (run,)
    if way != "game" and len(by_id) > 1:
        with st.expander(_("Compare with another model"), icon=":material/compare_arrows:"):
            other = choose_other_run(run, by_id)
            runs = (run, other) if other else runs
    with stage:
        guarded(_show_way)(session, runs, way, control)


def _show_way(session: Session, runs: Runs, way: str, control: str) -> None:
    load_models(runs)
    if way == "live":
        show_live(session, runs, control)
    elif way == "photos":
        show_photos(session, runs)
    elif way == "game":
        show_game(session, runs[0])
    else:
        show_folder(session, runs)


run_page(_("Test"), show_test, step=Step.TEST)
