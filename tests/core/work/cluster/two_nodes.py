"""A Ray cluster of a head without cores and two nodes of one core each, in a process of its own.

`python two_nodes.py FOLDER [PORT]` prints its address as a line of JSON, adds a node for each line that comes in (its
variables as JSON), and ends with its input.
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


def main() -> None:
    """Run the cluster until standard input ends."""
    outgoing = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    folder, *ports = sys.argv[1:]
    # The autoscaler and the reader of logs, each a Python of its own, have nothing to do here.
    without = {"no_monitor": True, "include_log_monitor": False, "include_dashboard": False}
    head = {"num_cpus": 0, "node_ip_address": LOOPBACK, "_system_config": QUICK, **without}
    if ports:
        head["gcs_server_port"] = int(ports[0])
    cluster = Cluster(initialize_head=True, head_node_args=head)
    num_nodes = 0

    def add(variables: dict[str, str]) -> None:
        nonlocal num_nodes
        num_nodes += 1
        variables["TRANSFER_STUDIO_NODE_DIR"] = str(Path(folder) / f"node-{num_nodes}")
        cluster.add_node(num_cpus=1, env_vars=variables, node_ip_address=LOOPBACK)

    try:
        add({})
        add({})
        print(json.dumps({"address": cluster.address}), file=outgoing, flush=True)
        for line in sys.stdin:
            add(json.loads(line))
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()
