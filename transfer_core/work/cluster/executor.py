"""The executor of a cluster: reserves room for runs, and follows each one on its node."""

from __future__ import annotations

import itertools
import json
import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

from transfer_core.backbones.registry import get_backbone
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import InsufficientResourcesError, TrainingError, TransferStudioError
from transfer_core.events import (
    EpochEnded,
    PlaceLost,
    RunEnded,
    RunPlaced,
    event_from_dict,
)
from transfer_core.language import _
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.checkpoint import Progress, delete_checkpoints, outcome_of_stop
from transfer_core.training.freezing import FreezePlan
from transfer_core.training.resources import estimate_memory, size_text
from transfer_core.types import ShouldStop
from transfer_core.work.cluster.connection import DRIVER_COMMAND, Connection
from transfer_core.work.cluster.messages import (
    ClusterProblem,
    DropJob,
    EventsCame,
    EventsWritten,
    FromDriver,
    JobEnded,
    JobFailed,
    JobKind,
    JobLost,
    NodesChanged,
    OfJob,
    SetState,
    StartJob,
)
from transfer_core.work.cluster.nodes import Need, Node, NodeKind
from transfer_core.work.cluster.placement import Placement
from transfer_core.work.cluster.settings import cluster_settings, driver_environment
from transfer_core.work.cluster.stop_watch import StopWatch
from transfer_core.work.execute import Emit, ended_by
from transfer_core.workspace import Workspace

_Key: TypeAlias = tuple[Workspace, str]

_POLL_SECONDS = 0.25
_MOST_MOVES = 5
_MEMORY_STEP = 512 * 2**20

_logger = logging.getLogger(__name__)


