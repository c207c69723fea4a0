"""Step 3: choose which blocks are frozen and which are trainable."""

import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.page import link_to_next, require, run_page
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from pages.ui.layers.freezing import show_depth, show_network, show_numbers, show_source
from transfer_core.language import _
from transfer_core.training.advice import RECOMMENDED_DEPTH, depth_advice


def show_layers(session: Session) -> None:
    """Draw the page."""
    if not require(session, Step.MODEL, Step.IMAGES):
        return
    plan, dataset = session.freeze_plan, session.dataset
    assert plan is not None and dataset is not None
    num_train_images = len(dataset.images_in("train"))
    if session.num_unfrozen_blocks is None:
        session.choose_depth(RECOMMENDED_DEPTH)
        plan = plan.with_unfrozen(RECOMMENDED_DEPTH)
    st.markdown(
        _(
            "The network is a row of blocks. Blocks that are *frozen* stay as they are; the others learn along with "
            "the new last layer, which knows your classes."
        ),
        help=explain("frozen"),
    )
    if not plan.backbone.is_frozen_only:
        show_source(session, plan)
        if not plan.is_from_scratch:
            show_depth(session, plan)
    show_network(plan, dataset.class_names)
    show_numbers(plan, len(dataset.class_names))
    advice = depth_advice(plan, num_train_images)
    draw = st.info if advice.fits else st.warning
    draw(advice.text, icon=":material/lightbulb:")
    with st.container(horizontal=True):
        link_to_next(Step.TRAIN, _("Next: train"))
        if not plan.backbone.is_frozen_only and st.button(
            _("Try several depths"), icon=":material/stacked_line_chart:", help=explain("freeze sweep")
        ):
            session.compare_part = "depths"
            st.switch_page("pages/8_Compare.py")


run_page(_("Layers"), show_layers, step=Step.LAYERS)
