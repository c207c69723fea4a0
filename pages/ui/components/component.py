"""Own pieces of the page that run in the browser: a name, and three files beside this one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

_HERE = Path(__file__).parent


@st.cache_resource(show_spinner=False)
def component(name: str, begins_with: str = "") -> Any:
    """Return what draws a component, made once.

    Args:
        name: Of its files `<name>.html`, `<name>.css` and `<name>.js`.
        begins_with: A file whose functions its script uses too. Empty for none.
    """
    html, css, js = (_HERE.joinpath(f"{name}.{kind}").read_text("utf-8") for kind in ("html", "css", "js"))
    if begins_with:
        js = _HERE.joinpath(begins_with).read_text("utf-8") + js
    return st.components.v2.component(f"transfer_studio_{name}", html=html, css=css, js=js)