class ClusterExecutor:
    """Carries out runs on the nodes of a Ray cluster, as many at once as it holds.

    Args:
        command: Command line of the driver process.

    Raises:
        InvalidConfigError: If Ray is missing, or a setting of the environment is wrong.
    """

    def __init__(self, command: Sequence[str] = DRIVER_COMMAND) -> None:
        self._settings = cluster_settings()
        self._placement = Placement()
        self._lock = threading.Lock()
        self._needs: dict[_Key, Need] = {}
        self._on_room: list[Callable[[], None]] = []
        # Runs that have lost their node, in the order in which they did: these go before all that wait.
        self._moving: dict[_Key, _Move] = {}
        self._inboxes: dict[str, queue.SimpleQueue[OfJob]] = {}
        self._job_numbers = itertools.count(1)
        self._problem = ""
        self._has_room_changed = threading.Event()
        self._is_closed = False
        self._announcing: threading.Thread | None = None
        self._connection = Connection(self._take, self._lose_all, driver_environment(self._settings), command)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes that are alive, refused ones too."""
        return self._placement.nodes

    @property
    def problem(self) -> str:
        """Why no training can begin now, as a sentence for a person; empty where the cluster answers."""
        return self._problem

    @property
    def process_id(self) -> int | None:
        """Of the driver process, if there is one now."""
        return self._connection.process_id

    def connect(self) -> None:
        """Begin to connect to the cluster, unless that was done before. Returns at once."""
        with self._lock:
            if self._announcing is None:
                self._announcing = threading.Thread(target=self._announce, name="room", daemon=True)
                self._announcing.start()
        self._connection.start()

    def prepare(self, workspace: Workspace, run: TrainingRun) -> None:
        """Estimate what a run needs, before it is queued. May take a second."""
        self.connect()
        need = self._need_of(workspace, run)
        with self._lock:
            self._needs[workspace, run.id] = need

    def _need_of(self, workspace: Workspace, run: TrainingRun) -> Need:
        memory = 0
        # Whatever is wrong with a run is said when it begins.
        with suppress(TransferStudioError):
            dataset = ImageDataset.load(workspace, run.dataset_id)
            plan = FreezePlan.of(run.config, get_backbone(run.config.backbone, workspace))
            memory = estimate_memory(plan, run.config, dataset)
        return self.need_of_job(memory)

    def reserve(self, workspace: Workspace, run: TrainingRun) -> bool:
        """Reserve room for a prepared run; return False where there is none now. Returns at once.

        Raises:
            InsufficientResourcesError: If there are nodes, and none of them could ever hold it.
        """
        key = workspace, run.id
        need = self._needs[key]
        self._check_size(need)
        return self._placement.reserve(key, need, (workspace, run.dataset_id)) is not None

    def release(self, workspace: Workspace, run: TrainingRun) -> None:
        """Give back the room of a run that was never carried out."""
        self._give_back((workspace, run.id))

    def on_room(self, callback: Callable[[], None]) -> None:
        """Call something, from any thread, whenever there may be more room than before."""
        self._on_room.append(callback)

    def close(self) -> None:
        """End the driver process, and with it all that runs."""
        self._is_closed = True
        self._has_room_changed.set()
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
        watch = StopWatch(should_stop)
        try:
            emit(self._carry_out(key, run, emit, watch))
        except TransferStudioError as error:
            emit(ended_by(error, has_checkpoint=run.has_checkpoint))
            return
        except Exception as error:
            _logger.exception("Run %s failed", run.id)
            emit(ended_by(error, has_checkpoint=run.has_checkpoint))
            return
        finally:
            watch.close()
            self._give_back(key)
        if run.outcome != "interrupted":
            delete_checkpoints(run.folder)

    def need_of_job(self, memory: int) -> Need:
        """Return what a job takes of a node.

        Args:
            memory: Its peak, in bytes.
        """
        # Estimates are rounded up, so that a worker is of use to the next job of about the same size.
        return Need(float(self._settings.num_cpus_of_a_run), -(-memory // _MEMORY_STEP) * _MEMORY_STEP)

    def reserve_job(self, job: SmallJob) -> bool:
        """Reserve room for a job; return False where there is none now. Returns at once.

        A job that no node of its kind could ever hold may begin: `carry_out_job` has no result then.
        """
        node = self._placement.reserve(job.key, job.need, job.photos, kind=job.node_kind)
        return node is not None or self._is_too_large(job.need, job.node_kind)

    def release_job(self, job: SmallJob) -> None:
        """Give back the room of a job, if it has any."""
        self._give_back(job.key)

    def carry_out_job(
        self, job: SmallJob, on_line: Callable[[str], object], should_stop: ShouldStop
    ) -> dict[str, Any]:
        """Carry out a job that is no run, on one node after the other where these are lost.

        Args:
            job: The job. Its room is given back at the end.
            on_line: Called with what it sends of its progress, as JSON.
            should_stop: Called several times a second.

        Returns:
            Its result; empty where it was stopped, or no node of its kind is left.

        Raises:
            TrainingError: If it failed, with the reason.
        """
        watch = StopWatch(should_stop)
        lost_nodes: set[str] = set()
        try:
            for _attempt in range(_MOST_MOVES + 1):
                move = _Move(job.need, job.photos, frozenset(lost_nodes), job.node_kind)
                if not self._wait_for_room(job.key, move, watch):
                    return {}
                node, _need = self._placement.reserved(job.key) or (None, None)
                if node is None and self._is_too_large(job.need, job.node_kind):
                    return {}
                ended = self._follow(
                    job.key,
                    job.kind,
                    job.arguments,
                    lambda lines: [on_line(line) for line in lines],
                    watch,
                )
                match ended:
                    case JobEnded():
                        return ended.result or {}
                    case JobFailed():
                        raise TrainingError(ended.sentence)
                if node and isinstance(ended, JobLost) and ended.reason == "node":
                    lost_nodes.add(node.id)
            return {}
        finally:
            watch.close()
            self.release_job(job)

    def _carry_out(self, key: _Key, run: TrainingRun, emit: Emit, watch: StopWatch) -> RunEnded:
        need, lost_nodes, num_moves = self._needs[key], set[str](), 0

        def emit_lines(lines: Sequence[str]) -> None:
            for line in lines:
                emit(event_from_dict(json.loads(line)))

        while True:
            if not self._wait_for_room(
                key, _Move(need, (key[0], run.dataset_id), frozenset(lost_nodes)), watch
            ):
                return _stopped_early(run)
            held = self._placement.reserved(key)
            if held is None:  # too large for the nodes that are left, or lost in this very moment
                self._check_size(need)
                continue
            node, taken = held
            emit(_placed(node, taken))
            ended = self._follow(key, "run", {"run_id": run.id}, emit_lines, watch)
            match ended:
                case JobEnded():
                    return _end_of(ended, run)
                case JobFailed():
                    return RunEnded(time.time(), "interrupted", ended.sentence)
                case JobLost():
                    emit(PlaceLost(time.time(), ended.reason))
                    num_moves += ended.reason != "cluster"
                    if ended.reason == "node":
                        lost_nodes.add(node.id)
            if num_moves > _MOST_MOVES:
                return RunEnded(time.time(), "interrupted", _moved_too_often())

    def _follow(
        self,
        key: _Key,
        kind: JobKind,
        arguments: dict[str, Any],
        on_lines: Callable[[Sequence[str]], object],
        watch: StopWatch,
    ) -> OfJob:
        """Let the driver carry out a job on the node that has room for it, and return the last message."""
        workspace, name = key
        job = f"{name}-{next(self._job_numbers)}"
        inbox: queue.SimpleQueue[OfJob] = queue.SimpleQueue()
        with self._lock:
            self._inboxes[job] = inbox
        send = self._connection.send
        state = watch.state()
        try:
            # A driver that died before now has told nobody of this job.
            held = self._placement.reserved(key)
            if held is None:
                return JobLost(job, "cluster")
            node, need = held
            send(StartJob(job, kind, str(workspace.root.resolve()), arguments, node.id, need))
            send(SetState(job, state))
            while True:
                with suppress(queue.Empty):
                    message = inbox.get(timeout=_POLL_SECONDS)
                    if not isinstance(message, EventsCame):
                        return message
                    on_lines(message.lines)
                    send(EventsWritten(job))
                if (new_state := watch.state()) != state:
                    state = new_state
                    send(SetState(job, state))
        except BaseException:
            send(DropJob(job))
            raise
        finally:
            with self._lock:
                self._inboxes.pop(job, None)

    def _wait_for_room(self, key: _Key, move: _Move, watch: StopWatch) -> bool:
        """Wait until the job has a node, or is known to fit on none. Returns False if it was stopped before."""
        with self._lock:
            self._moving[key] = move
        try:
            self._place_moving()
            while watch.state() != "stop" and not move.has_room.wait(_POLL_SECONDS):
                pass
        finally:
            with self._lock:
                self._moving.pop(key, None)
        return watch.state() != "stop"

    def _place_moving(self) -> None:
        with self._lock:
            moving = list(self._moving.items())
        for key, move in moving:
            place = self._placement.reserve(key, move.need, move.photos, move.avoid, move.node_kind)
            if place or self._is_too_large(move.need, move.node_kind):
                move.has_room.set()

    def _room_changed(self) -> None:
        self._place_moving()
        self._has_room_changed.set()

    def _announce(self) -> None:
        """Call those who wait for room in a thread of its own: `release` is called under the lock of the queue."""
        while not self._is_closed:
            self._has_room_changed.wait()
            self._has_room_changed.clear()
            for callback in self._on_room:
                callback()

    def _give_back(self, key: _Key) -> None:
        with self._lock:
            self._needs.pop(key, None)
        self._placement.release(key)
        self._room_changed()

    def _is_too_large(self, need: Need, kind: NodeKind | None = None) -> bool:
        """Whether there are nodes, or a kind is given, and none of them could ever hold a job."""
        are_known = kind is not None or any(not node.problem for node in self.nodes)
        return are_known and not self._placement.could_ever_hold(need, kind)

    def _check_size(self, need: Need) -> None:
        if not self._is_too_large(need):
            return
        largest = max(
            (node for node in self.nodes if not node.problem), key=lambda node: (node.num_cpus, node.memory)
        )
        raise InsufficientResourcesError(
            _(
                "This training needs {cpus} cores and {memory}. The largest computer of the cluster, {name}, has "
                "{most_cpus} and {most_memory}."
            ).format(
                cpus=round(need.num_cpus),
                memory=size_text(need.memory),
                name=largest.name,
                most_cpus=round(largest.num_cpus),
                most_memory=size_text(largest.memory, math.floor),
            )
        )

    def _take(self, message: FromDriver) -> None:
        """Take a message of the driver, in the thread that reads them all."""
        match message:
            case NodesChanged():
                self._problem = ""
                self._placement.update(message.nodes)
                self._room_changed()
            case ClusterProblem():
                self._problem = message.sentence
                if message.sentence:
                    _logger.warning("%s", message.sentence)
            case _:
                with self._lock:
                    inbox = self._inboxes.get(message.job)
                if inbox:
                    inbox.put(message)

    def _lose_all(self) -> None:
        self._placement.update(())
        self._problem = self._problem or _("The connection to the cluster was lost. Trainings wait for it.")
        with self._lock:
            inboxes = list(self._inboxes.items())
        for job, inbox in inboxes:
            inbox.put(JobLost(job, "cluster"))
        # What can be done here as well waits no longer.
        self._room_changed()


@dataclass(frozen=True)
class SmallJob:
    """A job for a node that is no run, such as one candidate of an audition.

    Args:
        workspace: Where its files are.
        name: Unlike that of any other job of the workspace.
        kind: What is to be done.
        arguments: Of this kind of job.
        dataset_id: Of the photos that it reads.
        need: What it takes of a node.
        node_kind: Of the nodes that it may go to.
    """

    workspace: Workspace
    name: str
    kind: JobKind
    arguments: dict[str, Any]
    dataset_id: str
    need: Need
    node_kind: NodeKind

    @property
    def key(self) -> _Key:
        """Under which it has room."""
        return self.workspace, self.name

    @property
    def photos(self) -> _Key:
        """What it reads."""
        return self.workspace, self.dataset_id


class _Move:
    """A run that waits for a node.

    Args:
        need: What it takes.
        photos: What it reads.
        avoid: Ids of nodes that it shall not go to.
        node_kind: Of the nodes that it may go to; any if not given.
    """

    def __init__(
        self, need: Need, photos: _Key, avoid: frozenset[str], node_kind: NodeKind | None = None
    ) -> None:
        self.need, self.photos, self.avoid, self.node_kind = need, photos, avoid, node_kind
        self.has_room = threading.Event()


def _placed(node: Node, need: Need) -> RunPlaced:
    gpu = node.gpu if need.num_gpus else ""
    return RunPlaced(time.time(), node.name, node.address, node.processor, max(int(need.num_cpus), 1), gpu)


def _end_of(ended: JobEnded, run: TrainingRun) -> RunEnded:
    event = event_from_dict(json.loads(ended.line)) if ended.line else _stopped_early(run)
    assert isinstance(event, RunEnded)
    return event


def _stopped_early(run: TrainingRun) -> RunEnded:
    """Return the end of a run that was stopped before it had begun on a node."""
    reported = [event for event in run.events() if isinstance(event, EpochEnded)]
    outcome, message = outcome_of_stop(Progress(), reported, has_checkpoint=run.has_checkpoint)
    return RunEnded(time.time(), outcome, message)


def _moved_too_often() -> str:
    return _("The training lost its computer {count} times. Continue it from the last checkpoint.").format(
        count=_MOST_MOVES + 1
    )
