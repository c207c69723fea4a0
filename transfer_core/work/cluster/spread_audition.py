"""An audition on a cluster: each candidate is tried on some node, several at once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from transfer_core.backbones.backbone import Backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.evaluation.audition import AuditionScore
from transfer_core.language import names_list
from transfer_core.training.features.feature_cache import FeaturesStoppedError
from transfer_core.training.freezing import FreezePlan
from transfer_core.training.resources import estimate_memory
from transfer_core.work.cluster.cluster_executor import ClusterExecutor
from transfer_core.work.cluster.job_kinds import AUDITION
from transfer_core.work.cluster.nodes import NodeKind, memory_on_node
from transfer_core.work.queue import WorkQueue
from transfer_core.work.task import Lane, Task, TaskProgress
from transfer_core.work.tasks import audition_work
from transfer_core.workspace import Workspace

_POLL_SECONDS = 0.1
# The first driver process of a server finds its nodes in some seconds.
_SECONDS_UNTIL_CONNECTED = 30.0

_Audition = Task[list[AuditionScore]]


def spread_audition_task(
    executor: ClusterExecutor,
    queue: WorkQueue,
    workspace: Workspace,
    dataset: ImageDataset,
    backbones: list[Backbone],
) -> _Audition:
    """Compare backbones on a dataset like `audition_task`, each of them on a node that has room.

    The candidates go before the trainings that wait, and interrupt nothing. All go to nodes of one kind, since their
    times are compared. What no node can do is done on this computer.

    Args:
        executor: Of the cluster.
        queue: Where the candidates wait.
        workspace: Of the dataset.
        dataset: The images.
        backbones: The candidates, whose weights are available.
    """

    def work(task: _Audition) -> list[AuditionScore]:
        kind = _commonest_kind(executor, task)
        candidates = [
            _Candidate(executor, workspace, dataset, backbone, kind) for backbone in backbones if kind
        ]
        _carry_out(queue, task, candidates, len(dataset.images))
        found = {each.backbones[0].name: each.result for each in candidates if each.result}
        left = [backbone for backbone in backbones if backbone.name not in found]
        if left:
            here = _Here(workspace, dataset, left)
            _carry_out(queue, task, [here], len(dataset.images))
            found |= {score.backbone_name: [score] for score in here.result or ()}
        return [score for backbone in backbones for score in found[backbone.name]]

    return Task(
        "audition",
        (dataset.id, dataset.version),
        work,
        lane="remote",
        subject=dataset.id,
        owner=workspace.owner,
    )


class _Part(Task[list[AuditionScore]]):
    """Some backbones of an audition. A result of None says that others have to do them."""

    def __init__(
        self,
        key: Hashable,
        work: Callable[[_Audition], list[AuditionScore]],
        lane: Lane,
        owner: str,
        backbones: list[Backbone],
    ) -> None:
        super().__init__("candidate", key, work, lane=lane, owner=owner)
        self.backbones = backbones


class _Here(_Part):
    """Backbones that this computer tries."""

    def __init__(self, workspace: Workspace, dataset: ImageDataset, backbones: list[Backbone]) -> None:
        work = audition_work(workspace, dataset, backbones)
        super().__init__((dataset.id, dataset.version), work, "models", workspace.owner, backbones)


class _Candidate(_Part):
    """A backbone that a node tries."""

    def __init__(
        self,
        executor: ClusterExecutor,
        workspace: Workspace,
        dataset: ImageDataset,
        backbone: Backbone,
        kind: NodeKind,
    ) -> None:
        config = TrainingConfig(backbone=backbone.name)
        memory = memory_on_node(estimate_memory(FreezePlan.of(config, backbone), config, dataset))

        def work(task: _Audition) -> list[AuditionScore]:
            def report(progress: dict[str, Any]) -> None:
                task.report(TaskProgress(backbone.title, progress["num_images"], len(dataset.images)))

            result = executor.carry_out(
                AUDITION,
                workspace,
                dataset.id,
                {"dataset_id": dataset.id, "version": dataset.version, "backbone": backbone.name},
                memory=memory,
                node_kind=kind,
                on_report=report,
                should_stop=lambda: task.should_stop() or kind not in _cores(executor),
            )
            return [replace(msgspec.convert(result, AuditionScore), processor=kind[0])]

        key = dataset.id, dataset.version, backbone.name
        super().__init__(key, work, "remote", workspace.owner, [backbone])


def _carry_out(queue: WorkQueue, task: _Audition, parts: Sequence[_Part], num_images: int) -> None:
    """Put parts into the queue and wait for all of them.

    Raises:
        FeaturesStoppedError: If the audition is to stop; the parts have stopped then.
        TransferStudioError: The first error of a part; the others have stopped then.
    """
    for part in parts:
        queue.start(part)
    try:
        while not all(part.is_over for part in parts):
            if task.should_stop():
                raise FeaturesStoppedError
            problem = next((part.error for part in parts if part.error), None)
            if problem:
                raise problem
            _report(task, parts, num_images)
            time.sleep(_POLL_SECONDS)
    finally:
        for part in parts:
            part.request_stop()
        for part in parts:
            part.wait()
            queue.forget(part)
    for part in parts:
        if part.error:
            raise part.error


def _report(task: _Audition, parts: Sequence[_Part], num_images: int) -> None:
    """Report the photos that were read for all backbones together, with the titles of those under way."""
    titles = [part.progress.part for part in parts if part.state == "running" and part.progress.part]
    if not titles and not task.progress.part:
        return
    num_done = sum(
        len(part.backbones) * num_images if part.result else round(part.progress.share * num_images)
        for part in parts
    )
    num_all = num_images * sum(len(part.backbones) for part in parts)
    task.report(TaskProgress(names_list(titles) or task.progress.part, num_done, num_all))


def _commonest_kind(executor: ClusterExecutor, task: _Audition) -> NodeKind | None:
    """Return the kind of most cores; None where there are no nodes. Waits for the first connection."""
    executor.connect()
    deadline = time.monotonic() + _SECONDS_UNTIL_CONNECTED
    while not executor.nodes and not executor.problem and time.monotonic() < deadline:
        if task.should_stop():
            raise FeaturesStoppedError
        time.sleep(_POLL_SECONDS)
    cores = _cores(executor)
    return max(cores, key=lambda kind: (cores[kind], kind), default=None)


def _cores(executor: ClusterExecutor) -> Counter[NodeKind]:
    """Return the cores of all sound nodes of each kind."""
    cores: Counter[NodeKind] = Counter()
    for node in executor.nodes:
        if not node.problem:
            cores[node.kind] += round(node.num_cpus)
    return cores
