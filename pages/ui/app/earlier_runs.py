"""A person's models on the welcome page."""

from __future__ import annotations

from html import escape

import streamlit as st

from pages.ui.app.page import guarded
from pages.ui.app.pictures import thumbnails
from pages.ui.app.process import stored_evaluation, trainings, workspace
from pages.ui.app.session import Session
from pages.ui.app.words import accuracy_words, labelled, model_name, plain, status_words
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import TransferStudioError
from transfer_core.language import _
from transfer_core.runs.training_run import TrainingRun

_MODELS_SHOWN = 8
_PICTURES_SHOWN = 4
_PICTURE_SIDE = 112


def show_your_models(session: Session) -> None:
    """Draw the newest trainings, each with photos, its accuracy and a button that opens it."""
    run_ids = workspace().run_ids()
    st.header(_("Your models"), anchor=False)
    if not run_ids:
        st.caption(_("The models that you train are listed here."))
    with st.container(key="your-models"):
        for run_id in run_ids[:_MODELS_SHOWN]:
            try:
                _show_model(session, TrainingRun.load(workspace(), run_id))
            except TransferStudioError as error:
                st.caption(f":material/broken_image: {labelled(run_id[:15], plain(str(error)))}")
    with st.container(horizontal=True):
        if len(run_ids) > _MODELS_SHOWN:
            label = _("All {count} models").format(count=len(run_ids))
            st.page_link("pages/8_Compare.py", label=label, icon=":material/compare_arrows:")
        st.page_link(
            "pages/10_Projects.py", label=_("Open a project from a file"), icon=":material/folder_open:"
        )


def _show_model(session: Session, run: TrainingRun) -> None:
    with st.container(border=True, key=f"model-card-{run.id}"):
        st.html(f'<div class="photo-strip">{_pictures(run)}</div>')
        st.markdown(f"**{plain(model_name(run))}**")
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(_state_words(run), width="stretch")
            if st.button(_("Open"), key=f"open-{run.id}", help=_("Use this model above.")):
                guarded(_open)(session, run)


def _state_words(run: TrainingRun) -> str:
    """Return the accuracy of a model, or the state of its training."""
    status = trainings().status(run.id)
    words = status_words(status)
    if status in ("finished", "stopped") and (evaluation := stored_evaluation(run.id)):
        return _("Accuracy {accuracy}").format(accuracy=accuracy_words(evaluation))
    return f"{words.icon} {words.state}"


def _pictures(run: TrainingRun) -> str:
    """Return small pictures of a run's photos, one of each class, as HTML."""
    if run.dataset_id not in workspace().dataset_ids():
        return ""
    dataset = ImageDataset.load(workspace(), run.dataset_id)
    first_of_each = {image.class_name: image for image in reversed(dataset.images)}
    paths = [str(dataset.image_path(image)) for image in reversed(first_of_each.values())][:_PICTURES_SHOWN]
    urls = thumbnails(tuple(paths), _PICTURE_SIDE)
    return "".join(f'<img src="{escape(url)}" alt="">' for url in urls)


def _open(session: Session, run: TrainingRun) -> None:
    session.choose_run(run)
    st.rerun()
