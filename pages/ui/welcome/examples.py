"""Column 1 of the quick start: the classes and their photos."""

from __future__ import annotations

import streamlit as st

from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from transfer_core.language import _, plural


def show_examples(session: Session) -> None:
    """Draw the classes of the chosen photos."""
    st.subheader(_("1 Show examples"), anchor=False)
    dataset = session.dataset
    for class_name in dataset.class_names if dataset else ():
        count = sum(image.class_name == class_name for image in dataset.images) if dataset else 0
        st.markdown(f"**{class_name}** · {plural('{count} photo', '{count} photos', count)}")
    st.page_link(Step.IMAGES.page, label=_("Add photos"), icon=Step.IMAGES.icon, query_params=session.query())
