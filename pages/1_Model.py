"""Step 1: pick the pretrained network."""

import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.page import link_to_next, run_page
from pages.ui.app.process import workspace
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from pages.ui.model.audition import show_audition
from pages.ui.model.choice import show_all, show_bundled, show_downloads
from pages.ui.model.facts import lineage_words
from pages.ui.model.own_models import show_own_models
from transfer_core.backbones.registry import bundled_backbones, get_backbone
from transfer_core.language import _


def show_model(session: Session) -> None:
    """Draw the page."""
    st.markdown(
        _("Pick the network that your own classes will build on. It has already learned to see."),
        help=explain("pretrained"),
    )
    show_downloads()
    show_choice(session)
    show_bundled(session)
    if session.backbone_name:
        link_to_next(Step.IMAGES, _("Next: your images"))
    show_audition(session)
    show_own_models(session)
    show_all(session)


def show_choice(session: Session) -> None:
    """Say which network is chosen, where it is none of the cards below."""
    name = session.backbone_name
    if name and name not in [backbone.name for backbone in bundled_backbones()]:
        lineage = lineage_words(get_backbone(name, workspace()))
        st.success(_("Chosen: {lineage}").format(lineage=lineage), icon=":material/check_circle:")


run_page(_("Model"), show_model, step=Step.MODEL)
