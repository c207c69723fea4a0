"""One attempt of a job in the driver process, followed here without Ray."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from transfer_core.language import said
from transfer_core.work.cluster.actor import Batch, digest_of
from transfer_core.work.cluster.actor_pool import ActorPool, PooledActor
from transfer_core.work.cluster.job import RemoteJob, _DroppedError
from transfer_core.work.cluster.messages import RUN, DropJob, JobFailed, OfJob, StartJob
from transfer_core.work.cluster.nodes import Need


def test_events_that_come_after_the_server_has_dropped_the_job_are_awaited_by_nobody(workspace) -> None:
    request = StartJob("run 1", RUN, str(workspace.root), {"run_id": "run"}, "node", Need(1.0))
    sent: list[OfJob] = []
    job = RemoteJob(request, ActorPool(is_beside_app=False), sent.append, lambda _node: True)
    job.take(DropJob("run 1"))
    batch = Batch(("{}",), {}, digest_of({}), False, "", None, "")
    raised: list[bool] = []

    def forward() -> None:
        with pytest.raises(_DroppedError):
            job._forward(batch, 0.0)
        raised.append(True)

    forwarding = threading.Thread(target=forward, daemon=True)
    forwarding.start()
    forwarding.join(5)
    assert (raised, sent) == ([True], [])


class _EmptyPool(ActorPool):
    def take(self, node: str, need: Need) -> PooledActor:
        raise ValueError("no actor")


def test_sends_an_end_where_no_worker_can_be_started(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="needs Ray: pip install -r requirements-cluster.txt")
    sent: list[OfJob] = []
    request = StartJob("run 1", RUN, str(tmp_path), {"run_id": "1"}, "node", Need())
    RemoteJob(request, _EmptyPool(is_beside_app=False), sent.append, lambda _node: True).carry_out()
    (failed,) = sent
    assert isinstance(failed, JobFailed)
    assert said(failed.sentence) == "The training was cut off (ValueError: no actor)."
