"""The executor of a cluster: estimates what runs need, and follows each one from node to node."""

from __future__ import annotations

import itertools
import json
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from transfer_core.backbones.registry import get_backbone
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import TrainingError, TransferStudioError
from transfer_core.events import EpochEnded, PhaseStarted, PlaceLost, RunEnded, RunPlaced, event_from_dict
from transfer_core.language import _, said, stored
from transfer_core.recipes import StoredText
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.checkpoint import Progress, delete_checkpoints, outcome_of_stop
from transfer_core.training.features.feature_cache import FeaturesStoppedError
from transfer_core.training.freezing import FreezePlan
from transfer_core.training.resources import estimate_memory
from transfer_core.types import ShouldStop
from transfer_core.work.cluster.connection import DRIVER_COMMAND, Connection
from transfer_core.work.cluster.job_kinds import FOLD
from transfer_core.work.cluster.messages import (
    RUN,
    ClusterProblem,
    DropJob,
    FromDriver,
    JobEnded,
    JobFailed,
    JobLost,
    LinesCame,
    LinesWritten,
    NodesChanged,
    OfJob,
    SetState,
    StartJob,
)
from transfer_core.work.cluster.nodes import Need, Node, NodeKind, memory_on_node, with_distinct_names
from transfer_core.work.cluster.room import Room
from transfer_core.work.cluster.settings import cluster_settings, driver_environment
from transfer_core.work.cluster.spread_folds import SpreadFolds, Watch
from transfer_core.work.cluster.stop_watch import StopWatch
from transfer_core.work.execute import Emit, ended_by
from transfer_core.workspace import Workspace

_POLL_SECONDS = 0.25
_SECONDS_UNTIL_DROPPED = 1.0
_MOST_MOVES = 5
# Estimates are rounded up, so that a worker is of use to the next run of about the same size.
_MEMORY_STEP = 512 * 2**20

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Job:
    """A run, or work beside trainings, through all its attempts."""

    key: tuple[Workspace, str]
    kind: str
    arguments: Mapping[str, Any]
    need: Need
    photos: tuple[Workspace, str]
    node_kind: NodeKind | None = None


