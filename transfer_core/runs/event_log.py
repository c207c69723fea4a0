"""Writes the events of a run to its folder and keeps their fold at hand."""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress
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
        """Write an event, then show it. One that cannot be written leaves nothing behind.

        Args:
            event: What happened.

        Raises:
            WorkspaceError: If the disk refuses.
        """
        line = json.dumps(event_to_dict(event)) + "\n"
        with self._lock:
            try:
                self._write(line.encode())
            except OSError as error:
                raise WorkspaceError(
                    _(
                        "The progress of the run could not be saved: {reason}. Free some space on the disk."
                    ).format(reason=error.strerror or error)
                ) from error
            self.snapshot = reduce(self.snapshot, event)

    def _write(self, line: bytes) -> None:
        size = self._path.stat().st_size if self._path.exists() else 0
        try:
            with self._path.open("ab") as file:
                file.write(line)
        except OSError:
            # Half a line would swallow the next event, which would be written right behind it.
            with suppress(OSError):
                os.truncate(self._path, size)
            raise
