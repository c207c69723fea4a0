"""Step 1: pick the pretrained network."""

import streamlit as st

from pages.ui.glossary import explain
from pages.ui.page import link_to_next, run_page
from pages.ui.session import Session
from pages.ui.steps import Step
from pages.ui.words import count_words
from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.registry import DEFAULT_BACKBONE, list_backbones
from transfer_core.language import _


def show_model(session: Session) -> None:
    """Draw the page."""
    st.markdown(
        _("Pick the network that your own classes will build on. It has already learned to see."),
        help=explain("pretrained"),
    )
    backbones = list_backbones()
    for column, backbone in zip(st.columns(len(backbones)), backbones, strict=True):
        with column.container(border=True, height="stretch", key=f"card-{backbone.name}"):
            show_card(session, backbone)
    if session.backbone_name:
        link_to_next(Step.IMAGES, _("Next: your images"))


def show_card(session: Session, backbone: Backbone) -> None:
    """Draw one network with its facts and the button that picks it."""
    with st.container(height="stretch"):
        show_facts(backbone)
    is_chosen = session.backbone_name == backbone.name
    if st.button(
        _("Chosen") if is_chosen else _("Use this one"),
        icon=":material/check:" if is_chosen else None,
        type="secondary" if is_chosen else "primary",
        key=f"use-{backbone.name}",
        width="stretch",
    ):
        session.choose_backbone(backbone.name)
        st.rerun()


def show_facts(backbone: Backbone) -> None:
    """Draw what a person needs to know to choose."""
    st.subheader(backbone.title, anchor=False)
    with st.container(horizontal=True, gap="small"):
        st.badge(backbone.speed_label, color="blue")
        st.badge(_("works offline"), icon=":material/wifi_off:", color="gray")
        if backbone.name == DEFAULT_BACKBONE:
            st.badge(_("recommended"), icon=":material/thumb_up:", color="green")
    st.markdown(backbone.when_to_pick)
    with st.container(horizontal=True, key=f"facts-{backbone.name}"):
        st.metric(_("Size"), _("{count:.0f} MB").format(count=backbone.megabytes))
        st.metric(_("Parameters"), count_words(backbone.num_parameters), help=explain("parameters"))
        st.metric(
            _("Looks at"),
            _("{size} × {size} px").format(size=backbone.image_size),
            help=explain("input size"),
        )
        if backbone.imagenet_accuracy is not None:
            st.metric(
                _("On ImageNet"), f"{backbone.imagenet_accuracy:.1%}", help=explain("imagenet accuracy")
            )


run_page(_("Model"), show_model, step=Step.MODEL)
