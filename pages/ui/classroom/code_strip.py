"""How pupils get into the class: its code, its address and their QR code, small on the board or on the whole screen."""

from __future__ import annotations

from html import escape
from urllib.parse import urlsplit

import streamlit as st

from pages.ui.app.network import code_image, network_address
from pages.ui.app.page import guarded
from pages.ui.app.session import Session
from pages.ui.classroom.teacher import callback_for_teacher
from pages.ui.server.attendance import attendance
from pages.ui.server.service import service
from transfer_core.classroom.facts import ClassFacts, Classroom
from transfer_core.classroom.people import people
from transfer_core.language import _, plural


def show_code_strip(session: Session) -> None:
    """Draw code, address and QR code in one line, with the buttons that enlarge them and close the class."""
    facts = Classroom(service().workspace).facts()
    with st.container(
        horizontal=True,
        horizontal_alignment="distribute",
        vertical_alignment="center",
        border=True,
        key="class-strip",
    ):
        st.html(code_html(facts), width="content")
        with st.container(horizontal=True, width="content", key="class-strip-buttons"):
            st.button(
                _("Show large"),
                icon=":material/fullscreen:",
                key="show-code",
                on_click=callback_for_teacher(_project_code),
                args=(session,),
            )
            st.button(
                _("Close the class") if facts.is_open else _("Open the class"),
                icon=":material/lock:" if facts.is_open else ":material/lock_open:",
                key="open-or-close",
                on_click=callback_for_teacher(_open_or_close),
                args=(not facts.is_open,),
                help=_("While it is closed, nobody can join. The pupils' work is kept."),
            )
    if not facts.is_open:
        st.warning(_("The class is closed. Open it to let pupils in."), icon=":material/lock:")
    if not network_address(facts.join_path):
        st.warning(
            _("Other devices cannot reach this server. Start it with `python3 start.py --class`."),
            icon=":material/wifi_off:",
        )


def show_large_code(session: Session) -> None:
    """Fill the screen with code, address and QR code."""
    facts = Classroom(service().workspace).facts()
    with st.container(key="projector"):
        with st.container(horizontal=True, horizontal_alignment="right", key="projector-buttons"):
            show_close_button(session)
        st.html(f'<div class="class-large">{code_html(facts)}</div>')
        st.fragment(guarded(_show_number_here), run_every="2s")()


def show_close_button(session: Session) -> None:
    """Draw the button that leads back from the projector's view to the board."""
    st.button(
        _("Close"), icon=":material/close:", key="close-projector", on_click=_close_projector, args=(session,)
    )


def here_words() -> str:
    """Return how many pupils are here now."""
    found = people(service().workspace)
    if not found:
        return _("Nobody is here yet.")
    num_here = sum(attendance.is_here(person.id) for person in found)
    return plural(
        "{here} of {count} pupil here now", "{here} of {count} pupils here now", len(found), here=num_here
    )


def _show_number_here() -> None:
    st.html(f'<p class="class-here">{escape(here_words())}</p>')


def code_html(facts: ClassFacts) -> str:
    """Return class code, address and the QR code that fills in both, for a style that sets their size."""
    address = network_address(facts.join_path)
    picture = code_image(address) if address else ""
    parts = urlsplit(address)
    # Browsers take an address without its scheme for http.
    shown = parts.netloc if parts.scheme == "http" else f"{parts.scheme}://{parts.netloc}"
    shown = shown if parts.netloc else _("no address")
    entries = [(_("Class code"), "code", facts.code), (_("Address"), "address", shown)]
    texts = "".join(
        f'<div><dt>{escape(title)}</dt><dd class="{kind}">{escape(text)}</dd></div>'
        for title, kind, text in entries
    )
    return f'<div class="class-code">{picture}<dl>{texts}</dl></div>'


def _project_code(session: Session) -> None:
    session.projected = "code"


def _close_projector(session: Session) -> None:
    session.projected = ""


def _open_or_close(is_open: bool) -> None:
    Classroom(service().workspace).change(is_open=is_open)
