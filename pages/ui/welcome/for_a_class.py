"""How this server serves a class; for the teacher of one, how pupils get in."""

from __future__ import annotations

import sys

import streamlit as st

from pages.ui.app.network import network_address
from pages.ui.app.process import trainings, visitor
from pages.ui.app.session import Session
from pages.ui.classroom.code_strip import code_html
from pages.ui.server.certificate import PREFIX as CERTIFICATE_PATH
from pages.ui.server.service import service
from transfer_core.classroom.facts import Classroom
from transfer_core.language import _


def promise() -> str:
    """Return where a person's photos and models are."""
    if trainings().sends_photos:
        return (
            _("Your photos go only to your teacher's computers.")
            if visitor().role == "pupil"
            else _("Your photos go only to the computers of the cluster.")
        )
    if visitor().role == "pupil":
        return _("Everything stays on your teacher's computer.")
    return _("Everything stays on this computer.")


def show_to_the_class(session: Session) -> None:
    """Draw address, class code and QR code for the teacher, large enough for the last row."""
    if visitor().role != "teacher":
        return
    with st.expander(
        _("Show to the class"), icon=":material/groups:", expanded=True, key="show-to-the-class"
    ):
        facts = Classroom(service().workspace).facts()
        st.html(f'<div class="class-invitation">{code_html(facts)}</div>')
        certificate = network_address(CERTIFICATE_PATH)
        if certificate.startswith("https:"):
            st.caption(
                _("Does a phone warn, or refuse the camera? [Accept the certificate]({address}).").format(
                    address=certificate
                )
            )
        st.page_link(
            "pages/11_Class.py",
            label=_("See who is here"),
            icon=":material/arrow_forward:",
            query_params=session.query(),
        )


def show_for_a_class(_session: Session) -> None:
    """Draw how this computer serves a class, where it serves one person."""
    if visitor().role != "home":
        return
    with st.expander(_("For a class"), icon=":material/groups:", key="for-a-class"):
        _show_explanation()


def _show_explanation() -> None:
    # The launcher that Python's installer adds on Windows.
    python = "py" if sys.platform == "win32" else "python3"
    st.markdown(_("One laptop serves the whole room, without accounts and without internet."))
    start, joining, keeping = st.columns(3, gap="medium")
    with start:
        st.markdown(_("**1 Start it on your laptop**"))
        st.code(f"{python} start.py --class", language=None)
        st.markdown(_("Close this program first. Then type this line in its folder."))
    with joining:
        st.markdown(_("**2 Pupils join**"))
        st.markdown(
            _(
                "You get an address, a class code and a QR code. Pupils open the address in the same Wi-Fi. They type "
                "the code and a first name."
            )
        )
    with keeping:
        st.markdown(_("**3 Everyone has their own place**"))
        st.markdown(
            _(
                "Pupils see only their own photos and models; you see everyone's. All of it remains on your laptop, "
                "and you can delete it for good."
            )
        )
    st.caption(
        _(
            "Does nobody reach the address? Many guest networks keep devices apart. Use a hotspot or a router of your "
            "own, and allow Python in the firewall. For live cameras on other devices, add `--https`."
        )
    )
