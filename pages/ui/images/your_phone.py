"""The code with which a phone adds photos, and the redrawing of the page when they arrive."""

from __future__ import annotations

import time

import streamlit as st

from pages.ui.app.arrivals import PhoneCode
from pages.ui.app.network import network_address, say_how_phones_reach_it, show_code
from pages.ui.app.page import guarded
from pages.ui.app.process import workspace
from pages.ui.app.session import Session
from pages.ui.server.phone import PREFIX
from transfer_core.classroom.phone import PHONE_LINK_SECONDS, phone_token
from transfer_core.data.dataset import ImageDataset
from transfer_core.language import _
from transfer_core.workspace import new_id

# Without photos the page stops to look for them.
_SECONDS_WATCHED = 15 * 60
# A code is shown as long as it works for some hours.
_SECONDS_SHOWN = PHONE_LINK_SECONDS / 2


def show_use_my_phone(session: Session) -> None:
    """Draw the button that shows the code, and redraw the page when photos arrive."""
    if "Mobi" not in st.context.headers.get("User-Agent", ""):
        dataset = session.dataset
        _show_button(session, dataset.version if dataset else 0)


@st.fragment
def _show_button(session: Session, version: int) -> None:
    part = st.expander(_("Use my phone"), icon=":material/smartphone:", key="use-my-phone", on_change="rerun")
    if part.open:
        with part:
            guarded(_show_code)(session)
    phone = session.phone
    if phone and time.time() - phone.used_at < _SECONDS_WATCHED:
        st.fragment(_redraw_when_photos_arrive, run_every="1s")(session, version)


def _show_code(session: Session) -> None:
    if not network_address(PREFIX):
        say_how_phones_reach_it()
        return
    phone = _code(session)
    address = network_address(f"{PREFIX}/{phone.token}")
    words = _("Scan it with a phone in the same network. The code works for {hours} hours.")
    show_code(address, words.format(hours=int(_SECONDS_SHOWN / 3600)))


def _code(session: Session) -> PhoneCode:
    """Return the code for the chosen photos, or for those that the phone's first photo creates."""
    now, phone = time.time(), session.phone
    known_id = session.dataset_id or (phone.dataset_id if phone else new_id())
    if phone is None or phone.dataset_id != known_id or now - phone.made_at > _SECONDS_SHOWN:
        phone = session.phone = PhoneCode(known_id, phone_token(workspace(), known_id), now, now)
    phone.used_at = now
    return phone


def _redraw_when_photos_arrive(session: Session, version: int) -> None:
    """Redraw the whole page once the photos of the code are another version than the page has drawn."""
    phone = session.phone
    if phone is None or time.time() - phone.used_at > _SECONDS_WATCHED:
        st.rerun()
    messages, recording = session.card_messages, session.recording
    is_recording = bool(messages and messages.is_under_way) or bool(recording and not recording.is_complete)
    if is_recording or session.is_bringing_photos:
        return
    if session.dataset_id is None and phone.dataset_id in workspace().dataset_ids():
        session.dataset_id = phone.dataset_id
        # The code keeps its place above the photos.
        session.is_adding = True
    if session.dataset_id != phone.dataset_id:
        return
    if ImageDataset.load(workspace(), phone.dataset_id).version != version:
        phone.used_at = time.time()
        st.rerun()
