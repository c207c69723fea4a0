"""The teacher's board: the class code, its parts, and what fills the screen for the projector."""

from __future__ import annotations

import streamlit as st

from pages.ui.app.page import choose_part
from pages.ui.app.session import Session
from pages.ui.classroom.cards import show_cards
from pages.ui.classroom.class_settings import show_class_settings
from pages.ui.classroom.code_strip import show_code_strip, show_large_code
from pages.ui.classroom.collecting import show_collecting
from pages.ui.classroom.handing import show_handing_out
from pages.ui.classroom.pupil_photos import show_pupil_photos
from pages.ui.classroom.pupil_work import show_pupil_work
from pages.ui.classroom.queue_list import show_queue
from pages.ui.classroom.removing import show_removal
from pages.ui.classroom.teacher import for_teacher
from transfer_core.language import _


@for_teacher
def show_board(session: Session) -> None:
    """Draw the whole page, or only what the projector shows."""
    if session.projected:
        show = show_large_code if session.projected == "code" else show_pupil_work
        show(session)
        return
    show_code_strip(session)
    show_removal(session)
    if session.opened_person_id:
        show_pupil_photos(session)
        return
    parts = {
        "pupils": (_("Pupils"), show_cards),
        "queue": (_("Queue"), show_queue),
        "handing": (_("Hand out"), show_handing_out),
        "collecting": (_("Collect"), show_collecting),
        "settings": (_("Settings"), show_class_settings),
    }
    titles = {name: title for name, (title, _show) in parts.items()}
    session.class_part = choose_part(titles, session.class_part, "class-part", label=_("Part of this page"))
    # Each part has a place of its own, so that Streamlit removes an earlier part before it draws this one.
    places = {name: st.container() if name == session.class_part else st.empty() for name in parts}
    _title, show_part = parts[session.class_part]
    with places[session.class_part]:
        for_teacher(show_part)(session)
