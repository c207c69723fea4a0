"""Watch the nodes of the cluster from the driver process, and see of each new node whether it may train."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import msgspec

from transfer_core.language import _, stored
from transfer_core.work.cluster.nodes import Node
from transfer_core.work.cluster.settings import NodeFacts, node_facts, node_problem

_SECONDS_BETWEEN_REQUESTS = 1.0
_SECONDS_UNTIL_AWAY = 5.0
# The first worker of a node unpacks the code.
_SECONDS_OF_A_PROBE = 120.0
# Meanwhile the disk may have been freed, or the installation repaired.
_SECONDS_UNTIL_ASKED_AGAIN = 60.0
_LONGEST_REASON = 200

_logger = logging.getLogger(__name__)


class NodeWatch:
    """Follows the nodes in threads of its own.

    Args:
        on_nodes: Called with all nodes that are alive and were probed, whenever they change.
        on_problem: Called with a sentence when the head of the cluster does not answer, and with an empty one when it
            answers again.
    """

    def __init__(
        self, on_nodes: Callable[[tuple[Node, ...]], None], on_problem: Callable[[str], None]
    ) -> None:
        self._on_nodes = on_nodes
        self._on_problem = on_problem
        # Of the code that was sent; an update of the app on disk comes with its next start.
        self._own = node_facts()
        self._probed: dict[str, Node] = {}
        self._probes: dict[str, Future[Node]] = {}
        self._asked_at: dict[str, float] = {}
        self._probing = ThreadPoolExecutor(16, thread_name_prefix="nodes")
        # Behind the probes of many new nodes the head would seem not to answer.
        self._requesting = ThreadPoolExecutor(1, thread_name_prefix="head")

    def start(self) -> None:
        """Begin to watch."""
        threading.Thread(target=self._follow, daemon=True).start()

    def is_alive(self, node_id: str) -> bool:
        """Whether the cluster still counts on a node, as it says now."""
        return any(row["NodeID"] == node_id and row["Alive"] for row in _table())

    def _follow(self) -> None:
        sent: tuple[Node, ...] | None = None
        while True:
            table = self._answer(self._requesting.submit(_table))
            alive = {node["NodeID"]: node for node in table if node["Alive"]}
            for kept in (self._probed, self._probes, self._asked_at):
                for node_id in set(kept) - set(alive):
                    del kept[node_id]
            for node_id in [node_id for node_id, probe in self._probes.items() if probe.done()]:
                self._probed[node_id] = self._probes.pop(node_id).result()
            for node_id, facts in alive.items():
                if facts["Resources"].get("CPU", 0) > 0 and self._is_to_be_asked(node_id):
                    self._probes[node_id] = self._probing.submit(_probed_node, facts, self._own)
                    self._asked_at[node_id] = time.monotonic()
            # At the start all nodes are sent at once, so that none is taken for the largest too early.
            if sent is not None or not self._probes:
                nodes = tuple(self._probed.values())
                if nodes != sent:
                    sent = nodes
                    self._on_nodes(nodes)
            time.sleep(_SECONDS_BETWEEN_REQUESTS)

    def _is_to_be_asked(self, node_id: str) -> bool:
        """Return whether a node is new, or was refused some time ago."""
        if node_id in self._probes:
            return False
        node = self._probed.get(node_id)
        if node is None:
            return True
        return bool(node.problem) and time.monotonic() - self._asked_at[node_id] > _SECONDS_UNTIL_ASKED_AGAIN

    def _answer(self, table: Future[list[dict[str, Any]]]) -> list[dict[str, Any]]:
        if wait([table], _SECONDS_UNTIL_AWAY).done:
            return table.result()
        self._on_problem(_("The head of the cluster does not answer. Trainings wait for it."))
        answer = table.result()
        self._on_problem("")
        return answer


def _table() -> list[dict[str, Any]]:
    import ray

    rows: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return rows


def _probed_node(table_row: dict[str, Any], own: NodeFacts) -> Node:
    """Return the facts of a node, which come from a small task on it."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    node_id, resources = table_row["NodeID"], table_row["Resources"]
    node = Node(
        id=node_id,
        name=table_row["NodeManagerHostname"],
        address=table_row["NodeManagerAddress"],
        num_cpus=resources.get("CPU", 0.0),
        num_gpus=resources.get("GPU", 0.0),
        memory=int(resources.get("memory", 0)),
        gpu=next((name.split(":")[1] for name in resources if name.startswith("accelerator_type:")), ""),
    )
    probe = ray.remote(num_cpus=0, max_retries=1)(_facts).options(
        scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft=False)
    )
    try:
        facts = msgspec.json.decode(ray.get(probe.remote(), timeout=_SECONDS_OF_A_PROBE), type=NodeFacts)
    except Exception as error:
        _logger.exception("The computer %s was not prepared", node.name)
        # The first lines are Ray's, of the task; the last one is of the computer.
        reason = str(error).strip().split("\n")[-1][:_LONGEST_REASON]
        problem = _("This computer could not be prepared ({reason}).").format(
            reason=reason or type(error).__name__
        )
        return msgspec.structs.replace(node, problem=stored(problem))
    return msgspec.structs.replace(
        node, name=facts.name, processor=facts.processor, problem=stored(node_problem(own, facts))
    )


def _facts() -> bytes:
    return msgspec.json.encode(node_facts())
