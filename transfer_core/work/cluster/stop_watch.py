"""Follow whether a run is to go on, to pause or to stop, although the question blocks while it is paused."""

from __future__ import annotations

import threading
import time

from transfer_core.errors import WorkspaceError
from transfer_core.types import ShouldStop
from transfer_core.work.cluster.messages import JobState

_SECONDS_BETWEEN_CALLS = 0.2
# An answer that takes longer waits for the end of a pause.
_SECONDS_OF_AN_ANSWER = 0.2


class StopWatch:
    """Calls `should_stop` of a run in a thread of its own until `close`.

    Args:
        should_stop: Blocks while the run is paused.
    """

    def __init__(self, should_stop: ShouldStop) -> None:
        self._should_stop = should_stop
        self._closed = threading.Event()
        self._called_at = 0.0
        self._is_to_stop = False
        self._error: WorkspaceError | None = None
        threading.Thread(target=self._follow, name="stop watch", daemon=True).start()

    def state(self) -> JobState:
        """Return what the run is to do now.

        Raises:
            WorkspaceError: If the pause cannot be written to the log.
        """
        if self._error:
            raise self._error
        if self._is_to_stop:
            return "stop"
        called_at = self._called_at
        is_blocked = called_at and time.monotonic() - called_at > _SECONDS_OF_AN_ANSWER
        return "pause" if is_blocked else "go"

    def close(self) -> None:
        """End the calls. A call that waits for the end of a pause is left to it."""
        self._closed.set()

    def _follow(self) -> None:
        try:
            while not self._is_to_stop and not self._closed.wait(_SECONDS_BETWEEN_CALLS):
                self._called_at = time.monotonic()
                self._is_to_stop = self._should_stop()
                self._called_at = 0.0
        except WorkspaceError as error:
            self._error = error
