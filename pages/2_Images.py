"""Step 2: bring the images, sorted into classes."""

import streamlit as st

from pages.ui.charts import show_class_counts
from pages.ui.gallery import show_gallery
from pages.ui.glossary import explain
from pages.ui.image_sources import show_image_sources
from pages.ui.left_out import show_left_out
from pages.ui.page import guarded, link_to_next, run_page
from pages.ui.session import Session
from pages.ui.steps import Step, step_state
from pages.ui.words import plain
from transfer_core.data.dataset import ImageDataset
from transfer_core.language import _


def show_images(session: Session) -> None:
    """Draw the page."""
    st.markdown(
        _(
            "Bring photos of at least two classes, ten or more of each. They stay on this computer; place, date and "
            "camera are removed from them."
        )
    )
    show_image_sources(session)
    dataset = session.dataset
    if dataset is None or not dataset.images:
        st.info(
            _("No images yet. Bring your own, or take a sample to try things out."), icon=":material/info:"
        )
        return
    st.divider()
    show_overview(dataset)
    guarded(dataset.check_trainable)()
    show_left_out(dataset)
    if step_state(Step.IMAGES, session).is_done:
        if session.backbone_name:
            link_to_next(Step.LAYERS, _("Next: choose the layers"))
        else:
            link_to_next(Step.MODEL, _("Next: pick a model"))
    st.subheader(_("Gallery"), anchor=False)
    show_gallery(dataset)


def show_overview(dataset: ImageDataset) -> None:
    """Draw name, counts and the split."""
    st.subheader(plain(dataset.name), anchor=False)
    with st.container(horizontal=True):
        st.metric(_("Classes"), len(dataset.class_names), border=True)
        st.metric(_("To learn from"), f"{len(dataset.images_in('train')):,}", border=True)
        st.metric(
            _("To check with"),
            f"{len(dataset.images_in('validation')):,}",
            help=explain("validation"),
            border=True,
        )
    show_class_counts(dataset)
    with st.expander(_("Change the split"), icon=":material/call_split:"):
        share = st.slider(
            _("Share of each class to check with"),
            5,
            50,
            round(dataset.validation_split * 100),
            step=5,
            format="%d %%",
            help=explain("validation"),
        )
        draw = st.number_input(_("Draw number"), 0, 2**31 - 1, dataset.seed, help=explain("seed"))
        if (share / 100, draw) != (dataset.validation_split, dataset.seed):
            dataset.with_split(share / 100, int(draw)).save()
            st.rerun()


run_page(_("Images"), show_images, step=Step.IMAGES)
