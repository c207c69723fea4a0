"""Step 6: test the model on new photos."""

import streamlit as st

from pages.ui.app.page import run_page
from pages.ui.app.run_choice import choose_other_run, choose_run, runs_with_a_model, show_no_model
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from pages.ui.components.live_camera import show_live_camera
from pages.ui.test.add_test_photos import choose_way, collect_photos
from pages.ui.test.answer import load_models
from pages.ui.test.many_photos import show_many_photos
from pages.ui.test.predictions import explain_certainty, show_predictions
from transfer_core.language import _


def show_test(session: Session) -> None:
    """Draw the page."""
    left, right = st.columns(2)
    with left:
        by_id = runs_with_a_model()
        run = choose_run(session, by_id)
    if run is None:
        show_no_model(session)
        return
    with right:
        other = choose_other_run(run, by_id)
    runs = (run, other) if other else (run,)
    way = choose_way()
    if way == "live":
        load_models(runs)
        explain_certainty()
        show_live_camera(session, runs, "test-way")
        return
    photos = collect_photos(session, run, way)
    if way == "many" or photos.are_many:
        show_many_photos(session, runs, photos)
    else:
        show_predictions(session, runs, photos.files)


run_page(_("Test"), show_test, step=Step.TEST)
