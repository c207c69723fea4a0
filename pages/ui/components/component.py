"""Components: parts of a page that run in the browser.

A component is a Python module with an `.html`, a `.css` and a `.js` of the same name beside it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import streamlit as st

from pages.ui.app.session import component_value

_HERE = Path(__file__).parent
_ID_PATTERN = re.compile(r"[0-9a-z-]{8,40}", re.ASCII)


@st.cache_resource(show_spinner=False)
def component(name: str, base: str = "") -> Any:
    """Return the function that draws a component, registered once.

    Args:
        name: Of its files.
        base: Name of files whose content its own files begin with, after those of every component. Empty for none.
    """
    names = [found for found in ("shrunk_photo", "component", base, name) if found]
    html, css, js = (
        "".join(_content(f"{found}.{kind}") for found in names) for kind in ("html", "css", "js")
    )
    return st.components.v2.component(f"transfer_studio_{name}", html=html, css=css, js=js)


def sent_message(key: str, name: str, id_name: str) -> dict[str, Any] | None:
    """Return the message that a component has just sent, inside its callback.

    Args:
        key: The component's.
        name: Of the trigger.
        id_name: The entry that identifies what the message belongs to. It is made in the browser, so it is validated.

    Returns:
        The message; None where the component has left the page meanwhile, or the id is none of the browser's.
    """
    message = component_value(key, name)
    return message if message and is_browser_id(message[id_name]) else None


def is_browser_id(value: Any) -> bool:
    """Return whether a value has the form of the ids that components make in the browser."""
    return bool(_ID_PATTERN.fullmatch(str(value)))


def _content(file_name: str) -> str:
    path = _HERE / file_name
    return path.read_text("utf-8") if path.is_file() else ""
