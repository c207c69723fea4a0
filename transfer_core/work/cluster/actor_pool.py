"""The workers on the nodes: kept for a few jobs, since each new one takes seconds to load TensorFlow."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from transfer_core.work.cluster.actor import NodeWorker
from transfer_core.work.cluster.nodes import Need

# As many as `ProcessExecutor`: a training of a whole network leaks about 10 MB.
_JOBS_OF_ONE_WORKER = 5
_IDLE_SECONDS = 180.0
# A poll waits in one thread, while files or a new state come in by another.
_NUM_CALLS_AT_ONCE = 4


@dataclass
class PooledActor:
    """An actor on a node.

    Args:
        handle: Ray's handle of it.
        node: Ray's id of the node.
        need: What it takes there.
        num_jobs: How many jobs it was given.
        idle_since: When the last of them was over.
    """

    handle: Any
    node: str
    need: Need
    num_jobs: int = 1
    idle_since: float = 0.0


class ActorPool:
    """Starts actors, and keeps those that are idle for the next job of the same need on their node.

    Args:
        is_beside_app: Whether the nodes are the computer of the app.
    """

    def __init__(self, is_beside_app: bool) -> None:
        self._is_beside_app = is_beside_app
        self._lock = threading.Lock()
        self._sending: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._idle: list[PooledActor] = []

    def take(self, node: str, need: Need) -> PooledActor:
        """Return an idle actor, or a new one that may not be there yet. Other idle ones on the node make room."""
        with self._lock:
            here = [actor for actor in self._idle if actor.node == node]
            found = next((actor for actor in here if actor.need == need), None)
            if found:
                self._idle.remove(found)
                found.num_jobs += 1
                return found
            self._idle = [actor for actor in self._idle if actor.node != node]
        for actor in here:
            self.end(actor)
        return PooledActor(self._new(node, need), node, need)

    def sending(self, actor: PooledActor) -> threading.Lock:
        """Return the lock under which files are sent to a node: two jobs at once would send the same photos twice."""
        with self._lock:
            return self._sending[actor.node]

    def give_back(self, actor: PooledActor) -> None:
        """Keep an actor whose job is over, for some minutes."""
        if actor.num_jobs >= _JOBS_OF_ONE_WORKER:
            self.end(actor)
            return
        actor.idle_since = time.monotonic()
        with self._lock:
            self._idle.append(actor)

    def end(self, actor: PooledActor) -> None:
        """End the process of an actor, whatever it does."""
        import ray

        ray.kill(actor.handle)

    def end_idle(self) -> None:
        """End the actors that no job wanted for some minutes."""
        now = time.monotonic()
        with self._lock:
            old = [actor for actor in self._idle if now - actor.idle_since > _IDLE_SECONDS]
            self._idle = [actor for actor in self._idle if actor not in old]
        for actor in old:
            self.end(actor)

    def _new(self, node: str, need: Need) -> Any:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        options = ray.remote(NodeWorker).options(
            num_cpus=need.num_cpus,
            num_gpus=need.num_gpus,
            memory=need.memory,
            max_concurrency=_NUM_CALLS_AT_ONCE,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
        )
        return options.remote(max(int(need.num_cpus), 1), int(need.num_gpus), self._is_beside_app)
