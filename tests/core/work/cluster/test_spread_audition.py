"""An audition on a cluster: the same accuracies as here, several at once, elsewhere or here when nodes are lost."""

from __future__ import annotations

import sys

import pytest

from tests.core.work.cluster.conftest import wait_until
from transfer_core.backbones.registry import get_backbone
from transfer_core.evaluation.audition import audition
from transfer_core.work.cluster.cluster_executor import ClusterExecutor
from transfer_core.work.cluster.spread_audition import spread_audition_task
from transfer_core.work.queue import WorkQueue
from transfer_core.work.task import Task
from transfer_core.work.trainings import Trainings

NAMES = ("tiny_random", "efficientnet_lite0")


@pytest.fixture
def queue(executor) -> WorkQueue:
    queue = WorkQueue()
    executor.on_room(queue.begin_waiting)
    return queue


def start(executor, queue, workspace, dataset, names=NAMES) -> Task:
    backbones = [get_backbone(name) for name in names]
    return queue.start(spread_audition_task(executor, queue, workspace, dataset, backbones))


def test_candidates_are_tried_on_nodes_at_once_with_the_accuracies_of_this_computer(
    executor, queue, session_workspace, color_dataset, tmp_path
) -> None:
    progress: list[tuple[str, float]] = []
    most_at_once = 0
    task = start(executor, queue, session_workspace, color_dataset)
    while not task.is_over:
        parts = [part for part in queue.tasks("candidate") if part.progress.part]
        most_at_once = max(most_at_once, len(parts))
        progress.append((task.progress.part, task.progress.share))
        task.wait(0.05)
    assert task.error is None
    here = audition(color_dataset, [get_backbone(name) for name in NAMES], tmp_path)
    assert [score.backbone_name for score in task.result] == list(NAMES)
    assert [score.accuracies for score in task.result] == [score.accuracies for score in here]
    assert [score.num_images for score in task.result] == [score.num_images for score in here]
    assert {score.processor for score in task.result} == {executor.nodes[0].processor}
    assert all(score.seconds_per_100_images > 0 for score in task.result)
    assert sorted(share for _part, share in progress) == [share for _part, share in progress]
    assert not queue.tasks("candidate")
    assert most_at_once == 2


def test_candidates_go_before_trainings_that_wait_and_a_stop_ends_them(
    executor, queue, workspace, dataset, tiny_config
) -> None:
    trainings = Trainings(workspace, executor, queue)
    running = [trainings.submit(dataset, tiny_config.with_changes(epochs=1000)) for _number in range(2)]
    wait_until(lambda: all(trainings.status(run) == "running" for run in running))
    waiting = trainings.submit(dataset, tiny_config)
    task = start(executor, queue, workspace, dataset)
    wait_until(lambda: len(queue.tasks("candidate")) == 2)
    first, second = queue.tasks("candidate")
    assert all(trainings.status(run) == "running" for run in running)
    trainings.request_stop(running[0])
    wait_until(lambda: first.progress.part or second.progress.part)
    assert trainings.status(waiting) == "queued"
    task.request_stop()
    assert task.wait(20)
    assert task.result is None and task.error is None
    for run in (*running, waiting):
        trainings.request_stop(run)
    wait_until(lambda: not queue.in_order("training"))


def test_candidate_that_loses_its_worker_is_tried_again(executor, queue, cluster, workspace, dataset) -> None:
    task = start(executor, queue, workspace, dataset, NAMES[:1])
    wait_until(cluster.workers)
    for worker in cluster.workers():
        worker.kill()
    assert task.wait(100)
    assert task.error is None
    assert task.result[0].processor == executor.nodes[0].processor


def test_what_no_node_can_do_is_done_here(workspace, dataset, monkeypatch) -> None:
    pytest.importorskip("ray", reason="needs Ray: pip install -r requirements-cluster.txt")
    monkeypatch.setenv("TRANSFER_STUDIO_RAY_ADDRESS", "local")
    executor = ClusterExecutor((sys.executable, "-c", "raise SystemExit(1)"))
    monkeypatch.setattr("transfer_core.work.cluster.spread_audition._SECONDS_UNTIL_CONNECTED", 0.1)
    task = start(executor, WorkQueue(), workspace, dataset, NAMES[:1])
    assert task.wait(60)
    executor.close()
    assert task.error is None
    assert [(score.backbone_name, score.processor) for score in task.result] == [(NAMES[0], "")]
