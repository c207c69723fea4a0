"""How much a person of a class may have uploaded at a time: Streamlit keeps it in memory until their page is closed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.runtime import Runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager

from transfer_core.language import _
from transfer_core.training.machine import free_memory

# A project with 2,000 photos and its models fits in.
MOST_BYTES = 1024**3


class _NoRoomError(Exception):
    """An upload is larger than it may be."""


class UploadRoom:
    """Lets an upload through as long as there is room for it. For the thread that serves all visitors."""

    def __init__(self) -> None:
        self._arriving: Counter[str] = Counter()
        self._kept: dict[str, int] = {}

    async def take(
        self,
        app: ASGIApp,
        scope: Scope,
        receive: Receive,
        send: Send,
        owner: str,
        sessions: Callable[[], Iterable[str]],
    ) -> None:
        """Pass an upload on, and answer with the status 413 if it is too large.

        Args:
            app: Takes the upload.
            scope: Of the request.
            receive: Of the server.
            send: Of the server.
            owner: Who sends it.
            sessions: Returns those of Streamlit that are theirs.
        """
        num_arrived = 0

        def has_room(num_bytes: int) -> bool:
            if owner not in self._kept:
                self._kept[owner] = _bytes_kept(sessions())
            return self._kept[owner] + self._arriving[owner] + num_bytes <= MOST_BYTES

        async def counted() -> Message:
            nonlocal num_arrived
            message = await receive()
            num_bytes = len(message.get("body", b""))
            num_arrived += num_bytes
            self._arriving[owner] += num_bytes
            if not has_room(0):
                raise _NoRoomError
            return message

        # The person may have closed a page meanwhile.
        self._kept.pop(owner, None)
        length = Headers(scope=scope).get("content-length", "")
        num_expected = int(length) if length.isdecimal() else 0
        try:
            if not has_room(num_expected) or num_expected > free_memory() // 2:
                raise _NoRoomError
            await app(scope, counted, send)
        except _NoRoomError:
            sentence = _("There is no room for this upload. Load the page again, or send less.")
            await PlainTextResponse(f"{sentence}\n", 413)(scope, receive, send)
        finally:
            self._arriving[owner] -= num_arrived
            self._kept.pop(owner, None)


def _bytes_kept(sessions: Iterable[str]) -> int:
    """Return the size of the files that Streamlit keeps for these sessions."""
    manager = Runtime.instance().uploaded_file_mgr if Runtime.exists() else None
    if not isinstance(manager, MemoryUploadedFileManager):
        return 0
    kept = (manager.file_storage.get(session, {}) for session in sessions)
    return sum(len(file.data) for files in kept for file in list(files.values()))
