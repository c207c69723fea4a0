"""The language of whoever sends a request: as asked for in the address, as chosen before, or of their browser.

The routes of this app answer in it; the pages follow the same order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from urllib.parse import urlencode

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from transfer_core.language import best_language, language, language_tag, languages, speaking

# Not hidden from scripts: the choice in the sidebar replaces it.
LANGUAGE_COOKIE = "transfer_studio_language"
LANGUAGE_PARAMETER = "lang"
COOKIE_SECONDS = 365 * 24 * 60 * 60
# The longest tag of RFC 5646 that needs to be supported, and as many as a browser has.
_MOST_LETTERS = 35
_MOST_LANGUAGES = 20


class SpeaksToVisitor:
    """ASGI middleware that lets everything behind it answer in the language of the visitor, and keeps their choice."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; a websocket belongs to Streamlit, whose pages find the language themselves."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = HTTPConnection(scope)
        asked = asked_language(request.query_params.get(LANGUAGE_PARAMETER, ""))

        async def send_with_choice(message: Message) -> None:
            if asked and message["type"] == "http.response.start":
                MutableHeaders(scope=message).append(
                    "Set-Cookie", language_cookie(asked, is_https=request.url.scheme == "https")
                )
            await send(message)

        accepted = accepted_languages(request.headers.get("accept-language", ""))
        with speaking(asked or kept_language(request.cookies, accepted)):
            await self._app(scope, receive, send_with_choice)


def asked_language(wanted: str) -> str:
    """Return the language that the address asks for; empty if there is no such language."""
    return best_language([wanted]) if len(wanted) <= _MOST_LETTERS else ""


def kept_language(cookies: Mapping[str, str], of_browser: Iterable[str]) -> str:
    """Return the language that was chosen in this browser, otherwise its own; empty if there is neither."""
    wanted = (cookies.get(LANGUAGE_COOKIE, ""), *of_browser)
    return best_language(code for code in wanted if len(code) <= _MOST_LETTERS)


def accepted_languages(header: str) -> list[str]:
    """Return the languages of an Accept-Language header (RFC 9110, section 12.5.4), the most wanted first."""
    qualities = {}
    for part in header.split(",")[:_MOST_LANGUAGES]:
        code, _semicolon, quality = part.partition(";")
        try:
            qualities[code.strip()] = float(quality.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
    wanted = [code for code, quality in qualities.items() if quality > 0]
    return sorted(wanted, key=lambda code: -qualities[code])


def language_cookie(code: str, *, is_https: bool) -> str:
    """Return a language as the cookie that keeps it, for a header or for a script."""
    cookie = f"{LANGUAGE_COOKIE}={code}; Path=/; Max-Age={COOKIE_SECONDS}; SameSite=Lax"
    return f"{cookie}; Secure" if is_https else cookie


def language_links(**query: str) -> str:
    """Return HTML with a link to the same page in each of the other languages, named in itself.

    Args:
        **query: Other parameters of the address.
    """
    links = "".join(
        f'<a href="?{escape(urlencode({**query, LANGUAGE_PARAMETER: code}))}" lang="{language_tag(code)}" '
        f'hreflang="{language_tag(code)}">{escape(name)}</a>'
        for code, name in languages().items()
        if code != language()
    )
    return f'<nav class="languages">{links}</nav>' if links else ""
