"""Deleting a run, and undoing that."""

from __future__ import annotations

from functools import partial

import streamlit as st

from pages.ui.app.page import show_undo
from pages.ui.app.process import trainings
from pages.ui.app.session import Session
from transfer_core.language import _


def delete_run(session: Session, run_id: str) -> None:
    """Move a run to the trash and draw the page again."""
    trainings().delete(run_id)
    session.forget_deleted(run_id)
    st.rerun()


def show_deleted_run(session: Session) -> None:
    """Draw that a run was deleted, with a button that undoes it."""
    if session.deleted_run_id:
        text = _(":material/delete: The model was deleted.")
        show_undo(text, partial(_undo, session, session.deleted_run_id), "delete-run")


def _undo(session: Session, run_id: str) -> None:
    session.deleted_run_id = None
    trainings().undo_delete(run_id)
    session.run_id = run_id
    st.rerun()
