"""Step 1: choose the pretrained model."""

import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.page import link_to_next, run_page
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from pages.ui.model.audition import show_audition
from pages.ui.model.choice import show_all, show_bundled, show_chosen, show_downloads
from pages.ui.model.own_models import show_own_models
from transfer_core.language import _


def show_model(session: Session) -> None:
    """Draw the page."""
    st.markdown(
        _("Pick the network that your own classes will build on. It has already learned to see."),
        help=explain("pretrained"),
    )
    show_downloads()
    show_chosen(session)
    show_bundled(session)
    if session.backbone_name:
        link_to_next(Step.IMAGES, _("Next: your images"))
    show_audition(session)
    show_own_models(session)
    show_all(session)


run_page(_("Model"), show_model, step=Step.MODEL)
