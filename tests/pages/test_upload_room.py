"""Nobody in a class fills the memory with uploads: through the gate, with what Streamlit already keeps."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.runtime import Runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

from pages.ui.server import upload_room
from pages.ui.server.upload_room import UploadRoom

KILOBYTE = b"x" * 1024


class Server:
    """Streamlit with an upload route."""

    def __init__(self) -> None:
        self.manager = MemoryUploadedFileManager("/uploads")
        self.room = UploadRoom()
        self.beside: Any = None

    def send(self, *chunks: bytes, owner: str = "anna", length: int | None = None) -> int:
        """Upload a file and return the status of the answer."""
        return asyncio.run(self.upload(*chunks, owner=owner, length=length))

    async def upload(self, *chunks: bytes, owner: str, length: int | None = None) -> int:
        coming, statuses = list(chunks), []

        async def keep(scope: Any, receive: Any, send: Any) -> None:
            content = b""
            while True:
                message = await receive()
                content += message["body"]
                if not message["more_body"]:
                    break
                if self.beside:
                    await self.beside()
            self.manager.add_file(owner, UploadedFileRec(str(len(statuses)), "photo", "", content))
            await send({"type": "http.response.start", "status": 204, "headers": []})

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": coming.pop(0), "more_body": bool(coming)}

        async def send(message: dict[str, Any]) -> None:
            statuses.extend([message["status"]] if "status" in message else [])

        headers = [(b"content-length", str(length).encode())] if length is not None else []
        scope = {"type": "http", "method": "PUT", "path": "/", "headers": headers}
        await self.room.take(keep, scope, receive, send, owner, lambda: [owner])
        return int(statuses[-1])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server()
    monkeypatch.setattr(upload_room, "MOST_BYTES", 4 * len(KILOBYTE))
    monkeypatch.setattr(Runtime, "_instance", SimpleNamespace(uploaded_file_mgr=made.manager))
    return made


def test_what_is_kept_counts_until_the_page_is_closed(server: Server) -> None:
    assert server.send(KILOBYTE, KILOBYTE, KILOBYTE) == 204
    assert server.send(KILOBYTE, KILOBYTE) == 413
    assert server.send(KILOBYTE, KILOBYTE, owner="ben") == 204
    server.manager.remove_session_files("anna")
    assert server.send(KILOBYTE, KILOBYTE, KILOBYTE) == 204


def test_a_size_that_is_too_large_is_refused_before_it_comes(server: Server) -> None:
    assert server.send(b"", length=5 * 1024) == 413
    assert server.send(b"", length=10**15) == 413
    assert server.send(KILOBYTE, length=1024) == 204


def test_uploads_at_the_same_time_count_together(server: Server) -> None:
    others: list[int] = []

    async def upload_beside() -> None:
        server.beside = None
        others.append(await server.upload(KILOBYTE, KILOBYTE, owner="anna"))

    server.beside = upload_beside
    # The other one is kept when the rest of this one arrives.
    assert server.send(KILOBYTE, KILOBYTE, KILOBYTE) == 413
    assert others == [204]
    assert server.send(KILOBYTE, KILOBYTE) == 204
