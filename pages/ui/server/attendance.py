"""Which pupils are here: those with a page of the app open, and when the others were seen last."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from pages.ui.server.service import service
from transfer_core.classroom.visitor import visitor_of


class Attendance:
    """Counts the open connections of each pupil. Changed by the event loop alone, and read from any thread.

    Args:
        clock: Returns seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._num_open: Counter[str] = Counter()
        self._last_seen: dict[str, float] = {}

    def enter(self, person_id: str) -> None:
        """Note that a pupil has opened a page."""
        self._num_open[person_id] += 1
        self._last_seen[person_id] = self._clock()

    def leave(self, person_id: str) -> None:
        """Note that a page of a pupil was closed."""
        self._num_open[person_id] -= 1
        self._last_seen[person_id] = self._clock()

    def is_here(self, person_id: str) -> bool:
        """Whether a pupil has a page open."""
        return self._num_open[person_id] > 0

    def last_seen(self, person_id: str) -> float | None:
        """Return when a pupil was seen last, in seconds since 1970; None if not since the server started."""
        return self._last_seen.get(person_id)


attendance = Attendance()


class NotesAttendance:
    """Middleware that counts each pupil's open pages by their websockets."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on."""
        person_id = _person_of(scope) if scope["type"] == "websocket" else ""
        if not person_id:
            await self._app(scope, receive, send)
            return
        attendance.enter(person_id)
        try:
            await self._app(scope, receive, send)
        finally:
            attendance.leave(person_id)


def _person_of(scope: Scope) -> str:
    found = visitor_of(service().workspace, HTTPConnection(scope).cookies)
    return found.person_id if found else ""
