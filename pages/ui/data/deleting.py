"""Deleting for good: the question before it, its progress, and freeing the memory of this server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx

from pages.ui.app.page import show_undo
from pages.ui.app.pictures import forget_pictures
from pages.ui.app.process import work_queue, workspace
from pages.ui.app.session import Session
from pages.ui.app.task_progress import show_task
from pages.ui.app.words import plain
from pages.ui.server.service import service
from transfer_core.language import _
from transfer_core.runs.trash import take_from_trash


def show_delete_button(
    session: Session,
    key: str,
    label: str,
    sentences: Sequence[str],
    delete: Callable[[], object],
    *,
    is_quiet: bool = True,
    is_all: bool = False,
) -> None:
    """Draw a button that asks in a dialog, and deletes for good if the person says yes.

    Args:
        session: Remembers the question, and forgets what is deleted.
        key: Of the button.
        label: Of the button.
        sentences: What will be deleted.
        delete: Deletes it, in the background.
        is_quiet: Whether it is one button of many.
        is_all: Whether everything of this person is deleted.
    """

    def ask(about: str | None) -> None:
        session.question = about

    st.button(
        label,
        icon=":material/delete_forever:",
        key=key,
        type="tertiary" if is_quiet else "secondary",
        on_click=ask,
        args=(key,),
    )
    if session.question == key:
        question = st.dialog(_("{action}?").format(action=label), on_dismiss=partial(ask, None))
        question(_show_question)(session, sentences, delete, is_all=is_all)


def _show_question(
    session: Session, sentences: Sequence[str], delete: Callable[[], object], *, is_all: bool
) -> None:
    for sentence in sentences:
        st.markdown(plain(sentence))
    st.markdown(_("**This cannot be undone.**"))
    with st.container(horizontal=True):
        if st.button(_("Delete for good"), icon=":material/delete_forever:", type="primary", key="yes"):
            service().delete(workspace(), delete)
            session.question = None
            # Undo would find nothing any more.
            session.deleted_dataset_id = session.deleted_run_id = session.deleted_source_id = None
            if is_all:
                _forget_uploads()
                session.forget_data()
            st.rerun()
        if st.button(_("Cancel"), key="no"):
            session.question = None
            st.rerun()


def show_deletion(session: Session) -> bool:
    """Draw the progress of a deletion, or how it ended. Returns whether one is under way."""
    task = work_queue().find("deletion", workspace().root, workspace().owner)
    if task is None:
        return False
    if not task.is_over:
        show_task(task, lambda _progress: _("Deleting …"), name="deletion")
        return True
    # A deletion frees the memory of tasks before it ends, so it is dropped here.
    work_queue().forget(task)
    forget_pictures()
    if task.problem:
        st.error(plain(task.problem), icon=":material/error:")
    else:
        st.toast(_("Deleted for good."), icon=":material/check:")
    return False


def show_deleted_photo_set(session: Session) -> None:
    """Draw that a photo set was deleted, with a button that undoes it."""
    deleted = session.deleted_dataset_id
    if deleted:
        text = _(":material/delete: The photo set was deleted. It is kept in the trash for seven days.")
        show_undo(text, partial(_undo, session, deleted), "delete-photo-set")


def _undo(session: Session, dataset_id: str) -> None:
    session.deleted_dataset_id = None
    take_from_trash(workspace(), "dataset", dataset_id)
    session.choose_dataset(dataset_id)
    st.rerun()


def _forget_uploads() -> None:
    """Free what this browser has uploaded in fields of Streamlit."""
    context = get_script_run_ctx()
    if context and isinstance(context.uploaded_file_mgr, MemoryUploadedFileManager):
        context.uploaded_file_mgr.remove_session_files(context.session_id)
