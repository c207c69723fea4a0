"""Who may reach what on this server, decided before Streamlit sees a request.

Streamlit itself checks neither the host of a page nor who asks for a photo. This middleware stands before its routes
and before those of this app, for HTTP and for websockets.
"""

from __future__ import annotations

import logging
from functools import partial
from urllib.parse import urlsplit

import streamlit as st
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pages.ui.server.conversation import Conversation
from pages.ui.server.ownership import UPLOADS, Ownership
from pages.ui.server.plain_page import closed_page, sentence_page
from pages.ui.server.service import service
from pages.ui.server.upload_room import UploadRoom
from transfer_core.classroom.facts import is_class_mode
from transfer_core.classroom.visitor import Visitor, visitor_of
from transfer_core.errors import TransferStudioError
from transfer_core.language import _

_logger = logging.getLogger(__name__)

# Answered without a cookie of the class. A route below these has to find out itself who may have its answer, except for
# the files of Streamlit's front end, which are the same everywhere.
PUBLIC_PREFIXES = (
    *("/join", "/leave", "/teacher", "/phone", "/try", "/api", "/certificate"),
    *("/static", "/_stcore/health", "/favicon.png", "/manifest.json"),
)
# Pages of other servers may call what is below these: it needs a key that no browser sends by itself.
_KEYED_PREFIXES = ("/api",)
# Streamlit's routes that this app does not use.
_UNUSED_PREFIXES = (
    *("/_stcore/metrics", "/_stcore/agent", "/_stcore/script-health-check"),
    *("/auth", "/oauth2callback"),
)
# What is no page: to this a script of the page asks, which would not know what to do with another page.
_PREFIXES_OF_DATA = ("/_stcore", "/media", "/component", "/static", "/api")
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

# Streamlit's front end has inline scripts and styles, draws charts in workers from blobs, and imports components from
# blobs.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self' ws://{host} wss://{host} data: blob:; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
# A file that a person brought must not become a page of this server.
_POLICY_OF_MEDIA = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


class Gate:
    """ASGI middleware that refuses what a visitor may not reach, and adds security headers to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._ownership = Ownership()
        self._room = UploadRoom()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it here."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        has_begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                _add_headers(MutableHeaders(scope=message), connection)
            await send(message)

        try:
            await self._answer(connection, scope, receive, send_with_headers)
        except TransferStudioError as error:
            if has_begun:
                raise
            # Any route may be the first to read a damaged file of the class.
            _logger.error("No answer to %r: %s", scope["path"], error)
            problem = sentence_page(_("This did not work"), str(error), status=500)
            await problem(scope, receive, send_with_headers)

    async def _answer(self, connection: HTTPConnection, scope: Scope, receive: Receive, send: Send) -> None:
        refusal, visitor = _refusal(connection), None
        # Thirty browsers ask for eighty files of the front end each; these are the same for everyone.
        if not refusal and not _is_within(scope["path"], PUBLIC_PREFIXES):
            visitor = visitor_of(service().workspace, connection.cookies)
            refusal = self._refusal_in_class(connection, visitor)
        if refusal:
            await refusal(scope, receive, send)
        elif scope["type"] == "websocket" and visitor:
            conversation = Conversation(scope, visitor.owner, self._ownership, receive, send)
            await self._app(conversation.scope, conversation.receive, conversation.send)
        elif visitor and visitor.role == "pupil" and scope["path"].startswith(UPLOADS):
            sessions = partial(self._ownership.sessions_of, visitor.owner)
            await self._room.take(self._app, scope, receive, send, visitor.owner, sessions)
        else:
            await self._app(scope, receive, send)

    def _refusal_in_class(self, connection: HTTPConnection, visitor: Visitor | None) -> Response | None:
        if not is_class_mode():
            return None
        path = connection.scope["path"]
        if visitor is None:
            return _without_cookie(connection)
        if not self._ownership.owns_path(visitor.owner, path):
            return PlainTextResponse(_("This belongs to somebody else.") + "\n", 403)
        # An open page says it itself.
        if visitor.is_shut_out and connection.scope["type"] == "http":
            return closed_page()
        return None


def _refusal(connection: HTTPConnection) -> Response | None:
    """Return the answer to a request that nobody may make, or None."""
    path = connection.scope["path"]
    if not _is_host_allowed(connection.headers.get("host", "")):
        return sentence_page(
            _("Wrong address"),
            _("This server does not answer under this address."),
            _("Use the address that it showed when it started."),
            status=400,
        )
    if not _is_within(path, _KEYED_PREFIXES) and _is_sent_by_another_page(connection):
        return PlainTextResponse(_("A page of another server sent this. It was refused.") + "\n", 403)
    if _is_within(path, _UNUSED_PREFIXES):
        return Response(status_code=404)
    return None


def _without_cookie(connection: HTTPConnection) -> Response:
    is_page = connection.scope["type"] == "http" and connection.scope["method"] in ("GET", "HEAD")
    if is_page and not _is_within(connection.scope["path"], _PREFIXES_OF_DATA):
        return RedirectResponse("/join", 303, {"Cache-Control": "no-store"})
    return PlainTextResponse(_("Join the class first.") + "\n", 403)


def _is_within(path: str, prefixes: tuple[str, ...]) -> bool:
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in prefixes)


def _is_host_allowed(host: str) -> bool:
    """Whether a Host header is in the list that Streamlit keeps for its websocket alone. An empty list allows all."""
    patterns = [pattern.lower().rstrip(".") for pattern in st.get_option("server.allowedHosts")]
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return False
    return not patterns or any(
        pattern in ("*", name) or (pattern.startswith("*.") and name.endswith(pattern[1:]))
        for pattern in patterns
    )


def _is_sent_by_another_page(connection: HTTPConnection) -> bool:
    """Whether a page of another server opens a websocket here, or sends something that may change data.

    Streamlit would look up the external address of this network on the internet before it refuses a websocket.
    """
    if connection.scope["type"] == "http" and connection.scope["method"] in _SAFE_METHODS:
        return False
    origin = connection.headers.get("origin")
    try:
        return origin is not None and urlsplit(origin).netloc != connection.headers.get("host")
    except ValueError:
        return True


def _add_headers(headers: MutableHeaders, connection: HTTPConnection) -> None:
    is_media = _is_within(connection.scope["path"], ("/media",))
    policy = _POLICY_OF_MEDIA if is_media else _POLICY.format(host=urlsplit(str(connection.url)).netloc)
    headers.setdefault("Content-Security-Policy", policy)
    headers.setdefault("X-Content-Type-Options", "nosniff")
    # Without any referrer, browsers send the origin "null" with a form.
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("Permissions-Policy", "camera=(self), microphone=(), geolocation=()")
    headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
