"""The language of whoever looks at a page: found once for each script run, chosen in the sidebar, and kept."""

from __future__ import annotations

import json
from contextvars import ContextVar

import streamlit as st
from streamlit.runtime.scriptrunner_utils.script_run_context import ScriptRunContext, get_script_run_ctx

from pages.ui.app.session import chosen_language, keep_language, widget_value
from pages.ui.server.visitor_language import accepted_languages, kept_language, language_cookie
from transfer_core.language import _, ask_visitor, language, language_tag, languages

_KEY = "language"
# A page is several hundred sentences, and each of them needs to know. A thread serves one session.
_found: ContextVar[tuple[ScriptRunContext, str] | None] = ContextVar("found_language", default=None)


def show_language_choice() -> None:
    """Draw the choice between all languages, each by its name in itself."""
    names = languages()
    st.selectbox(
        f":material/language: {_('Language')}",
        list(names),
        index=list(names).index(language()),
        format_func=names.__getitem__,
        key=_KEY,
        on_change=_choose,
    )


def language_script() -> str:
    """Return a script that names the language of the page to the browser, and keeps the chosen one."""
    # Screen readers, hyphenation and the fonts of Chinese characters depend on it; Streamlit always writes "en".
    script = f"document.documentElement.lang = {json.dumps(language_tag())};"
    if chosen := chosen_language():
        is_https = (st.context.url or "").startswith("https:")
        script += f" document.cookie = {json.dumps(language_cookie(chosen, is_https=is_https))};"
    return f"<script>{script}</script>"


def _choose() -> None:
    keep_language(widget_value(_KEY))
    _found.set(None)


def _language_of_visitor() -> str:
    """Return the language of the person whose page this thread draws; empty in threads that draw none."""
    context = get_script_run_ctx(suppress_warning=True)
    if context is None:
        return ""
    found = _found.get()
    if found is None or found[0] is not context:
        found = context, _find()
        _found.set(found)
    return found[1]


def _find() -> str:
    accepted = accepted_languages(st.context.headers.get("Accept-Language", ""))
    return chosen_language() or kept_language(st.context.cookies, [st.context.locale or "", *accepted])


# Pages say their title before anything of them is drawn.
ask_visitor(_language_of_visitor)
