"""A Ray cluster of a head without cores and two nodes of one core each, in a process of its own.

`python two_nodes.py FOLDER [PORT]` prints its address as a line of JSON. Then it takes commands from its input, and
replies to each with a line: `add` starts one more node, `kill ID` kills the raylet of a node, `kill gcs` the head. It
ends with its input.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from ray.cluster_utils import Cluster

LOOPBACK = "127.0.0.1"
# Ray's own values let 12 s pass before a node counts as dead.
QUICK = {"health_check_period_ms": 500, "health_check_timeout_ms": 500, "health_check_failure_threshold": 3}


class TwoNodes:
    """The cluster and its commands."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self._folder = folder
        self._num_nodes = 0
        head = {
            "num_cpus": 0,
            "include_dashboard": False,
            "node_ip_address": LOOPBACK,
            "_system_config": QUICK,
            **({"gcs_server_port": port} if port else {}),
        }
        self.cluster = Cluster(initialize_head=True, head_node_args=head)
        self._nodes: dict[str, object] = {}
        self.add()
        self.add()

    def add(self) -> str:
        self._num_nodes += 1
        folder = self._folder / f"node-{self._num_nodes}"
        variables = {"TRANSFER_STUDIO_NODE_DIR": str(folder)}
        node = self.cluster.add_node(num_cpus=1, env_vars=variables, node_ip_address=LOOPBACK)
        self._nodes[node.node_id] = node
        return node.node_id

    def kill(self, name: str) -> str:
        node = self.cluster.head_node if name == "gcs" else self._nodes[name]
        kind = "gcs_server" if name == "gcs" else "raylet"
        for process in node.all_processes[kind]:
            process.process.kill()
            process.process.wait()
        return name


def main() -> None:
    outgoing = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    nodes = TwoNodes(Path(sys.argv[1]), *map(int, sys.argv[2:]))

    def send(reply: dict[str, object]) -> None:
        print(json.dumps(reply), file=outgoing, flush=True)

    try:
        send({"address": nodes.cluster.address})
        for line in sys.stdin:
            name, *arguments = line.split()
            send({"reply": nodes.add() if name == "add" else nodes.kill(*arguments)})
    finally:
        nodes.cluster.shutdown()


if __name__ == "__main__":
    main()
