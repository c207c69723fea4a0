"""Step 3: choose what stays as it is and what learns."""

import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.page import link_to_next, require, run_page
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from pages.ui.app.words import count_words, depth_words
from pages.ui.layers.network import show_network
from transfer_core.language import _
from transfer_core.training.advice import depth_advice, recommended_depth
from transfer_core.training.freezing import FreezePlan


def show_layers(session: Session) -> None:
    """Draw the page."""
    if not require(session, Step.MODEL, Step.IMAGES):
        return
    plan, dataset = session.freeze_plan, session.dataset
    assert plan is not None and dataset is not None
    num_train_images = len(dataset.images_in("train"))
    recommended = recommended_depth(plan.backbone, num_train_images)
    if session.num_unfrozen_blocks is None:
        session.choose_depth(recommended)
        plan = plan.with_unfrozen(recommended)
    st.markdown(
        _(
            "The network is a row of blocks. Blocks that are *frozen* stay as they are; the others learn along with "
            "the new last layer, which knows your classes."
        ),
        help=explain("frozen"),
    )
    show_source(session, plan, recommended)
    if not plan.is_from_scratch:
        show_depth(session, plan)
    show_network(plan, dataset.class_names)
    show_numbers(plan, len(dataset.class_names))
    advice = depth_advice(plan, num_train_images)
    say = st.info if advice.fits else st.warning
    say(advice.text, icon=":material/lightbulb:")
    with st.container(horizontal=True):
        link_to_next(Step.TRAIN, _("Next: train"))
        if st.button(
            _("Try several depths"), icon=":material/stacked_line_chart:", help=explain("freeze sweep")
        ):
            session.compare_part = "depths"
            st.switch_page("pages/8_Compare.py")


def show_source(session: Session, plan: FreezePlan, recommended: int) -> None:
    """Ask where training starts and how much learns, in the terms of the textbooks, and explain the answer."""
    words = {
        "feature extraction": _("Feature extraction"),
        "fine-tuned": _("Fine-tuning"),
        "from scratch": _("From scratch"),
    }
    present = "from scratch" if plan.is_from_scratch else "fine-tuned" if plan.num_unfrozen_blocks else ""
    present = present or "feature extraction"
    chosen = st.segmented_control(
        _("What learns"), list(words), default=present, format_func=words.__getitem__, key=f"source-{present}"
    )
    if chosen not in (None, present):
        num_blocks = {"feature extraction": 0, "fine-tuned": recommended or 1}.get(
            chosen, len(plan.backbone.blocks)
        )
        session.choose_depth(num_blocks, is_from_scratch=chosen == "from scratch")
        st.rerun()
    st.markdown(explain(present))


def show_depth(session: Session, plan: FreezePlan) -> None:
    """Ask how many blocks learn along."""
    num_blocks = len(plan.backbone.blocks)
    num_unfrozen_blocks = st.slider(
        _("How many blocks learn along, counted from the end"),
        0,
        num_blocks,
        plan.num_unfrozen_blocks,
        help=explain("fine-tuning"),
        key=f"depth-{plan.backbone.name}-{session.num_forms}",
    )
    if num_unfrozen_blocks != session.num_unfrozen_blocks:
        session.num_unfrozen_blocks = num_unfrozen_blocks
        st.rerun()
    st.subheader(depth_words(num_unfrozen_blocks, num_blocks), anchor=False)


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
