"""Step 3: choose which blocks are frozen and which are trainable."""

import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.page import link_to_next, require, run_page
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from pages.ui.layers.freezing import show_choice
from transfer_core.language import _
from transfer_core.training.advice import RECOMMENDED_DEPTH


def show_layers(session: Session) -> None:
    """Draw the page."""
    if not require(session, Step.MODEL, Step.IMAGES):
        return
    plan, dataset = session.freeze_plan, session.dataset
    assert plan is not None and dataset is not None
    if session.num_unfrozen_blocks is None:
        session.choose_depth(RECOMMENDED_DEPTH)
        plan = plan.with_unfrozen(RECOMMENDED_DEPTH)
    link_to_next(Step.TRAIN, _("Next: train"), on_click=session.leave_run_of_other_choices)
    st.markdown(
        _("Frozen blocks keep what they know. The others learn from your photos."), help=explain("frozen")
    )
    if plan.backbone.is_frozen_only:
        st.info(
            _("This model looks at each photo several times, so all of it is frozen."),
            icon=":material/ac_unit:",
        )
    show_choice(session, plan, dataset)
    if not plan.backbone.is_frozen_only and st.button(
        _("Try several depths"), icon=":material/stacked_line_chart:", help=explain("freeze sweep")
    ):
        session.compare_part = "depths"
        st.switch_page("pages/8_Compare.py")


run_page(_("Layers"), show_layers, step=Step.LAYERS)