class ClusterExecutor:
    """Carries out runs on the nodes of a Ray cluster, as many at once as it holds. Any thread may use it.

    Args:
        command: Command line of the driver process.

    Raises:
        InvalidConfigError: If Ray is missing, or a setting of the environment is wrong.
    """

    def __init__(self, command: Sequence[str] = DRIVER_COMMAND) -> None:
        self._settings = cluster_settings()
        self._room = Room()
        self._lock = threading.Lock()
        self._needs: dict[tuple[Workspace, str], Need] = {}
        self._inboxes: dict[str, queue.SimpleQueue[OfJob]] = {}
        self._numbers = itertools.count(1)
        self._problem: StoredText = ""
        environment = driver_environment(self._settings)
        self._connection = Connection(self._take, self._lose_all, environment, command)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes that are alive, refused ones too."""
        return self._room.nodes

    @property
    def problem(self) -> str:
        """Why no training can begin now, as a sentence for a person; empty where the cluster answers."""
        return said(self._problem)

    @property
    def is_on_this_computer(self) -> bool:
        """Whether the cluster is this computer alone."""
        return self._settings.is_local

    @property
    def process_id(self) -> int | None:
        """Of the driver process, if there is one now."""
        return self._connection.process_id

    def connect(self) -> None:
        """Begin to connect to the cluster, unless that was done before. Returns at once."""
        self._connection.start()

    def prepare(self, workspace: Workspace, run: TrainingRun) -> None:
        """Estimate what a run needs, before it is queued. May take a second."""
        self.connect()
        need = self._need_of(workspace, run)
        with self._lock:
            self._needs[workspace, run.id] = need

    def reserve(self, workspace: Workspace, run: TrainingRun) -> bool:
        """Reserve room for a prepared run; return False where there is none now. Returns at once.

        Raises:
            InsufficientResourcesError: If there are nodes, and none of them could ever hold it.
        """
        key = workspace, run.id
        return self._room.reserve(key, self._needs[key], (workspace, run.dataset_id))

    def release(self, workspace: Workspace, run: TrainingRun) -> None:
        """Give back the room of a run that was never carried out."""
        with self._lock:
            self._needs.pop((workspace, run.id), None)
        self._room.release((workspace, run.id))

    def on_room(self, callback: Callable[[], None]) -> None:
        """Call something, from any thread, whenever there may be more room than before."""
        self._room.on_change(callback)

    def close(self) -> None:
        """End the driver process, and with it all that runs."""
        self._room.close()
        self._connection.close()

    def __call__(self, workspace: Workspace, run: TrainingRun, emit: Emit, should_stop: ShouldStop) -> None:
        """Carry out one run, on one node after the other where these are lost.

        Args:
            workspace: Where its dataset and the cache are.
            run: The run.
            emit: Called with each event.
            should_stop: Called several times a second; may block while the run is paused.

        Raises:
            WorkspaceError: If `emit` could not even write that the run failed.
        """
        key = workspace, run.id
        if key not in self._needs:
            self.prepare(workspace, run)
        job = _Job(key, RUN, {"run_id": run.id}, self._needs[key], (workspace, run.dataset_id))
        watch = StopWatch(should_stop)
        try:
            ended = self._carry_out_run(job, run, emit, watch)
        except TransferStudioError as error:
            ended = ended_by(error, has_checkpoint=run.has_checkpoint)
        except Exception as error:
            _logger.exception("Run %s failed", run.id)
            ended = ended_by(error, has_checkpoint=run.has_checkpoint)
        finally:
            watch.close()
            self.release(workspace, run)
        emit(ended)
        if ended.outcome != "interrupted":
            delete_checkpoints(run.folder)

    def carry_out(
        self,
        kind: str,
        workspace: Workspace,
        dataset_id: str,
        arguments: Mapping[str, Any],
        *,
        memory: int = 0,
        node_kind: NodeKind | None = None,
        on_report: Callable[[dict[str, Any]], None] = lambda report: None,
        should_stop: ShouldStop = lambda: False,
    ) -> dict[str, Any]:
        """Carry out work beside trainings on any node, and return its result. It goes before runs that wait.

        Args:
            kind: One of `JOB_KINDS`.
            workspace: Where the dataset is.
            dataset_id: The photos that it reads.
            arguments: Of this kind of work, as JSON holds them.
            memory: In bytes.
            node_kind: Of the nodes that it may go to; any if not given.
            on_report: Called with what the work reports.
            should_stop: Called several times a second.

        Raises:
            FeaturesStoppedError: If `should_stop` said so.
            InsufficientResourcesError: If no node could ever hold it.
            TrainingError: If it failed, or lost its node too often.
        """
        self.connect()
        number = next(self._numbers)
        need = Need(float(self._settings.num_cpus_of_a_run), _rounded(memory))
        job = _Job((workspace, f"{kind} {number}"), kind, arguments, need, (workspace, dataset_id), node_kind)
        watch = StopWatch(should_stop)
        try:
            return self._carry_out_work(job, on_report, watch)
        finally:
            watch.close()
            self._room.release(job.key)

    def _need_of(self, workspace: Workspace, run: TrainingRun) -> Need:
        memory = 0
        # The run itself reports such an error when it begins.
        with suppress(TransferStudioError):
            dataset = ImageDataset.load(workspace, run.dataset_id)
            plan = FreezePlan.of(run.config, get_backbone(run.config.backbone, workspace))
            memory = memory_on_node(estimate_memory(plan, run.config, dataset))
        return Need(float(self._settings.num_cpus_of_a_run), _rounded(memory))

    def _carry_out_run(self, job: _Job, run: TrainingRun, emit: Emit, watch: StopWatch) -> RunEnded:
        def take(folds: SpreadFolds, line: str) -> None:
            event = event_from_dict(json.loads(line))
            emit(event)
            if isinstance(event, PhaseStarted) and event.phase == "cross_validation":
                folds.begin(event.num_steps)

        num_moves, lost_nodes = 0, set[str]()
        while num_moves <= _MOST_MOVES:
            place = self._place_of(job, lost_nodes, watch)
            if place is None:
                return _stopped_early(run)
            emit(_placed(*place))
            folds = self._spread_folds(job, *place, watch)
            try:
                ended = self._follow(job, *place, partial(take, folds), watch)
            finally:
                folds.end()
            match ended:
                case JobEnded(line=line):
                    return _end_of(line) if line else _stopped_early(run)
                case JobFailed(sentence=sentence):
                    return RunEnded(time.time(), "interrupted", sentence)
                case JobLost(reason=reason):
                    emit(PlaceLost(time.time(), reason))
                    num_moves += reason != "cluster"
                    lost_nodes |= {place[0].id} if reason == "node" else set()
        return RunEnded(time.time(), "interrupted", stored(_lost_too_often(num_moves)))

    def _carry_out_work(
        self, job: _Job, on_report: Callable[[dict[str, Any]], None], watch: StopWatch
    ) -> dict[str, Any]:
        num_moves, lost_nodes = 0, set[str]()
        while num_moves <= _MOST_MOVES:
            place = self._place_of(job, lost_nodes, watch)
            if place is None:
                raise FeaturesStoppedError
            match self._follow(job, *place, lambda line: on_report(json.loads(line)), watch):
                case JobEnded(result=result):
                    if result is None:
                        raise FeaturesStoppedError
                    return result
                case JobFailed(sentence=sentence):
                    raise TrainingError(said(sentence))
                case JobLost(reason=reason):
                    num_moves += reason != "cluster"
                    lost_nodes |= {place[0].id} if reason == "node" else set()
        raise TrainingError(_lost_too_often(num_moves))

    def _spread_folds(self, job: _Job, node: Node, need: Need, watch: StopWatch) -> SpreadFolds:
        """Return the search for room for the folds of a run, on nodes of its own kind, which give the same result."""

        def train(number: int, fold_watch: Watch) -> bool | None:
            workspace, run_id = job.key
            key = workspace, f"{run_id} {FOLD} {number} {next(self._numbers)}"
            fold = _Job(key, FOLD, {"run_id": run_id, "number": number}, need, job.photos, node.kind)
            # The other node may have no free GPU, and without it the fold would have another accuracy.
            is_alike = need.num_gpus > 0 or not node.num_gpus
            place = self._room.take(key, need, job.photos, node.kind) if is_alike else None
            if place is None:
                return None
            try:
                ended = self._follow(fold, *place, lambda _line: None, fold_watch)
                return isinstance(ended, JobEnded) and bool(ended.result)
            finally:
                self._room.release(key)

        return SpreadFolds(train, watch)

    def _place_of(self, job: _Job, avoid: set[str], watch: StopWatch) -> tuple[Node, Need] | None:
        return self._room.wait(
            job.key, job.need, job.photos, avoid, lambda: watch.state() != "stop", job.node_kind
        )

    def _follow(self, job: _Job, node: Node, need: Need, take: Callable[[str], None], watch: Watch) -> OfJob:
        """Let the driver carry out a job on a node, and return the last message."""
        attempt = f"{job.key[1]} {next(self._numbers)}"
        inbox: queue.SimpleQueue[OfJob] = queue.SimpleQueue()
        with self._lock:
            self._inboxes[attempt] = inbox
        send = self._connection.send
        root = str(job.key[0].root.resolve())
        try:
            # Nobody will say that a driver died which has died before now.
            if not self._room.holds(job.key):
                return JobLost(attempt, "cluster")
            send(StartJob(attempt, job.kind, root, dict(job.arguments), node.id, need))
            sent, has_begun, changed_at = "go", False, time.monotonic()
            while True:
                if (state := watch.state()) != sent:
                    send(SetState(attempt, state))
                    sent, changed_at = state, time.monotonic()
                # It may be reading 50,000 photos, or be loading TensorFlow: nothing is lost with it.
                if (
                    sent == "stop"
                    and not has_begun
                    and time.monotonic() - changed_at > _SECONDS_UNTIL_DROPPED
                ):
                    send(DropJob(attempt))
                    return JobEnded(attempt)
                with suppress(queue.Empty):
                    message = inbox.get(timeout=_POLL_SECONDS)
                    if not isinstance(message, LinesCame):
                        return message
                    has_begun = True
                    for line in message.lines:
                        take(line)
                    send(LinesWritten(attempt))
        except BaseException:
            send(DropJob(attempt))
            raise
        finally:
            with self._lock:
                self._inboxes.pop(attempt, None)

    def _take(self, message: FromDriver) -> None:
        """Take a message of the driver, in the thread that reads them all."""
        match message:
            case NodesChanged():
                self._problem = ""
                self._room.update(with_distinct_names(message.nodes))
            case ClusterProblem():
                # A driver that tries again says the same each time.
                if message.sentence and message.sentence != self._problem:
                    _logger.warning("%s", said(message.sentence))
                self._problem = message.sentence
            case _:
                with self._lock:
                    inbox = self._inboxes.get(message.job)
                if inbox:
                    inbox.put(message)

    def _lose_all(self) -> None:
        lost = _("The connection to the cluster was lost. Trainings wait for it.")
        self._problem = self._problem or stored(lost)
        self._room.update(())
        with self._lock:
            inboxes = list(self._inboxes.items())
        for attempt, inbox in inboxes:
            inbox.put(JobLost(attempt, "cluster"))


def _rounded(memory: int) -> int:
    return -(-memory // _MEMORY_STEP) * _MEMORY_STEP


def _placed(node: Node, need: Need) -> RunPlaced:
    gpu = node.gpu if need.num_gpus else ""
    return RunPlaced(time.time(), node.name, node.address, node.processor, max(int(need.num_cpus), 1), gpu)


def _end_of(line: str) -> RunEnded:
    event = event_from_dict(json.loads(line))
    assert isinstance(event, RunEnded)
    return event


def _stopped_early(run: TrainingRun) -> RunEnded:
    """Return the end of a run that was stopped while it was on no node."""
    reported = [event for event in run.events() if isinstance(event, EpochEnded)]
    outcome, message = outcome_of_stop(Progress(), reported, has_checkpoint=run.has_checkpoint)
    return RunEnded(time.time(), outcome, stored(message))


def _lost_too_often(num_losses: int) -> str:
    return _("The training lost its computer {count} times. Continue from the last checkpoint.").format(
        count=num_losses
    )
