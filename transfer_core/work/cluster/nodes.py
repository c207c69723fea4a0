"""The nodes of a cluster as facts, and what a run needs of one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import TypeAlias

import msgspec
from msgspec import structs

from transfer_core.language import said
from transfer_core.recipes import StoredText

# Kind of the processor and of the GPUs. Nodes of one kind give the same results, and their times compare.
NodeKind: TypeAlias = tuple[str, str]
# Python, TensorFlow and Ray in a process of their own, which the estimate of a training does not count. Measured with
# `python -m benchmarks.cluster --part sizes`: workers took up to 0.1 GB more than the estimate.
_WORKER_BYTES = 150 * 10**6


class Node(msgspec.Struct, frozen=True):
    """A computer of the cluster that is alive.

    Args:
        id: Ray's id, new whenever the node starts again.
        name: Of the computer, for a person.
        address: IP address, without a port.
        num_cpus: Cores that Ray may give away.
        num_gpus: GPUs that Ray may give away.
        memory: Bytes that Ray may give away.
        processor: Kind of the processor. The same kind with the same number of threads computes the same bits.
        gpu: Kind of its GPUs; empty without one.
        problem: Why no run may go there, as a sentence for a person; empty for a sound node.
    """

    id: str
    name: str
    address: str
    num_cpus: float
    num_gpus: float = 0.0
    memory: int = 0
    processor: str = ""
    gpu: str = ""
    problem: StoredText = ""

    @property
    def kind(self) -> NodeKind:
        """Kind of its processor, and of its GPUs; empty without any."""
        return self.processor, (self.gpu or "gpu") if self.num_gpus else ""


class Need(msgspec.Struct, frozen=True):
    """What a run takes of a node while it is trained.

    Args:
        num_cpus: Cores, which are also its threads.
        memory: Bytes at its peak.
        num_gpus: A run takes one where a node has one, and never shares it.
    """

    num_cpus: float = 1.0
    memory: int = 0
    num_gpus: float = 0.0


def memory_on_node(estimate: int) -> int:
    """Return the memory that a training takes of a node, in bytes: a worker process comes to what it takes in the app.

    Args:
        estimate: As `estimate_memory` gives it.
    """
    return estimate + _WORKER_BYTES


def with_distinct_names(nodes: Collection[Node]) -> tuple[Node, ...]:
    """Return the nodes; the names of different computers that have the same one get their addresses."""
    addresses = defaultdict(set)
    for node in nodes:
        addresses[node.name].add(node.address)
    return tuple(
        structs.replace(node, name=f"{node.name} ({node.address})") if len(addresses[node.name]) > 1 else node
        for node in nodes
    )


def joined_by_computer(nodes: Iterable[Node]) -> list[Node]:
    """Return one node for each computer by name, with the cores and graphics processors of all nodes on it."""
    found: dict[tuple[str, str, StoredText], Node] = {}
    for node in sorted(nodes, key=lambda node: (node.name, node.address)):
        key = node.name, node.address, said(node.problem)
        first = found.get(key)
        found[key] = node if first is None else _sum_of(first, node)
    return list(found.values())


def _sum_of(first: Node, second: Node) -> Node:
    num_cpus, num_gpus = first.num_cpus + second.num_cpus, first.num_gpus + second.num_gpus
    return structs.replace(first, num_cpus=num_cpus, num_gpus=num_gpus)
