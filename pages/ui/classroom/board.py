"""The teacher's board: the class code, its parts, and what fills the screen for the projector."""

from __future__ import annotations

from pages.ui.app.page import choose_part
from pages.ui.app.session import Session
from pages.ui.classroom.cards import show_cards
from pages.ui.classroom.code_strip import show_code_strip, show_large_code
from pages.ui.classroom.teacher import for_teacher
from transfer_core.language import _


@for_teacher
def show_board(session: Session) -> None:
    """Draw the whole page, or only what the projector shows."""
    if session.projected == "code":
        show_large_code(session)
        return
    show_code_strip(session)
    parts = {"pupils": (_("Pupils"), show_cards)}
    titles = {name: title for name, (title, _show) in parts.items()}
    session.class_part = choose_part(titles, session.class_part, "class-part", label=_("Part of this page"))
    _title, show = parts[session.class_part]
    for_teacher(show)(session)
