"""Ask before something is removed from the class for good, and remove it."""

from __future__ import annotations

from functools import partial
from html import escape

import streamlit as st

from pages.ui.app.process import work_queue
from pages.ui.app.session import Session
from pages.ui.app.task_progress import follow, show_bar
from pages.ui.app.words import plain
from pages.ui.classroom.teacher import callback_for_teacher
from pages.ui.server.service import service
from transfer_core.classroom.facts import Classroom
from transfer_core.classroom.people import get_person
from transfer_core.classroom.removal import forget_class, remove_photos_task, remove_task
from transfer_core.errors import NotFoundError
from transfer_core.language import _, plural
from transfer_core.work.task import Task


def show_removal(session: Session) -> None:
    """Draw the question about what is to be removed, or the progress of a removal that is under way."""
    for task in work_queue().tasks("removing"):
        if not task.is_over:
            follow(task, partial(show_bar, task, lambda _progress: _("Deleting …"), "removing", "", ""))
        elif task.problem:
            st.error(plain(task.problem), icon=":material/error:")
            work_queue().forget(task)
    match session.to_remove:
        case ("person", person_id):
            _ask_about_person(session, person_id)
        case ("photos", person_id, dataset_id, *image_ids):
            words = plural(
                "Delete {count} photo for good? It cannot be restored.",
                "Delete {count} photos for good? They cannot be restored.",
                len(image_ids),
            )
            task = remove_photos_task(service().workspace, person_id, dataset_id, image_ids)
            _ask(session, words, _("Delete for good"), task)
        case ("class",):
            _ask_about_class(session)


def _ask_about_person(session: Session, person_id: str) -> None:
    try:
        name = get_person(service().workspace, person_id).name
    except NotFoundError:
        session.to_remove = ()
        return
    words = _("Remove {name} from the class? All their photos and models are deleted for good.")
    _ask(
        session,
        words.format(name=f"**{plain(name)}**"),
        _("Remove and delete"),
        remove_task(service(), [person_id]),
    )


def _ask(session: Session, words: str, label: str, task: Task[int]) -> None:
    with st.container(border=True, key="removal"):
        st.markdown(f":material/warning: {words}")
        with st.container(horizontal=True):
            st.button(
                label,
                icon=":material/delete_forever:",
                type="primary",
                key="removal-yes",
                on_click=callback_for_teacher(_carry_out),
                args=(session, task),
            )
            st.button(_("Keep"), key="removal-no", on_click=_drop_question, args=(session,))


def _carry_out(session: Session, task: Task[int]) -> None:
    session.to_remove = ()
    work_queue().start(task)


def _drop_question(session: Session) -> None:
    session.to_remove = ()


def _ask_about_class(session: Session) -> None:
    """Ask about everything of the class. Afterwards the teacher's own cookie counts no more, so the run ends here."""
    with st.container(border=True, key="removal"):
        st.markdown(f":material/warning: {_('Delete everything of this class for good?')}")
        st.markdown(
            _(
                "This deletes all pupils with their photos and models. The class code and your link change. Your own "
                "photos and models are kept."
            )
        )
        place = st.empty()
        with place.container(horizontal=True):
            is_sure = st.button(
                _("Delete everything"), icon=":material/delete_forever:", type="primary", key="forget-class"
            )
            st.button(_("Keep"), key="removal-no", on_click=_drop_question, args=(session,))
        if is_sure:
            session.to_remove = ()
            work_queue().start(forget_class(service()))
            with place.container():
                st.success(_("Everybody is out, and their files are being deleted."), icon=":material/check:")
                # A link of Streamlit's would open another tab.
                key = Classroom(service().workspace).facts().teacher_key
                st.html(f'<a href="/teacher/{key}" target="_self">{escape(_("Begin a new class"))}</a>')
            st.stop()
