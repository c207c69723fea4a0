"""Which node a run goes to: as many at once as the cluster holds, near its photos where that is possible."""

from __future__ import annotations

import threading
from collections.abc import Collection, Hashable, Iterable

from transfer_core.work.cluster.nodes import Need, Node


class Placement:
    """Knows the nodes and what each run has reserved. Thread-safe; no call waits for anything."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._nodes: dict[str, Node] = {}
        self._reserved: dict[Hashable, tuple[str, Need]] = {}
        # Names of nodes by what they have read already, the latest last.
        self._seen: dict[Hashable, str] = {}

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes that are alive, refused ones too."""
        return tuple(self._nodes.values())

    def update(self, nodes: Iterable[Node]) -> None:
        """Replace the nodes. Reservations on a node that is gone stay until they are released."""
        with self._lock:
            self._nodes = {node.id: node for node in nodes}

    def reserve(
        self, key: Hashable, need: Need, photos: Hashable = None, avoid: Collection[str] = ()
    ) -> Node | None:
        """Reserve room for a run, unless it has some already.

        A node with a free graphics processor goes first, then one that has read the photos, then the freest.

        Args:
            key: The run.
            need: What it takes. `num_gpus` is set to 1 on a node that has a free graphics processor.
            photos: What the run reads.
            avoid: Ids of nodes that it shall not go to.

        Returns:
            The node; None where there is no room now.
        """
        with self._lock:
            held = self._reserved.get(key)
            if held and held[0] in self._nodes and held[0] not in avoid:
                return self._nodes[held[0]]
            self._reserved.pop(key, None)
            found = [
                node
                for node in self._nodes.values()
                if not node.problem and node.id not in avoid and self._holds(node, need)
            ]
            if not found:
                return None
            node = max(
                found,
                key=lambda each: (
                    self._free(each).num_gpus >= 1,
                    self._seen.get(photos) == each.id,
                    self._free(each).num_cpus,
                ),
            )
            num_gpus = 1.0 if self._free(node).num_gpus >= 1 else need.num_gpus
            self._reserved[key] = node.id, Need(need.num_cpus, need.memory, num_gpus)
            if photos is not None:
                self._seen[photos] = node.id
            return node

    def release(self, key: Hashable) -> None:
        """Give back what a run has reserved; nothing where it has reserved nothing."""
        with self._lock:
            self._reserved.pop(key, None)

    def reserved(self, key: Hashable) -> tuple[Node, Need] | None:
        """Return where a run is and what it took; None where it has no room."""
        with self._lock:
            node_id, need = self._reserved.get(key, ("", Need()))
            return (self._nodes[node_id], need) if node_id in self._nodes else None

    def could_ever_hold(self, need: Need) -> bool:
        """Whether any sound node would have room if nothing else ran on it."""
        return any(_fits(need, _all_of(node)) for node in self.nodes if not node.problem)

    def _holds(self, node: Node, need: Need) -> bool:
        return _fits(need, self._free(node))

    def _free(self, node: Node) -> Need:
        taken = [need for node_id, need in self._reserved.values() if node_id == node.id]
        return Need(
            node.num_cpus - sum(need.num_cpus for need in taken),
            node.memory - sum(need.memory for need in taken),
            node.num_gpus - sum(need.num_gpus for need in taken),
        )


def _all_of(node: Node) -> Need:
    return Need(node.num_cpus, node.memory, node.num_gpus)


def _fits(need: Need, free: Need) -> bool:
    return need.num_cpus <= free.num_cpus and need.memory <= free.memory and need.num_gpus <= free.num_gpus
