"""Slow down those who try again and again, on routes that anybody in the network can reach."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

_MAX_CLIENTS = 1_000


class RateLimit:
    """A bucket of tries for each client, which fills up again slowly. For the thread that serves all visitors.

    Args:
        burst: Tries that a client has at first, and at most.
        seconds_each: After this time one of them is given back.
        clock: Returns seconds.
    """

    def __init__(self, burst: int, seconds_each: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst = burst
        self._seconds_each = seconds_each
        self._clock = clock
        # When the bucket of a client will be full again; least recently used first.
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def seconds_to_wait(self, client: str) -> float:
        """Return after how many seconds a client may try again; 0 if it may now."""
        missing = max(0.0, self._full_at.get(client, 0.0) - self._clock())
        return max(0.0, missing - (self._burst - 1) * self._seconds_each)

    def count(self, client: str) -> None:
        """Take one try from a client."""
        now = self._clock()
        self._full_at[client] = max(now, self._full_at.get(client, now)) + self._seconds_each
        self._full_at.move_to_end(client)
        if len(self._full_at) > _MAX_CLIENTS:
            self._full_at.popitem(last=False)
