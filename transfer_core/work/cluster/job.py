"""One job on one node, followed from the driver process: send files, begin, poll, put files back."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from transfer_core.errors import TransferStudioError, WorkspaceError
from transfer_core.language import _, stored
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.checkpoint import CHECKPOINTS_DIR
from transfer_core.work.cluster.actor import Batch, digest_of
from transfer_core.work.cluster.actor_pool import ActorPool, PooledActor
from transfer_core.work.cluster.job_kinds import JOB_KINDS
from transfer_core.work.cluster.messages import (
    RUN,
    DropJob,
    JobEnded,
    JobFailed,
    JobLost,
    JobState,
    LinesCame,
    LinesWritten,
    OfJob,
    SetState,
    StartJob,
)
from transfer_core.work.cluster.parcel import Parcel, parcel_of_run, send_parcel
from transfer_core.work.cluster.returned_files import put_back
from transfer_core.workspace import Workspace

_POLL_SECONDS = 0.5
_SECONDS_BETWEEN_STOP_CHECKS = 0.1
# A slow network is no death: Ray itself notices a dead node after some seconds.
_MOST_SECONDS_WITHOUT_ANSWER = 120.0
# Somebody waits then, and can go on from the last checkpoint.
_SECONDS_TO_ANSWER_A_STOP = 10.0
# Clocks of computers that are this close are not corrected.
_LEAST_CLOCK_SECONDS = 1.0
_LONGEST_REASON = 200
_SECONDS_OF_A_CLAIM = 10.0

_logger = logging.getLogger(__name__)


class _StoppedEarlyError(Exception):
    """A stop came before the job began on its node."""


class _DroppedError(Exception):
    """The server wants nothing more of the job."""


class _SilentError(Exception):
    """The node has not answered for too long."""


class RemoteJob:
    """Carries out one attempt of a job.

    Args:
        request: What is to be done, and where.
        pool: Gives actors.
        send: Sends a message to the server.
        is_node_alive: Whether the cluster still counts on a node.
    """

    def __init__(
        self,
        request: StartJob,
        pool: ActorPool,
        send: Callable[[OfJob], None],
        is_node_alive: Callable[[str], bool],
    ) -> None:
        self._request = request
        self._pool = pool
        self._send = send
        self._is_node_alive = is_node_alive
        self._workspace = Workspace(Path(request.workspace))
        self._state: JobState = "go"
        self._is_dropped = False
        self._written = threading.Event()
        self._has_begun = False
        self._worker: Any = None

    @property
    def request(self) -> StartJob:
        """What is to be done."""
        return self._request

    @property
    def worker(self) -> Any:
        """The actor that does it; None before there is one."""
        return self._worker

    @property
    def id(self) -> str:
        """Id of this attempt."""
        return self._request.job

    def take(self, request: SetState | LinesWritten | DropJob) -> None:
        """Take a request of the server."""
        match request:
            case SetState():
                self._state = request.state
            case LinesWritten():
                self._written.set()
            case DropJob():
                self._is_dropped = True
                self._written.set()

    def carry_out(self) -> None:
        """Carry out the job, and send how it ended."""
        from ray.exceptions import RayError

        actor: PooledActor | None = None
        ended: OfJob | None = None
        is_reusable = False
        try:
            actor = self._pool.take(self._request.node, self._request.need)
            ended = self._follow(actor)
            is_reusable = isinstance(ended, JobEnded)
        except _DroppedError:
            pass
        except _StoppedEarlyError:
            ended = JobEnded(self.id)
        except (RayError, _SilentError) as error:
            _logger.warning("Job %s was cut off: %s", self.id, error)
            ended = self._lost_or_failed(error)
        except TransferStudioError as error:
            ended = JobFailed(self.id, stored(str(error)))
        except Exception as error:
            _logger.exception("Job %s failed", self.id)
            reason = f"{type(error).__name__}: {error}"[:_LONGEST_REASON]
            ended = JobFailed(
                self.id, stored(_("The training was cut off ({reason}).").format(reason=reason))
            )
        if actor and is_reusable:
            self._pool.give_back(actor)
        elif actor:
            self._pool.end(actor)
        if ended:
            self._send(ended)

    def _follow(self, actor: PooledActor) -> OfJob:
        worker = self._worker = actor.handle
        self._answer(worker.__ray_ready__.remote())
        with self._sending(actor):
            parcel = send_parcel(
                self._workspace,
                self._described,
                lambda parcel: self._answer(worker.missing.remote(msgspec.json.encode(parcel))),
                lambda chunk: self._answer(worker.add.remote(chunk)),
            )
        arguments = json.dumps(self._request.arguments)
        begun = worker.begin.remote(msgspec.json.encode(parcel), self._request.kind, arguments)
        sent_at = time.time()
        offset = sent_at - self._answer(begun)
        self._has_begun = True
        while True:
            batch = Batch(**self._answer(worker.poll.remote(self._state, _POLL_SECONDS)))
            check_files(batch)
            self._forward(batch, offset)
            if self._request.kind == RUN:
                folder = self._workspace.run_dir(self._request.arguments["run_id"])
                put_back(folder, _kept_until_the_end(batch))
            if batch.is_over:
                return self._end(batch, offset)

    def _described(self) -> Parcel:
        if self._request.kind == RUN:
            run = TrainingRun.load(self._workspace, self._request.arguments["run_id"])
            return parcel_of_run(self._workspace, run)
        return JOB_KINDS[self._request.kind].parcel(self._workspace, self._request.arguments)

    def _end(self, batch: Batch, offset: float) -> OfJob:
        if batch.failure:
            return JobFailed(self.id, batch.failure)
        return JobEnded(self.id, _shifted(batch.end, offset), batch.result)

    @contextmanager
    def _sending(self, actor: PooledActor) -> Iterator[None]:
        """Wait until no other job sends files to the node, and let none do so while the block runs."""
        lock = self._pool.sending(actor)
        while not lock.acquire(timeout=_SECONDS_BETWEEN_STOP_CHECKS):
            self._check_wanted()
        try:
            yield
        finally:
            lock.release()

    def _forward(self, batch: Batch, offset: float) -> None:
        """Let the server write the events, and wait until it has."""
        if batch.lines:
            self._written.clear()
            # A server that has dropped the job before this line never writes.
            self._check_dropped()
            self._send(LinesCame(self.id, tuple(_shifted(line, offset) for line in batch.lines)))
            self._written.wait()
        self._check_dropped()

    def _answer(self, reference: Any) -> Any:
        """Return the answer of an actor to a call. A stop or the server may cut the wait off."""
        import ray

        waited_since = time.monotonic()
        while not ray.wait([reference], timeout=_SECONDS_BETWEEN_STOP_CHECKS)[0] or self._is_held():
            self._check_wanted()
            patience = _SECONDS_TO_ANSWER_A_STOP if self._state == "stop" else _MOST_SECONDS_WITHOUT_ANSWER
            if self._has_begun and time.monotonic() - waited_since > patience:
                raise _SilentError
        return ray.get(reference)

    def _check_dropped(self) -> None:
        if self._is_dropped:
            raise _DroppedError

    def _check_wanted(self) -> None:
        self._check_dropped()
        if self._state == "stop" and not self._has_begun:
            raise _StoppedEarlyError

    def _is_held(self) -> bool:
        """Whether a pause holds the job before it has begun. Later its training waits on the node."""
        is_held = self._state == "pause" and not self._has_begun
        if is_held:
            time.sleep(_SECONDS_BETWEEN_STOP_CHECKS)
        return is_held

    def _lost_or_failed(self, error: Exception) -> OfJob:
        from ray.exceptions import RayTaskError

        if isinstance(error, RayTaskError):
            if isinstance(error.cause, TransferStudioError):
                return JobFailed(self.id, stored(str(error.cause)))
            reason = f"{type(error.cause).__name__}: {error.cause}"[:_LONGEST_REASON]
            return JobFailed(
                self.id, stored(_("The training was cut off on its node ({reason}).").format(reason=reason))
            )
        if isinstance(error, _SilentError) or not self._is_node_alive(self._request.node):
            return JobLost(self.id, "node")
        return JobLost(self.id, "worker")


class FoldJob(RemoteJob):
    """Trains a fold of a run, if the node of the run gives it away, and brings the accuracy there.

    Args:
        request: Its arguments name run and fold.
        run: The job of the run.
        pool: Gives actors.
        send: Sends a message to the server.
        is_node_alive: Whether the cluster still counts on a node.
    """

    def __init__(
        self,
        request: StartJob,
        run: RemoteJob,
        pool: ActorPool,
        send: Callable[[OfJob], None],
        is_node_alive: Callable[[str], bool],
    ) -> None:
        super().__init__(request, pool, self._pass_on, is_node_alive)
        self._run = run
        self._send_to_server = send
        self._accuracy: float | None = None

    def carry_out(self) -> None:
        """Claim the fold, train it, and give it back where that fails."""
        import ray
        from ray.exceptions import RayError

        number = self._request.arguments["number"]
        of_run = self._run.worker
        try:
            claimed = ray.get(of_run.claim_fold.remote(number), timeout=_SECONDS_OF_A_CLAIM)
        except RayError:
            claimed = None
            # The claim may still arrive, and nobody would train the fold.
            of_run.end_fold.remote(number, None)
        if claimed is None:
            self._send_to_server(JobEnded(self.id, result={}))
            return
        arguments = {**self._request.arguments, **claimed}
        self._request = msgspec.structs.replace(self._request, arguments=arguments)
        try:
            super().carry_out()
        finally:
            of_run.end_fold.remote(number, self._accuracy)

    def _pass_on(self, message: OfJob) -> None:
        if isinstance(message, JobEnded) and message.result:
            self._accuracy = message.result["accuracy"]
        self._send_to_server(message)


def check_files(batch: Batch) -> None:
    """Raise unless the files of a batch are as the node sent them.

    Raises:
        WorkspaceError: If a network has damaged them. What came before is kept.
    """
    if digest_of(batch.files) != batch.digest:
        raise WorkspaceError(
            _("The files of this training came back damaged. Continue from the last checkpoint.")
        )


def _kept_until_the_end(batch: Batch) -> dict[str, bytes | None]:
    """Return the files of a batch without the deletion of checkpoints at the end, before that is in the log here."""
    return {
        name: content
        for name, content in batch.files.items()
        if content is not None or not batch.end or not name.startswith(f"{CHECKPOINTS_DIR}/")
    }


def _shifted(line: str, offset: float) -> str:
    """Return an event with the time of this computer instead of the node's; a report without a time as it was."""
    if abs(offset) < _LEAST_CLOCK_SECONDS or '"time"' not in line:
        return line
    values = json.loads(line)
    return json.dumps({**values, "time": values["time"] + offset})
