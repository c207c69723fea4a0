"""Settings of the class, and the way to forget all of it."""

from __future__ import annotations

import streamlit as st
from msgspec import structs

from pages.ui.app.session import Session
from pages.ui.classroom.teacher import callback_for_teacher
from pages.ui.server.service import service
from transfer_core.classroom.facts import Classroom
from transfer_core.language import _

_MOST_PHOTOS = 50_000
_MOST_MEGABYTES = 1_000_000
_MOST_RUNS = 1_000
_MOST_DAYS = 400


def show_class_settings(session: Session) -> None:
    """Draw the limits, the days until the class is forgotten, the class code, a note, and the end of the class."""
    with st.container(border=True, key="class-limits"):
        _show_limits()
    with st.container(border=True, key="class-photos-note"):
        _show_note()
    with st.container(border=True, key="class-end"):
        _show_end(session)


def _show_limits() -> None:
    classroom = Classroom(service().workspace)
    facts = classroom.facts()
    st.header(_("Each pupil may have"), anchor=False)
    with st.form("class-limits-form", border=False):
        with st.container(horizontal=True):
            photos = st.number_input(
                _("Photos"), 1, _MOST_PHOTOS, facts.limits.photos, step=100, key="limit-photos"
            )
            megabytes = st.number_input(
                _("Megabytes"), 1, _MOST_MEGABYTES, facts.limits.megabytes, step=256, key="limit-megabytes"
            )
            runs = st.number_input(_("Models"), 1, _MOST_RUNS, facts.limits.runs, step=5, key="limit-runs")
            waiting = st.number_input(
                _("Waiting trainings"), 1, _MOST_RUNS, facts.limits.waiting, key="limit-waiting"
            )
        days = st.number_input(
            _("Days until the class is deleted (0: never)"),
            0,
            _MOST_DAYS,
            facts.days_kept,
            help=_("Then everything of all pupils is deleted for good."),
            width=320,
            key="days-kept",
        )
        is_saved = st.form_submit_button(_("Save"), icon=":material/save:")
    if is_saved:
        classroom.change(
            limits=structs.replace(
                facts.limits, photos=photos, megabytes=megabytes, runs=runs, waiting=waiting
            ),
            days_kept=days,
        )
        st.toast(_("Saved."), icon=":material/check:")


def _show_note() -> None:
    st.header(_("Photos of children"), anchor=False)
    st.markdown(
        "\n".join(
            f"- {line}"
            for line in (
                _("Photograph things rather than people. No lesson here needs a face."),
                _("Ask parents before children are in photos."),
                _("Photos stay on this computer. Delete them after the lesson.")
                if service().computers() is None
                else _(
                    "Trainings copy photos to the computers of the cluster. Delete photos after the lesson."
                ),
                _("In the EU, recognising emotions in schools is forbidden."),
            )
        )
    )


def _show_end(session: Session) -> None:
    st.header(_("Code and end of the class"), anchor=False)
    with st.container(horizontal=True):
        st.button(
            _("New class code"),
            icon=":material/refresh:",
            key="new-code",
            on_click=callback_for_teacher(_change_code),
            help=_("Who is in the class remains in it."),
        )
        st.button(
            _("Delete everything of this class"),
            icon=":material/delete_forever:",
            key="ask-forget-class",
            on_click=callback_for_teacher(_ask),
            args=(session,),
        )


def _change_code() -> None:
    Classroom(service().workspace).change_code()


def _ask(session: Session) -> None:
    session.to_remove = ("class",)
