"""Correcting an answer: the photo joins the training photos with its right class, for the next training."""

from __future__ import annotations

import hashlib

import streamlit as st

from pages.ui.app.page import guarded
from pages.ui.app.process import workspace
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from pages.ui.app.words import plain, short_names
from transfer_core.language import _, sort_key
from transfer_core.runs.corrections import add_correction, dataset_of
from transfer_core.runs.training_run import TrainingRun


def show_correction(
    session: Session, run: TrainingRun, name: str, content: bytes, said: str | None, key: str
) -> None:
    """Draw the form to correct the class of a photo, or the result of the correction.

    Args:
        session: Keeps the corrections.
        run: Its dataset gets the photo.
        name: Of the photo.
        content: The bytes of its file.
        said: The predicted class; None if the photo was rejected.
        key: Unique for each photo of the page.
    """
    photo_id = f"{run.dataset_id}-{hashlib.sha256(content).hexdigest()}"
    if photo_id in session.corrections:
        _show_thanks(session, run, session.corrections[photo_id], key)
        return
    with st.expander(_("Is this wrong?"), icon=":material/thumb_down:"):
        dataset = dataset_of(workspace(), run)
        if dataset is None:
            st.markdown(_("The training photos were deleted, so this one cannot join them."))
            return
        labels = short_names(dataset.class_names)
        class_name = st.selectbox(
            _("What is it really?"),
            sorted((name for name in dataset.class_names if name != said), key=sort_key),
            index=None,
            format_func=lambda name: labels.get(name, name),
            placeholder=_("Choose a class, or type a new one"),
            accept_new_options=True,
            key=f"right-class-{key}-{photo_id}",
        )
        if st.button(
            _("Add to the training photos"),
            icon=":material/add_photo_alternate:",
            disabled=not class_name,
            help=_("Your model learns from it the next time you train."),
            key=f"correct-{key}",
        ):
            guarded(_correct)(session, run, name, content, str(class_name), photo_id)


def _correct(
    session: Session, run: TrainingRun, name: str, content: bytes, class_name: str, photo_id: str
) -> None:
    dataset = add_correction(workspace(), run, name, content, class_name)
    session.corrections[photo_id] = dataset.images[-1].class_name
    st.rerun()


def _show_thanks(session: Session, run: TrainingRun, class_name: str, key: str) -> None:
    st.success(
        _("Added to **{name}**. Train again to learn from it.").format(name=plain(class_name)),
        icon=":material/check_circle:",
    )
    if st.button(
        _("Train again"),
        icon=Step.TRAIN.icon,
        help=_("Opens the Train page with the choices of this model. You start the training there."),
        key=f"train-again-{key}",
    ):
        session.choose_run(run)
        session.change_choices()
        st.switch_page(Step.TRAIN.page)
