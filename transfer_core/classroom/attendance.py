"""Which pupils are here: those with a page of the app open, and when the others were seen last."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable


class Attendance:
    """Counts the open connections of each pupil. To be called from one thread, and read from any.

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
        self.note(person_id)

    def leave(self, person_id: str) -> None:
        """Note that a page of a pupil was closed."""
        self._num_open[person_id] -= 1
        self.note(person_id)

    def note(self, person_id: str) -> None:
        """Note that a pupil was seen, such as on a page without a connection."""
        self._last_seen[person_id] = self._clock()

    def is_here(self, person_id: str) -> bool:
        """Whether a pupil has a page open."""
        return self._num_open[person_id] > 0

    def last_seen(self, person_id: str) -> float | None:
        """Return when a pupil was seen last, in seconds since 1970; None if not since the server started."""
        return self._last_seen.get(person_id)
