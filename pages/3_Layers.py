"""Step 3: choose what stays as it is and what learns."""

import streamlit as st

from pages.ui.glossary import explain
from pages.ui.network import show_network
from pages.ui.page import link_to_next, require, run_page
from pages.ui.session import Session
from pages.ui.steps import Step
from pages.ui.words import count_words, depth_words
from transfer_core.language import _
from transfer_core.training.advice import depth_advice
from transfer_core.training.freezing import FreezePlan


def show_layers(session: Session) -> None:
    """Draw the page."""
    if not require(session, Step.MODEL, Step.IMAGES):
        return
    plan, dataset = session.freeze_plan, session.dataset
    assert plan is not None and dataset is not None
    st.markdown(
        _(
            "The network is a row of blocks. Blocks that are *frozen* stay as they are; the others learn along with "
            "the new last layer, which knows your classes."
        ),
        help=explain("frozen"),
    )
    num_blocks = len(plan.backbone.blocks)
    num_unfrozen_blocks = st.slider(
        _("How many blocks learn along, counted from the end"),
        0,
        num_blocks,
        plan.num_unfrozen_blocks,
        help=explain("fine-tuning"),
        key=f"depth-{plan.backbone.name}",
    )
    if num_unfrozen_blocks != session.num_unfrozen_blocks:
        session.num_unfrozen_blocks = num_unfrozen_blocks
        st.rerun()
    st.subheader(depth_words(num_unfrozen_blocks, num_blocks), anchor=False)
    show_network(plan, dataset.class_names)
    show_numbers(plan, len(dataset.class_names))
    advice = depth_advice(plan, len(dataset.images_in("train")))
    say = st.info if advice.fits else st.warning
    say(advice.text, icon=":material/lightbulb:")
    link_to_next(Step.TRAIN, _("Next: train"))


def show_numbers(plan: FreezePlan, num_classes: int) -> None:
    """Draw how many numbers learn and how many stay."""
    trainable = plan.num_trainable_parameters(num_classes)
    frozen = plan.num_frozen_parameters(num_classes)
    with st.container(horizontal=True):
        st.metric(_("Numbers that learn"), count_words(trainable), help=explain("trainable"), border=True)
        st.metric(_("Numbers that stay (frozen)"), count_words(frozen), help=explain("frozen"), border=True)
        st.metric(
            _("Share that learns"),
            f"{trainable / (trainable + frozen):.1%}",
            help=explain("parameters"),
            border=True,
        )


run_page(_("Layers"), show_layers, step=Step.LAYERS)
