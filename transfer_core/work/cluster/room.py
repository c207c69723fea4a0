"""The room of a cluster: who holds which part of it, who waits for some, and who is called when there may be more."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass, field

from transfer_core.errors import InsufficientResourcesError
from transfer_core.language import _
from transfer_core.training.resources import size_text
from transfer_core.work.cluster.nodes import Need, Node, NodeKind
from transfer_core.work.cluster.placement import Placement

_SECONDS_BETWEEN_STOP_CHECKS = 0.25

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Wait:
    need: Need
    photos: Hashable
    avoid: frozenset[str]
    kind: NodeKind | None
    is_over: threading.Event = field(default_factory=threading.Event)


class Room:
    """Gives room to jobs. Those that are under way and have lost their node go before all that have not begun."""

    def __init__(self) -> None:
        self._placement = Placement()
        self._lock = threading.Lock()
        self._waits: dict[Hashable, _Wait] = {}
        self._callbacks: list[Callable[[], None]] = []
        self._has_changed = threading.Event()
        self._announcing: threading.Thread | None = None
        self._is_closed = False

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes that are alive, refused ones too."""
        return self._placement.nodes

    def update(self, nodes: Collection[Node]) -> None:
        """Replace the nodes."""
        self._placement.update(nodes)
        self._change()

    def reserve(self, key: Hashable, need: Need, photos: Hashable) -> bool:
        """Reserve room for a job that has not begun; return False where there is none now. Returns at once.

        Args:
            key: The job.
            need: What it takes.
            photos: What it reads.

        Raises:
            InsufficientResourcesError: If there are nodes, and none of them could ever hold it.
        """
        if self._is_too_large(need):
            raise self._too_large(need)
        return self._placement.reserve(key, need, photos) is not None

    def wait(
        self,
        key: Hashable,
        need: Need,
        photos: Hashable,
        avoid: Collection[str],
        is_wanted: Callable[[], bool],
        kind: NodeKind | None = None,
    ) -> tuple[Node, Need] | None:
        """Wait until a job has room.

        Args:
            key: The job. What it has reserved before is taken.
            need: What it takes.
            photos: What it reads.
            avoid: Ids of nodes that it shall not go to.
            is_wanted: Called several times a second.
            kind: Of the nodes that it may go to; any if not given.

        Returns:
            The node and what the job takes there; None if it was not wanted any more.

        Raises:
            InsufficientResourcesError: If there are nodes, and none of them could ever hold it.
        """
        wait = _Wait(need, photos, frozenset(avoid), kind)
        with self._lock:
            self._waits[key] = wait
        try:
            self._place_those_that_wait()
            while is_wanted():
                if wait.is_over.wait(_SECONDS_BETWEEN_STOP_CHECKS):
                    if held := self._placement.reserved(key):
                        return held
                    if self._is_too_large(need):
                        raise self._too_large(need)
                    wait.is_over.clear()  # the node was lost in this very moment
        finally:
            with self._lock:
                self._waits.pop(key, None)
        return None

    def take(self, key: Hashable, need: Need, photos: Hashable, kind: NodeKind) -> tuple[Node, Need] | None:
        """Reserve room on a node of a kind; None where there is none now. Returns at once."""
        self._placement.reserve(key, need, photos, kind=kind)
        return self._placement.reserved(key)

    def holds(self, key: Hashable) -> bool:
        """Whether a job has room on a node that is alive."""
        return self._placement.reserved(key) is not None

    def release(self, key: Hashable) -> None:
        """Give back what a job has reserved; nothing where it has reserved nothing."""
        self._placement.release(key)
        self._change()

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call something whenever there may be more room than before, from a thread of its own."""
        self._callbacks.append(callback)
        with self._lock:
            if self._announcing is None:
                self._announcing = threading.Thread(target=self._announce, name="room", daemon=True)
                self._announcing.start()

    def close(self) -> None:
        """Call nobody any more."""
        self._is_closed = True
        self._has_changed.set()

    def _change(self) -> None:
        self._place_those_that_wait()
        # Room is given back under the lock of the queue, which those that are called need.
        self._has_changed.set()

    def _announce(self) -> None:
        while self._has_changed.wait() and not self._is_closed:
            self._has_changed.clear()
            for callback in self._callbacks:
                try:
                    callback()
                except Exception:
                    # Without this thread no training that waits would ever begin.
                    _logger.exception("The queue could not begin what waits for the cluster")

    def _place_those_that_wait(self) -> None:
        with self._lock:
            waits = list(self._waits.items())
        for key, wait in waits:
            node = self._placement.reserve(key, wait.need, wait.photos, wait.avoid, wait.kind)
            if node or self._is_too_large(wait.need):
                wait.is_over.set()

    def _is_too_large(self, need: Need) -> bool:
        is_anyone_sound = any(not node.problem for node in self.nodes)
        return is_anyone_sound and not self._placement.could_ever_hold(need)

    def _too_large(self, need: Need) -> InsufficientResourcesError:
        sound = [node for node in self.nodes if not node.problem]
        largest = max(sound, key=lambda node: (node.num_cpus, node.memory), default=Node("", "", "", 0))
        return InsufficientResourcesError(
            _(
                "This training needs {cpus} cores and {memory}. The largest computer of the cluster, {name}, has "
                "{most_cpus} and {most_memory}."
            ).format(
                cpus=round(need.num_cpus),
                memory=size_text(need.memory),
                name=largest.name,
                most_cpus=round(largest.num_cpus),
                most_memory=size_text(largest.memory, math.floor),
            )
        )
