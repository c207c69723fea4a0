"""Which node a run goes to: as many at once as the cluster holds, near its photos where that is possible."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable

from transfer_core.work.cluster.nodes import Need, Node, NodeKind


class Placement:
    """Knows the nodes and what each run has reserved. Thread-safe; no call waits for anything."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._nodes: dict[str, Node] = {}
        self._node_ids: dict[Hashable, str] = {}
        # By node, then by run: with 1,000 nodes, a sum over all runs for each of them takes seconds.
        self._taken: defaultdict[str, dict[Hashable, Need]] = defaultdict(dict)
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
        self,
        key: Hashable,
        need: Need,
        photos: Hashable = None,
        avoid: Collection[str] = (),
        kind: NodeKind | None = None,
    ) -> Node | None:
        """Reserve room for a run, unless it has some already.

        A node with a free graphics processor goes first, then one that has read the photos, then the freest.

        Args:
            key: The run.
            need: What it takes. `num_gpus` is set to 1 on a node that has a free graphics processor.
            photos: What the run reads.
            avoid: Ids of nodes that it shall not go to.
            kind: Of the nodes that it may go to; any if not given.

        Returns:
            The node; None where there is no room now.
        """
        with self._lock:
            held = self._node_ids.get(key, "")
            if held in self._nodes and held not in avoid:
                return self._nodes[held]
            self._release(key)
            free = {
                node: self._free(node)
                for node in self._nodes.values()
                if node.id not in avoid and _may_hold(node, kind)
            }
            fitting = [node for node in free if _fits(need, free[node])]
            if not fitting:
                return None
            seen = self._seen.get(photos)
            node = max(
                fitting,
                key=lambda each: (free[each].num_gpus >= 1, each.id == seen, free[each].num_cpus),
            )
            num_gpus = 1.0 if free[node].num_gpus >= 1 else need.num_gpus
            self._node_ids[key] = node.id
            self._taken[node.id][key] = Need(need.num_cpus, need.memory, num_gpus)
            if photos is not None:
                self._seen[photos] = node.id
            return node

    def release(self, key: Hashable) -> None:
        """Give back what a run has reserved; nothing where it has reserved nothing."""
        with self._lock:
            self._release(key)

    def reserved(self, key: Hashable) -> tuple[Node, Need] | None:
        """Return where a run is and what it took; None where it has no room."""
        with self._lock:
            node = self._nodes.get(self._node_ids.get(key, ""))
            return (node, self._taken[node.id][key]) if node else None

    def could_ever_hold(self, need: Need, kind: NodeKind | None = None) -> bool:
        """Whether any sound node, of a kind if one is given, would have room if nothing else ran on it."""
        return any(_fits(need, _all_of(node)) for node in self.nodes if _may_hold(node, kind))

    def _release(self, key: Hashable) -> None:
        node_id = self._node_ids.pop(key, "")
        taken = self._taken.get(node_id, {})
        taken.pop(key, None)
        if not taken:
            # Each start of a node has a new id.
            self._taken.pop(node_id, None)

    def _free(self, node: Node) -> Need:
        taken = self._taken.get(node.id, {}).values()
        return Need(
            node.num_cpus - sum(need.num_cpus for need in taken),
            node.memory - sum(need.memory for need in taken),
            node.num_gpus - sum(need.num_gpus for need in taken),
        )


def _may_hold(node: Node, kind: NodeKind | None) -> bool:
    return not node.problem and kind in (None, node.kind)


def _all_of(node: Node) -> Need:
    return Need(node.num_cpus, node.memory, node.num_gpus)


def _fits(need: Need, free: Need) -> bool:
    return need.num_cpus <= free.num_cpus and need.memory <= free.memory and need.num_gpus <= free.num_gpus
