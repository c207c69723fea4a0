"""How often something may be done within a time."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from threading import Lock

_MOST_KEYS = 10_000


class RateLimit:
    """Counts what each key has done lately. Safe to use from several threads.

    Args:
        most: Times within `seconds`.
        seconds: The length of the window that is counted.
    """

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._times: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = Lock()

    def is_allowed(self, key: str) -> bool:
        """Count one more time, and return whether it is within the limit."""
        now = time.monotonic()
        with self._lock:
            times = self._times.setdefault(key, deque())
            self._times.move_to_end(key)
            if len(self._times) > _MOST_KEYS:
                self._times.popitem(last=False)
            while times and now - times[0] > self._seconds:
                times.popleft()
            if len(times) >= self._most:
                return False
            times.append(now)
            return True
