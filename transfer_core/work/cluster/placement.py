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
        self._taken: defaultdict[str, dict[Hashable, Need]] = defaultdict(dict)
        # Of sound nodes with a free core. The first waiting run tries at each change of the queue, with 1,000 nodes.
        self._free: dict[str, Need] = {}
        # The node that has read some photos last.
        self._seen: dict[Hashable, str] = {}

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes that are alive, refused ones too."""
        return tuple(self._nodes.values())

    def update(self, nodes: Iterable[Node]) -> None:
        """Replace the nodes. Reservations on a lost node are kept until they are released."""
        with self._lock:
            self._nodes = {node.id: node for node in nodes}
            self._free = {}
            for node_id in self._nodes:
                self._count_free(node_id)

    def reserve(
        self,
        key: Hashable,
        need: Need,
        photos: Hashable = None,
        avoid: Collection[str] = (),
        kind: NodeKind | None = None,
    ) -> Node | None:
        """Reserve room for a run, unless it has some already.

        A node with a free GPU goes first, then one that has read the photos, then the freest.

        Args:
            key: The run.
            need: What it takes. `num_gpus` is set to 1 on a node that has a free GPU.
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
            fitting = [
                node_id
                for node_id, free in self._free.items()
                if _fits(need, free) and node_id not in avoid and kind in (None, self._nodes[node_id].kind)
            ]
            if not fitting:
                return None
            seen = self._seen.get(photos)
            node = self._nodes[
                max(
                    fitting,
                    key=lambda each: (
                        self._free[each].num_gpus >= 1,
                        each == seen,
                        self._free[each].num_cpus,
                    ),
                )
            ]
            num_gpus = 1.0 if self._free[node.id].num_gpus >= 1 else need.num_gpus
            self._node_ids[key] = node.id
            self._taken[node.id][key] = Need(need.num_cpus, need.memory, num_gpus)
            self._count_free(node.id)
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

    def could_ever_hold(self, need: Need) -> bool:
        """Whether any sound node would have room if nothing else ran on it."""
        return any(_fits(need, _all_of(node)) for node in self.nodes if not node.problem)

    def _release(self, key: Hashable) -> None:
        node_id = self._node_ids.pop(key, "")
        taken = self._taken.get(node_id, {})
        taken.pop(key, None)
        if not taken:
            # Each start of a node has a new id.
            self._taken.pop(node_id, None)
        self._count_free(node_id)

    def _count_free(self, node_id: str) -> None:
        """Count again what is free on a node that may have changed."""
        self._free.pop(node_id, None)
        node = self._nodes.get(node_id)
        if node is None or node.problem:
            return
        taken = self._taken.get(node_id, {}).values()
        num_cpus = node.num_cpus - sum(need.num_cpus for need in taken)
        if num_cpus > 0:
            self._free[node_id] = Need(
                num_cpus,
                node.memory - sum(need.memory for need in taken),
                node.num_gpus - sum(need.num_gpus for need in taken),
            )


def _all_of(node: Node) -> Need:
    return Need(node.num_cpus, node.memory, node.num_gpus)


def _fits(need: Need, free: Need) -> bool:
    return need.num_cpus <= free.num_cpus and need.memory <= free.memory and need.num_gpus <= free.num_gpus
