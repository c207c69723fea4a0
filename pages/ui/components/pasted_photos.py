"""The component that takes photos from the clipboard, pasted anywhere on the page or with a button."""

from __future__ import annotations

import base64
import binascii
from functools import partial
from typing import Any

import streamlit as st

from pages.ui.app.session import MAX_PASTED, Session
from pages.ui.app.words import plain
from pages.ui.components.component import component, sent_message
from transfer_core.language import _

_KEY = "pasted-photos"
_MOST_MEGABYTES = 20
# Browsers give this name to a picture that was copied rather than a file.
_NAMELESS = ("", "image.png")


def show_pasted_photos(session: Session) -> None:
    """Draw the Paste button and the pasted photos, each with a button that removes it."""
    component("pasted_photos")(
        key=_KEY,
        data={
            "acknowledged": session.pasted_id,
            "room": MAX_PASTED - len(session.pasted),
            "maxBytes": _MOST_MEGABYTES * 10**6,
            "words": _words(),
        },
        on_photo_change=partial(take_photo, session),
    )
    if not session.pasted:
        return
    with st.container(horizontal=True, key="pasted-list"):
        for photo_id, photo in session.pasted.items():
            st.button(
                plain(photo.path),
                icon=":material/close:",
                help=_("Remove this photo"),
                key=f"unpaste-{photo_id}",
                on_click=partial(_take_away, session, photo_id),
            )


def take_photo(session: Session) -> None:
    """Keep the photo that the component has just sent, unless it is there already or there are too many."""
    message = sent_message(_KEY, "photo", "id")
    if message is None or message["id"] == session.pasted_id:
        return
    session.pasted_id = str(message["id"])
    try:
        content = base64.b64decode(message["content"], validate=True)
    except binascii.Error:
        # Damaged on its way: reported like any other broken file.
        content = b""
    if len(content) <= _MOST_MEGABYTES * 10**6:
        name = str(message["name"])
        if name in _NAMELESS:
            name = _("Pasted {number}").format(number=session.num_pasted + 1)
        session.paste(session.pasted_id, name, content)


def _take_away(session: Session, photo_id: str) -> None:
    session.pasted.pop(photo_id, None)


def _words() -> dict[str, Any]:
    return {
        "button": _("Paste a photo"),
        "take": _("Take a photo"),
        "hint": _("or press Ctrl+V (Cmd+V on a Mac)"),
        "waiting": _("Reading your photo …"),
        "empty": _("The clipboard is empty. Copy a photo first, then paste it here."),
        "notAllowed": _("The browser blocks the clipboard. Press Ctrl+V (Cmd+V on a Mac) instead."),
        "tooMany": _("At most {limit} pasted photos fit here. Remove some first.").format(limit=MAX_PASTED),
        "tooLarge": _("The photo is larger than {limit} MB. Drop it as a file instead.").format(
            limit=_MOST_MEGABYTES
        ),
    }
