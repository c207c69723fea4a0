"""Step 1: choose the pretrained model."""

import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.page import link_to_next, run_page
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from pages.ui.model.audition import show_audition
from pages.ui.model.choice import show_all, show_card, show_downloads, show_others
from pages.ui.model.own_models import show_own_models
from transfer_core.language import _


def show_model(session: Session) -> None:
    """Draw the page."""
    if session.backbone_name:
        link_to_next(Step.IMAGES, _("Next: photos"))
    st.markdown(
        _("Choose a model to start from. It has already seen a million photos."), help=explain("pretrained")
    )
    show_downloads()
    show_card(session)
    show_others(session)
    show_all(session)
    show_audition(session)
    show_own_models(session)


run_page(_("Model"), show_model, step=Step.MODEL)
