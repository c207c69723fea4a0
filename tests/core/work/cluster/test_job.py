"""A job of the driver process, without a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from transfer_core.work.cluster.actor_pool import ActorPool, PooledActor
from transfer_core.work.cluster.job import RemoteJob
from transfer_core.work.cluster.messages import RUN, JobFailed, OfJob, StartJob
from transfer_core.work.cluster.nodes import Need


class _EmptyPool(ActorPool):
    def take(self, node: str, need: Need) -> PooledActor:
        raise ValueError("no actor")


def test_sends_an_end_where_no_worker_can_be_started(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="needs Ray: pip install -r requirements-cluster.txt")
    sent: list[OfJob] = []
    request = StartJob("run 1", RUN, str(tmp_path), {"run_id": "1"}, "node", Need())
    RemoteJob(request, _EmptyPool(is_beside_app=False), sent.append, lambda node: True).carry_out()
    assert sent == [JobFailed("run 1", "The training was cut off (ValueError: no actor).")]
