"""Who the person is in the class, their other devices, leaving it, and what the teacher handed them."""

from __future__ import annotations

from html import escape

import streamlit as st

from pages.ui.app.network import code_image, network_address
from pages.ui.app.process import visitor, workspace
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from pages.ui.app.words import plain
from pages.ui.server.join import DEVICE_SECONDS, device_path
from pages.ui.server.service import service
from transfer_core.classroom.facts import Classroom
from transfer_core.classroom.handout import mark_opened, received
from transfer_core.classroom.people import get_person
from transfer_core.language import _


def show_person() -> None:
    """Draw who the person is, if this server serves a class."""
    looking = visitor()
    if looking.role == "home":
        return
    with st.container(key="person", gap=None):
        if looking.role == "teacher":
            st.markdown(f":material/badge: **{_('Teacher')}**")
            return
        name = get_person(service().workspace, looking.person_id).name
        st.markdown(f":material/person: **{plain(name)}**")
        if st.button(
            _("Use another device"), icon=":material/devices:", key="another-device", type="tertiary"
        ):
            show_device_code(looking.person_id)
        # A link of Streamlit's would open another tab, or would be taken for a page of the app.
        st.html(f'<p class="leave"><a href="/leave" target="_self">{escape(_("Leave"))}</a></p>')


def show_received(session: Session) -> None:
    """Draw a button for each photo set from the teacher that the pupil has not opened yet."""
    for dataset in received(workspace()) if visitor().role == "pupil" else ():
        if st.button(plain(dataset.name), icon=":material/redeem:", key=f"received-{dataset.id}"):
            mark_opened(workspace(), dataset.id)
            session.choose_dataset(dataset.id)
            st.switch_page(Step.IMAGES.page)


def show_device_code(person_id: str) -> None:
    """Open a dialog with the code by which another device joins the place of a pupil."""
    st.dialog(_("Use another device"), icon=":material/devices:")(_show_code)(person_id)


def _show_code(person_id: str) -> None:
    facts = Classroom(service().workspace).facts()
    address = network_address(device_path(facts, person_id))
    if not address:
        st.info(_("Other devices cannot reach this server."), icon=":material/info:")
        return
    st.markdown(_("Scan this code with your other device. It opens your place there."))
    st.html(f'<figure class="share-code">{code_image(address)}</figure>')
    st.caption(_("Keep it to yourself. It works for {count} minutes.").format(count=DEVICE_SECONDS // 60))
