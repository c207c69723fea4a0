"""Step 6: show the model new photos."""

import streamlit as st

from pages.ui.live_camera import show_live_camera
from pages.ui.many_photos import show_many_photos
from pages.ui.page import run_page
from pages.ui.predictions import show_predictions
from pages.ui.run_choice import choose_other_run, choose_run, runs_with_a_model, say_no_model
from pages.ui.session import Session
from pages.ui.steps import Step
from pages.ui.test_images import choose_way, collect_photos
from transfer_core.language import _


def show_test(session: Session) -> None:
    """Draw the page."""
    left, right = st.columns(2)
    with left:
        by_id = runs_with_a_model()
        run = choose_run(session, by_id)
    if run is None:
        say_no_model(session)
        return
    with right:
        other = choose_other_run(run, by_id)
    runs = (run, other) if other else (run,)
    way = choose_way()
    if way == "live":
        show_live_camera(session, runs)
        return
    photos = collect_photos(session, run, way)
    if way == "many" or photos.are_many:
        show_many_photos(session, runs, photos)
    else:
        show_predictions(session, runs, photos.files)


run_page(_("Test"), show_test, step=Step.TEST)
