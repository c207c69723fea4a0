"""The log of a run's events: appended to a file, and folded into a snapshot that readers take without a lock."""

from __future__ import annotations

import io
import json
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from transfer_core.errors import WorkspaceError
from transfer_core.events import (
    EpochEnded,
    Outcome,
    RunEnded,
    RunSnapshot,
    TrainingEvent,
    event_from_dict,
    event_to_dict,
    reduce,
    snapshot_of,
)
from transfer_core.file_cache import FileCache
from transfer_core.files import damaged_file
from transfer_core.language import _

# In bytes; what this app writes is shorter.
LONGEST_LINE = 2**20
_SECONDS_BETWEEN_SYNCS = 1.0
# Bytes of the last line of a log: a message for a person, with its values.
_LONGEST_ENDING = 2**14
# The fold of a long training takes up to 0.1 MB.
_MOST_FOLLOWED = 1000


class EventLog:
    """Append events to a file, and fold them and those of other processes; `snapshot` is read without a lock.

    Args:
        path: The `events.jsonl` of a run.
    """

    def __init__(self, path: Path) -> None:
        self.snapshot = RunSnapshot()
        self._path = path
        self._lock = threading.Lock()
        self._position = 0
        self._inode = 0
        self._synced_at = 0.0

    def append(self, event: TrainingEvent) -> None:
        """Write an event, then fold it. If writing fails, nothing of it is left in the file.

        Args:
            event: What happened.

        Raises:
            WorkspaceError: If writing fails.
        """
        line = json.dumps(event_to_dict(event)) + "\n"
        with self._lock:
            try:
                self._write(line.encode(), event)
            except OSError as error:
                raise WorkspaceError(
                    _(
                        "The progress of the run could not be saved: {reason}. Free some space on the disk."
                    ).format(reason=error.strerror or error)
                ) from error
            self.snapshot = reduce(self.snapshot, event)

    def refresh(self) -> RunSnapshot:
        """Fold what another process has written since the last call, and return the snapshot.

        Raises:
            WorkspaceError: If the file cannot be read.
        """
        with self._lock:
            try:
                status = self._path.stat()
                # A run that was deleted and brought again has another file; a line that did not fit was taken back.
                if status.st_ino != self._inode or status.st_size < self._position:
                    self.snapshot, self._position, self._inode = RunSnapshot(), 0, status.st_ino
                if status.st_size > self._position:
                    self._read_on()
            except FileNotFoundError:
                self.snapshot, self._position, self._inode = RunSnapshot(), 0, 0
            except OSError as error:
                raise damaged_file(self._path, error.strerror or str(error)) from error
            return self.snapshot

    def _read_on(self) -> None:
        with self._path.open("rb") as file:
            file.seek(self._position)
            whole, newline, _rest = file.read().rpartition(b"\n")
        self.snapshot = snapshot_of(read_events(whole), self.snapshot)
        self._position += len(whole) + len(newline)

    def _write(self, line: bytes, event: TrainingEvent) -> None:
        size = self._path.stat().st_size if self._path.exists() else 0
        try:
            with self._path.open("ab+") as file:
                # A process that was killed may have left half a line: it would swallow this one.
                if not _ends_whole(file, size):
                    line = b"\n" + line
                file.write(line)
                file.flush()
                self._sync(file, event)
        except OSError:
            # Nor may half of this line swallow the next event.
            with suppress(OSError):
                os.truncate(self._path, size)
            raise
        self._position = size + len(line)

    def _sync(self, file: BinaryIO, event: TrainingEvent) -> None:
        """Let the disk have what may not be lost in a power cut; on cached features epochs last milliseconds."""
        is_due = isinstance(event, EpochEnded) and time.monotonic() - self._synced_at > _SECONDS_BETWEEN_SYNCS
        if is_due or isinstance(event, RunEnded):
            os.fsync(file.fileno())
            self._synced_at = time.monotonic()


def followed_snapshot(path: Path) -> RunSnapshot:
    """Return the fold of a log; only lines added since the last call are read. Thread-safe.

    Args:
        path: The `events.jsonl` of a run; without one nothing has happened yet.
    """
    key = os.fspath(path)
    with _followed_lock:
        log = _followed.setdefault(key, EventLog(path))
        _followed.move_to_end(key)
        if len(_followed) > _MOST_FOLLOWED:
            _followed.popitem(last=False)
    return log.refresh()


def last_outcome(path: Path) -> Outcome | None:
    """Return how a run ended if that is the last thing that happened, without reading what happened before.

    Args:
        path: The `events.jsonl` of a run.
    """
    return _outcomes.get(path, lambda: _read_outcome(path))


def _read_outcome(path: Path) -> Outcome | None:
    with suppress(FileNotFoundError), path.open("rb") as file:
        file.seek(max(file.seek(0, os.SEEK_END) - _LONGEST_ENDING, 0))
        # The first of these lines may be the end of a longer one, and is then passed over.
        last = read_events(file.read())[-1:]
        return last[0].outcome if last and isinstance(last[0], RunEnded) else None
    return None


def read_events(content: bytes) -> list[TrainingEvent]:
    """Return the events in the content of a log. Lines that are cut off, damaged or unknown are passed over.

    Args:
        content: The bytes of an `events.jsonl`, or a part of them that ends with a line.
    """
    return list(_events_in(io.BytesIO(content)))


def events_of(path: Path) -> Iterator[TrainingEvent]:
    """Yield the events of a log as `read_events` does, without the whole file in memory; none if it is missing.

    Args:
        path: The `events.jsonl` of a run.

    Raises:
        WorkspaceError: If the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            yield from _events_in(file)
    except FileNotFoundError:
        return
    except OSError as error:
        raise damaged_file(path, error.strerror or str(error)) from error


def _events_in(file: BinaryIO) -> Iterator[TrainingEvent]:
    while line := file.readline(LONGEST_LINE):
        with suppress(ValueError, RecursionError):
            yield event_from_dict(json.loads(line))


def _ends_whole(file: BinaryIO, size: int) -> bool:
    if size == 0:
        return True
    file.seek(size - 1)
    return file.read(1) == b"\n"


_followed: OrderedDict[str, EventLog] = OrderedDict()
_followed_lock = threading.Lock()
# Of each file, which may be large, one word is kept.
_outcomes: FileCache[Outcome | None] = FileCache(max_bytes=1024**3)
