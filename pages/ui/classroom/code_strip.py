"""How pupils get into the class: its code, its address and their QR code, small on the board or on the whole screen."""

from __future__ import annotations

from html import escape
from urllib.parse import urlsplit

import streamlit as st

from pages.ui.app.network import code_image, network_address
from pages.ui.app.page import guarded
from pages.ui.app.session import Session
from pages.ui.classroom.teacher import for_teacher
from pages.ui.server.class_routes import attendance
from pages.ui.server.service import service
from transfer_core.classroom.facts import Classroom
from transfer_core.classroom.people import people
from transfer_core.language import _, plural

JOIN_PATH = "/join"


def show_code_strip(session: Session) -> None:
    """Draw code, address and QR code in one line, with the buttons that enlarge them and close the class."""
    facts = Classroom(service().workspace).facts()
    with st.container(horizontal=True, vertical_alignment="center", border=True, key="class-strip"):
        st.html(_code_html(facts.code), width="content")
        with st.container(horizontal=True, width="content", key="class-strip-buttons"):
            st.button(
                _("Show large"),
                icon=":material/fullscreen:",
                key="show-code",
                on_click=for_teacher(_project_code),
                args=(session,),
            )
            st.button(
                _("Close the class") if facts.is_open else _("Open the class"),
                icon=":material/lock:" if facts.is_open else ":material/lock_open:",
                key="open-or-close",
                on_click=for_teacher(_open_or_close),
                args=(not facts.is_open,),
                help=_("While it is closed, nobody can join. The pupils' work is kept."),
            )
    if not facts.is_open:
        st.warning(_("The class is closed. Open it to let pupils in."), icon=":material/lock:")
    if not network_address(JOIN_PATH):
        st.warning(
            _("Other devices cannot reach this server. Start it with `python3 start.py --class`."),
            icon=":material/wifi_off:",
        )


def show_large_code(session: Session) -> None:
    """Fill the screen with code, address and QR code."""
    facts = Classroom(service().workspace).facts()
    with st.container(key="projector"):
        st.button(
            _("Close"),
            icon=":material/close:",
            key="close-projector",
            on_click=close_projector,
            args=(session,),
        )
        st.html(f'<div class="class-large">{_code_html(facts.code)}</div>')
        st.fragment(guarded(_show_number_here), run_every="2s")()


def close_projector(session: Session) -> None:
    """Go back to the board. To be called by a button before the page is drawn."""
    session.projected = ""


def here_words() -> str:
    """Return how many pupils are here now."""
    found = people(service().workspace)
    num_here = sum(attendance.is_here(person.id) for person in found)
    return plural(
        "{here} of {count} pupil here now", "{here} of {count} pupils here now", len(found), here=num_here
    )


def _show_number_here() -> None:
    st.html(f'<p class="class-here">{escape(here_words())}</p>')


def _code_html(code: str) -> str:
    address = network_address(JOIN_PATH)
    picture = code_image(address) if address else ""
    shown = urlsplit(address).netloc or _("no address")
    entries = [(_("Class code"), "code", code), (_("Address"), "address", shown)]
    texts = "".join(
        f'<div><dt>{escape(title)}</dt><dd class="{kind}">{escape(text)}</dd></div>'
        for title, kind, text in entries
    )
    return f'<div class="class-code">{picture}<dl>{texts}</dl></div>'


def _project_code(session: Session) -> None:
    session.projected = "code"


def _open_or_close(is_open: bool) -> None:
    Classroom(service().workspace).change(is_open=is_open)
