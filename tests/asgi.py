"""Requests to an ASGI app without a server."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive

from transfer_core.classroom.visitor import COOKIE

HOST = "127.0.0.1:8501"


@dataclass(frozen=True)
class Answer:
    """What a browser gets.

    Args:
        status: Of the response; 101 for a websocket that was let through.
        headers: Of the response.
        body: Of the response.
        sent: Messages of a websocket.
    """

    status: int
    headers: Headers
    body: bytes
    sent: tuple[bytes, ...]

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def is_refused(self) -> bool:
        return self.status in (400, 403, 404) or (self.status, self.headers.get("location")) == (303, "/join")


def ask(
    app: ASGIApp,
    path: str,
    cookie: str = "",
    *,
    method: str = "GET",
    scheme: str = "http",
    client: str = "127.0.0.1",
    form: dict[str, str] | None = None,
    messages: tuple[bytes, ...] = (),
    is_websocket: bool = False,
    **headers: str,
) -> Answer:
    """Send a request, or open a websocket and send messages over it.

    Args:
        app: Is called as by a server.
        path: With the query, if any.
        cookie: Value of the cookie of the class.
        method: Of the request.
        scheme: http or https.
        client: Address of the browser.
        form: Fields of a form, sent as the body.
        messages: For the websocket.
        is_websocket: Whether a websocket is opened.
        headers: With underscores in place of hyphens.
    """
    path, _separator, query = path.partition("?")
    given = {"host": HOST, **({"cookie": f"{COOKIE}={cookie}"} if cookie else {})}
    given.update((name.replace("_", "-"), value) for name, value in headers.items())
    scope = {
        "type": "websocket" if is_websocket else "http",
        # By this version a response need not watch for the end of the connection, which comes at once here.
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": scheme,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "client": (client, 1),
        "server": ("127.0.0.1", 8501),
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        "extensions": {"websocket.http.response": {}},
    }
    coming = [{"type": "websocket.receive", "bytes": data} for data in messages]
    if not is_websocket:
        coming = [{"type": "http.request", "body": urlencode(form or {}).encode()}]
    out: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return coming.pop(0) if coming else {"type": f"{scope['type']}.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        out.append(message)

    asyncio.run(app(scope, receive, send))
    start = next((one for one in out if one["type"].endswith("response.start")), {"status": 101})
    body = b"".join(one.get("body", b"") for one in out)
    sent = tuple(one["bytes"] for one in out if one["type"] == "websocket.send")
    return Answer(start["status"], Headers(raw=start.get("headers", [])), body, sent)


async def post_status(
    app: ASGIApp, path: str, receive: Receive, query: str = "", headers: dict[str, str] | None = None
) -> int:
    """Send a request whose body comes from `receive`, and return the status of the answer."""
    statuses: list[int] = []

    async def send(message: Message) -> None:
        statuses.extend([message["status"]] if "status" in message else [])

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": query.encode(),
        "root_path": "",
        "headers": [
            (name.encode(), value.encode()) for name, value in {"host": HOST, **(headers or {})}.items()
        ],
    }
    await app(scope, receive, send)
    return statuses[-1]
