"""Keep the content of files in memory until they change. A page reads the same files at every click."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar
from weakref import WeakSet

Content = TypeVar("Content")

Signature = tuple[int, int, int]

# File systems count time in ticks of some milliseconds: two versions written within one may look the same.
_NANOSECONDS_UNTIL_SETTLED = 100 * 10**6


@dataclass(frozen=True)
class _Entry(Generic[Content]):
    signature: Signature
    content: Content

    @property
    def num_bytes(self) -> int:
        return self.signature[1]


_caches: WeakSet[FileCache[Any]] = WeakSet()


class FileCache(Generic[Content]):
    """Least-recently-used cache of file contents, one read for each version of a file. Thread-safe.

    Files are replaced as a whole, so a new version has another inode, size or time, and a change by another process is
    seen at the next call. A file written within the last tenth of a second is read each time.

    Args:
        max_bytes: Size of all files whose content is kept. A single larger file is kept alone.
        clock: Returns nanoseconds since 1970.
    """

    def __init__(self, max_bytes: int, clock: Callable[[], int] = time.time_ns) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._entries: OrderedDict[str, _Entry[Content]] = OrderedDict()
        self._num_bytes = 0
        self._lock = threading.Lock()
        _caches.add(self)

    def get(self, path: Path, read: Callable[[], Content]) -> Content:
        """Return the content of a file.

        Args:
            path: The file.
            read: Reads it. The content is shared by all callers, so it must be immutable. Called for a missing file
                as well; that result is not kept.
        """
        key = os.fspath(path)
        try:
            # Taken before reading: if the file is replaced meanwhile, the next call reads it again.
            signature = signature_of(path)
        except OSError:
            return read()
        with self._lock:
            entry = self._entries.get(key)
            if entry and entry.signature == signature:
                self._entries.move_to_end(key)
                return entry.content
        content = read()
        if abs(self._clock() - signature[0]) < _NANOSECONDS_UNTIL_SETTLED:
            return content
        with self._lock:
            self._forget(key)
            self._entries[key] = _Entry(signature, content)
            self._num_bytes += signature[1]
            while self._num_bytes > self._max_bytes and len(self._entries) > 1:
                self._forget(next(iter(self._entries)))
        return content

    def forget_below(self, folder: Path) -> None:
        """Drop the contents of all files in a folder and in the folders below it."""
        with self._lock:
            for key in [key for key in self._entries if Path(key).is_relative_to(folder)]:
                self._forget(key)

    def _forget(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry:
            self._num_bytes -= entry.num_bytes


def forget_files(folder: Path) -> None:
    """Drop what any cache of this process keeps of the files below a folder."""
    for cache in list(_caches):
        cache.forget_below(folder)


def signature_of(path: Path) -> Signature:
    """Return the time a file was written, in nanoseconds, its size in bytes and its inode.

    Raises:
        OSError: If there is no such file.
    """
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino
