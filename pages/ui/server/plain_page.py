"""The frame of the plain pages of this server: their style, their headers, and a page that says one thing."""

from __future__ import annotations

import secrets
from functools import cache
from html import escape
from pathlib import Path

from starlette.responses import HTMLResponse

_HERE = Path(__file__).parent
_SENTENCE_PAGE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>'
    '<link rel="icon" href="data:,"><style nonce="{nonce}">{style}</style></head>'
    "<body><main><h1>{title}</h1>{paragraphs}</main></body></html>"
)


@cache
def content_of(file_name: str) -> str:
    """Return the text of a file in this folder."""
    return (_HERE / file_name).read_text("utf-8")


def new_nonce() -> str:
    """Return the mark by which a page's own style and script are known to the browser."""
    return secrets.token_urlsafe(12)


def plain_headers(nonce: str) -> dict[str, str]:
    """Return the headers of a plain page: it runs nothing but its own style and script, and talks to this server."""
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; "
        "img-src 'self' blob: data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }


def sentence_page(title: str, *paragraphs: str, status: int = 200) -> HTMLResponse:
    """Return a page of a heading and a few sentences.

    Args:
        title: The heading.
        paragraphs: Shown as they are, never as HTML.
        status: Of the answer.
    """
    nonce = new_nonce()
    text = "".join(f"<p>{escape(paragraph)}</p>" for paragraph in paragraphs)
    html = _SENTENCE_PAGE.format(
        title=escape(title), nonce=nonce, style=content_of("plain.css"), paragraphs=text
    )
    return HTMLResponse(html, status, plain_headers(nonce))
