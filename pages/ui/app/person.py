"""Who the person is in the class, in the sidebar: their name, another device of theirs, and leaving."""

from __future__ import annotations

from html import escape

import streamlit as st

from pages.ui.app.network import code_image, network_address
from pages.ui.app.process import visitor
from pages.ui.app.words import plain
from pages.ui.server.join import DEVICE_SECONDS, device_path
from pages.ui.server.service import service
from transfer_core.classroom.facts import Classroom
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
            st.dialog(_("Use another device"), icon=":material/devices:")(_show_device_code)(
                looking.person_id
            )
        # A link of Streamlit's would open another tab, or would be taken for a page of the app.
        st.html(f'<p class="leave"><a href="/leave" target="_self">{escape(_("Leave"))}</a></p>')


def _show_device_code(person_id: str) -> None:
    facts = Classroom(service().workspace).facts()
    address = network_address(device_path(facts, person_id))
    if not address:
        st.info(_("Other devices cannot reach this server."), icon=":material/info:")
        return
    st.markdown(_("Scan this code with your other device. It opens your place there."))
    st.html(f'<figure class="share-code">{code_image(address)}</figure>')
    st.caption(_("Keep it to yourself. It works for {count} minutes.").format(count=DEVICE_SECONDS // 60))
