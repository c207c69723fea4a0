"""Correcting a prediction: the photo joins the dataset with its right label, for the next training."""

from __future__ import annotations

import hashlib

import streamlit as st

from pages.ui.app.page import guarded
from pages.ui.app.process import workspace
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from pages.ui.app.words import plain, short_names
from transfer_core.language import _
from transfer_core.runs.corrections import add_correction, dataset_of
from transfer_core.runs.training_run import TrainingRun


def show_correction(
    session: Session, run: TrainingRun, name: str, content: bytes, said: str | None, number: int
) -> None:
    """Draw the form to correct the label of a photo, or the result of the correction.

    Args:
        session: Keeps the corrections.
        run: Its dataset gets the photo.
        name: Of the photo.
        content: The bytes of its file.
        said: The predicted class; None if the photo was rejected.
        number: Unique for each photo of the page.
    """
    photo_id = f"{run.dataset_id}-{hashlib.sha256(content).hexdigest()}"
    if photo_id in session.corrections:
        _show_thanks(session, run, session.corrections[photo_id], number)
        return
    with st.popover(_("This is wrong"), icon=":material/thumb_down:", type="tertiary"):
        dataset = dataset_of(workspace(), run)
        if dataset is None:
            st.markdown(
                _("The images that this model learned from are gone, so the photo cannot be put among them.")
            )
            return
        labels = short_names(dataset.class_names)
        class_name = st.selectbox(
            _("What is it really?"),
            [name for name in dataset.class_names if name != said],
            index=None,
            format_func=lambda name: labels.get(name, name),
            placeholder=_("Choose a class, or type a new one"),
            accept_new_options=True,
            key=f"right-class-{number}-{photo_id}",
        )
        st.caption(
            _("The photo is put among the images of this model. The model learns from it the next time.")
        )
        if st.button(
            _("Put it among the images"),
            type="primary",
            disabled=not class_name,
            key=f"correct-{number}",
        ):
            guarded(_correct)(session, run, name, content, str(class_name), photo_id)


def _correct(
    session: Session, run: TrainingRun, name: str, content: bytes, class_name: str, photo_id: str
) -> None:
    dataset = add_correction(workspace(), run, name, content, class_name)
    session.corrections[photo_id] = dataset.images[-1].class_name
    st.toast(_("The photo is among the images now."), icon=":material/check:")
    st.rerun()


def _show_thanks(session: Session, run: TrainingRun, class_name: str, number: int) -> None:
    st.success(
        _("Put among the images as **{name}**, for the next training.").format(name=plain(class_name)),
        icon=":material/check_circle:",
    )
    if st.button(
        _("Train again"),
        icon=Step.TRAIN.icon,
        help=_("Opens the Train page with the choices of this model. Nothing starts before you say so."),
        key=f"train-again-{number}",
    ):
        session.choose_run(run)
        session.change_choices()
        st.switch_page(Step.TRAIN.page)
