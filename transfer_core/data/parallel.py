"""Decode on all cores, in order, with only a few results in memory at a time."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from threading import Lock, RLock
from typing import BinaryIO, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# From the first refusal of a call until the main thread is over.
_SECONDS_OF_AN_EXIT = 5.0


@lru_cache(maxsize=1)
def num_usable_cores() -> int:
    """Return how many cores this process may use: its affinity and a container's CPU quota count."""
    # Its import takes a sixth of a second, which a command that decodes nothing should not pay.
    from joblib import cpu_count

    return int(cpu_count())


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], num_ahead: int | None = None
) -> Generator[Result, None, None]:
    """Yield `function(item)` for each item, in order, computed a few items ahead.

    Args:
        function: Called in a pool of threads, one for each usable core. Pillow releases the lock while it decodes.
        items: Read only as far as needed.
        num_ahead: Results that may wait at one time; two for each core if not given.
    """
    num_workers = num_usable_cores()
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(num_workers, thread_name_prefix="decode") as pool:
        try:
            for item in items:
                waiting.append(_submit(pool, function, item))
                if len(waiting) > (num_ahead or 2 * num_workers):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _submit(pool: ThreadPoolExecutor, function: Callable[[Item], Result], item: Item) -> Future[Result]:
    """Submit a call. While Python exits it takes none: a daemon thread then waits for its end in silence.

    Otherwise a stopped server would log an error and store that its training had failed.
    """
    try:
        return pool.submit(function, item)
    except RuntimeError:
        main = threading.main_thread()
        if threading.current_thread() is not main:
            main.join(_SECONDS_OF_AN_EXIT)
        if main.is_alive():
            raise
        threading.Event().wait()
        raise


class SharedFile:
    """An open file that several threads read at different offsets.

    Args:
        file: The open file; nothing else may seek in it meanwhile.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._lock = Lock()

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from `offset` on; fewer at the end of the file.

        Raises:
            OSError: If reading fails.
        """
        with self._lock:
            self._file.seek(offset)
            return self._file.read(size)


class LastResult(Generic[Item, Result]):
    """Keep only the last result of a function; of several threads one computes it and the others wait.

    Args:
        function: Its results are too large to keep several in memory.
    """

    def __init__(self, function: Callable[[Item], Result]) -> None:
        self._function = function
        self._lock = Lock()
        self._last: tuple[Item, Result] | None = None

    def of(self, item: Item) -> Result:
        """Return `function(item)`, computed only if another item came before."""
        with self._lock:
            if self._last is None or self._last[0] != item:
                self._last = None
                self._last = item, self._function(item)
            return self._last[1]


class RecentResults(Generic[Item, Result]):
    """Keep the results used last within a budget; of several threads one computes a result and the others wait.

    Args:
        most: Number of results that are kept.
        most_bytes: Memory of all results that are kept. A larger one is returned, but not kept.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        # Reentrant, because a result may be computed from another one.
        self._lock = RLock()
        self._kept: OrderedDict[Item, tuple[Result, int]] = OrderedDict()

    def find(self, key: Item) -> Result | None:
        """Return a kept result; None if there is none."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def get(self, key: Item, compute: Callable[[], Result], num_bytes: int) -> Result:
        """Return a kept result, or compute and keep it.

        Args:
            key: Identifies the result.
            compute: Returns it; never None.
            num_bytes: Its memory.
        """
        with self._lock:
            found = self.find(key)
            if found is None:
                found = compute()
                if num_bytes <= self._most_bytes:
                    self._kept[key] = found, num_bytes
                while len(self._kept) > self._most or self._num_bytes() > self._most_bytes:
                    self._kept.popitem(last=False)
            return found

    def _num_bytes(self) -> int:
        return sum(num_bytes for _result, num_bytes in self._kept.values())
