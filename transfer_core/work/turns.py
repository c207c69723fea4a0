"""A lock that is given in the order in which it was asked for."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from transfer_core.types import ShouldStop

_SECONDS_BETWEEN_QUESTIONS = 0.1


class StoppedWaitingError(Exception):
    """The person asked to stop before the turn had come."""


class Turns:
    """Lets one at a time have its turn, first come, first served.

    A plain lock would be taken again at once by the thread that has just given it back: an export would wait for
    every training of a long queue.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        # The first has its turn, the others wait.
        self._tickets: deque[object] = deque()

    @contextmanager
    def taken(self, should_stop: ShouldStop = lambda: False) -> Iterator[None]:
        """Wait for the turn and keep it until the block ends.

        Args:
            should_stop: Asked while waiting.

        Raises:
            StoppedWaitingError: If it said so.
        """
        ticket = object()
        with self._changed:
            self._tickets.append(ticket)
        try:
            self._wait_for(ticket, should_stop)
            yield
        finally:
            with self._changed:
                self._tickets.remove(ticket)
                self._changed.notify_all()

    def _wait_for(self, ticket: object, should_stop: ShouldStop) -> None:
        with self._changed:
            while self._tickets[0] is not ticket:
                self._changed.wait(_SECONDS_BETWEEN_QUESTIONS)
                if should_stop():
                    raise StoppedWaitingError
