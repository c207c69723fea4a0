"""The files of Streamlit's front end from memory, compressed once.

Streamlit reads and sends them as they are for each browser. When a class arrives, thirty browsers ask for some eighty
of them at the same moment, and the network of a school is slow.
"""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PREFIX = "/static/"
# A changed file has another name.
_FOR_EVER = "immutable"
_COMPRESSIBLE = ("text/", "application/json", "application/javascript", "application/wasm", "image/svg+xml")
# These headers describe the file, not what is sent of it.
_OF_FILE = ("content-length", "etag", "last-modified", "accept-ranges")


@dataclass(frozen=True)
class _Kept:
    body: bytes
    headers: dict[str, str]
    is_packed: bool

    def response(self, *, accepts_gzip: bool) -> Response:
        if not self.is_packed:
            return Response(self.body, headers=self.headers)
        headers = {**self.headers, "vary": "Accept-Encoding"}
        if not accepts_gzip:
            return Response(gzip.decompress(self.body), headers=headers)
        return Response(self.body, headers={**headers, "content-encoding": "gzip"})


class FrontEndFiles:
    """ASGI middleware that keeps the answers about files which never change."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._making: dict[str, asyncio.Task[_Kept | None]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer from memory, or pass the request on."""
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        is_whole = scope["type"] == "http" and scope["method"] == "GET" and "range" not in headers
        kept = await self._kept(scope) if is_whole and scope["path"].startswith(_PREFIX) else None
        if kept is None:
            await self._app(scope, receive, send)
            return
        await kept.response(accepts_gzip="gzip" in headers.get("accept-encoding", ""))(scope, receive, send)

    async def _kept(self, scope: Scope) -> _Kept | None:
        path = scope["path"]
        making = self._making.get(path)
        if making is None:
            # The first browser may go away; the others wait for the same answer.
            making = self._making[path] = asyncio.create_task(self._made(scope))
        try:
            kept = await asyncio.shield(making)
        except Exception:
            # Such as too many open files: the next browser tries again.
            self._making.pop(path, None)
            raise
        if kept is None:
            # Unknown names are answered with the first page. Anybody could fill the memory with them.
            self._making.pop(path, None)
        return kept

    async def _made(self, scope: Scope) -> _Kept | None:
        sent: list[Message] = []

        async def collect(message: Message) -> None:
            sent.append(message)

        await self._app({**scope, "headers": []}, _stay, collect)
        headers = MutableHeaders(raw=sent[0]["headers"])
        if sent[0]["status"] != 200 or _FOR_EVER not in headers.get("cache-control", ""):
            return None
        body = b"".join(message.get("body", b"") for message in sent[1:])
        is_packed = headers.get("content-type", "").startswith(_COMPRESSIBLE)
        for name in _OF_FILE:
            del headers[name]
        if is_packed:
            body = await run_in_threadpool(gzip.compress, body, 6)
        return _Kept(body, dict(headers), is_packed)


async def _stay() -> Message:
    """Receive nothing more. A browser that goes away must not end what others wait for."""
    return await asyncio.Future[Message]()
