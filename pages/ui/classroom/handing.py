"""Hand out photos of the teacher's own, with their models or without."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from pages.ui.app.dataset_choice import dataset_labels, stored_datasets
from pages.ui.app.process import work_queue
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from pages.ui.app.task_progress import show_task
from pages.ui.app.words import distinct_labels, labelled, plain
from pages.ui.classroom.teacher import callback_for_teacher
from pages.ui.server.service import service
from transfer_core.classroom.handout import HandedOut, Missed, hand_out_task
from transfer_core.classroom.people import people
from transfer_core.language import _, plural, sort_key
from transfer_core.work.task import Task


def show_handing_out(session: Session) -> None:
    """Draw the choice of photos and pupils, the progress, and who did not get them."""
    st.markdown(_("Each pupil gets a copy of your photos, to change and to train on."))
    task: Task[HandedOut] | None = work_queue().find("handing out", "class")
    if task and not task.is_over:
        show_task(task, lambda _progress: _("Handing out …"), name="handing-out")
        return
    if task:
        _show_end(task)
    datasets, names = stored_datasets(), pupil_labels()
    if not datasets:
        st.info(_("You have no photos yet. Add some on the page Images."), icon=":material/info:")
        st.page_link(
            Step.IMAGES.page, label=_("Go to Images"), icon=Step.IMAGES.icon, query_params=session.query()
        )
        return
    if not names:
        st.info(_("Nobody is in the class yet."), icon=":material/info:")
        return
    labels = dataset_labels(datasets)
    dataset_id = st.selectbox(
        _("Photos"), list(datasets), format_func=labels.__getitem__, key="handed-photos"
    )
    with_models = st.toggle(_("With the models that were trained on them"), key="handed-models")
    chosen = st.multiselect(
        _("Pupils"), list(names), format_func=names.__getitem__, key="handed-to", placeholder=_("Everyone")
    )
    st.button(
        _("Hand out"),
        icon=":material/outbox:",
        type="primary",
        key="hand-out",
        on_click=callback_for_teacher(_start),
        args=(dataset_id, chosen or list(names), with_models),
    )


def pupil_labels() -> Mapping[str, str]:
    """Return the names of all pupils by their ids; those that repeat are numbered."""
    found = sorted(people(service().workspace), key=lambda person: sort_key(person.name))
    return distinct_labels({person.id: person.name for person in found})


def show_missed(missed: tuple[Missed, ...]) -> None:
    """Draw who was left out and why."""
    if missed:
        lines = [
            f"- {labelled(plain(one.name or _('Somebody who has left')), plain(one.reason))}"
            for one in missed
        ]
        st.warning("\n".join([_("Left out:"), "", *lines]), icon=":material/person_off:")


def _start(dataset_id: str, person_ids: list[str], with_models: bool) -> None:
    task = hand_out_task(service().workspace, dataset_id, person_ids, with_models=with_models)
    work_queue().start(task)


def _show_end(task: Task[HandedOut]) -> None:
    if task.problem:
        st.error(plain(task.problem), icon=":material/error:")
    elif task.result is None:
        st.caption(_("Stopped. Some pupils may have got the photos."))
    else:
        words = plural("{count} pupil got a copy.", "{count} pupils got a copy.", task.result.num_people)
        st.success(words, icon=":material/check:")
        show_missed(task.result.missed)
