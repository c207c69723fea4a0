"""The frame of pages without Streamlit: joining the class, and sentences in place of a page."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path

from starlette.responses import HTMLResponse

from transfer_core.language import _, language_tag

_STYLE = (Path(__file__).parent / "plain_page.css").read_text("utf-8")
_SECONDS_UNTIL_LOADED_AGAIN = 10
# The page loads nothing: its style is inside, and it has no script.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


def plain_page(
    title: str, body: str, status: int = 200, headers: Mapping[str, str] | None = None
) -> HTMLResponse:
    """Return a small page that works in every browser.

    Args:
        title: In the browser's tab and as the heading.
        body: HTML below the heading. Names in it have to be escaped.
        status: Of the response.
        headers: More of them, which replace those of every plain page.
    """
    shown = escape(title)
    return HTMLResponse(
        f'<!DOCTYPE html><html lang="{language_tag()}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{shown} · Transfer Studio</title><style>{_STYLE}</style></head>"
        f'<body><main><p class="app">Transfer Studio</p><h1>{shown}</h1>{body}</main></body></html>',
        status,
        {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store", **(headers or {})},
    )


def sentence_page(title: str, *sentences: str, status: int) -> HTMLResponse:
    """Return a plain page with nothing but sentences, which are escaped here."""
    return plain_page(title, "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences), status)


def closed_page() -> HTMLResponse:
    """Return the page that a pupil gets while the class is closed. It loads again until the class is open."""
    return plain_page(
        _("The class is closed"),
        f"<p>{escape(_('Your photos and models are kept.'))}</p>"
        f"<p>{escape(_('This page goes on by itself when your teacher opens the class.'))}</p>",
        403,
        {"Refresh": str(_SECONDS_UNTIL_LOADED_AGAIN)},
    )
