"""Step 2: add images, sorted into classes."""

import streamlit as st

from pages.ui.app.page import guarded, link_to_next, run_page
from pages.ui.app.session import Session
from pages.ui.app.steps import Step, step_state
from pages.ui.components.gallery import show_gallery
from pages.ui.images.add_photos import show_image_sources
from pages.ui.images.dataset_overview import show_overview
from pages.ui.images.edits import show_class_editor, show_last_edit
from pages.ui.images.problems import show_problems
from transfer_core.language import _
from transfer_core.runs.unlabelled import has_unlabelled


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
        if dataset is None or not has_unlabelled(dataset):
            st.info(
                _("No images yet. Bring your own, or take a sample to try things out."),
                icon=":material/info:",
            )
        return
    st.divider()
    show_overview(dataset)
    guarded(dataset.check_trainable)()
    problems = show_problems(session, dataset)
    if step_state(Step.IMAGES, session).is_done:
        if session.backbone_name:
            link_to_next(Step.LAYERS, _("Next: choose the layers"))
        else:
            link_to_next(Step.MODEL, _("Next: pick a model"))
    st.subheader(_("Gallery"), anchor=False)
    show_last_edit(dataset)
    show_gallery(session, dataset, problems)
    show_class_editor(dataset)


run_page(_("Images"), show_images, step=Step.IMAGES)
