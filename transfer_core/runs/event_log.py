"""Writes the events of a run to its folder and keeps their fold at hand."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from transfer_core.errors import WorkspaceError
from transfer_core.events import RunSnapshot, TrainingEvent, event_to_dict, reduce
from transfer_core.language import _


class EventLog:
    """Appends events to a file; readers take `snapshot` without a lock.

    Args:
        path: The `events.jsonl` of a run.
    """

    def __init__(self, path: Path) -> None:
        self.snapshot = RunSnapshot()
        self._path = path
        self._lock = threading.Lock()

    def append(self, event: TrainingEvent) -> None:
        """Write an event, then show it.

        Raises:
            WorkspaceError: If the disk refuses.
        """
        line = json.dumps(event_to_dict(event)) + "\n"
        with self._lock:
            try:
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(line)
            except OSError as error:
                raise WorkspaceError(
                    _(
                        "The progress of the run could not be saved: {reason}. Free some space on the disk."
                    ).format(reason=error.strerror or error)
                ) from error
            self.snapshot = reduce(self.snapshot, event)
