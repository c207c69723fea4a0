"""A worker of a node: carries out one job after the other for a driver, which polls it.

Ray makes an actor of `NodeWorker`; each call comes in a thread of its own.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import platform
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import msgspec

from transfer_core.backbones.runtime import load_keras
from transfer_core.events import RunEnded, TrainingEvent, event_to_dict
from transfer_core.language import _, said, stored
from transfer_core.recipes import StoredText
from transfer_core.runs.event_log import EventLog
from transfer_core.runs.run_folder import EVENTS_FILE
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.checkpoint import CHECKPOINTS_DIR
from transfer_core.training.features.feature_cache import FeaturesStoppedError
from transfer_core.training.machine import free_disk
from transfer_core.training.resources import has_room, size_text
from transfer_core.work.cluster.job_kinds import JOB_KINDS
from transfer_core.work.cluster.messages import RUN, JobState
from transfer_core.work.cluster.node_cache import NodeCache, node_bytes, node_folder
from transfer_core.work.cluster.parcel import Parcel
from transfer_core.work.cluster.returned_files import ReturnedFiles
from transfer_core.work.cluster.shared_folds import ClaimedFold, SharedFolds
from transfer_core.work.execute import ended_by, execute_run_safely
from transfer_core.work.worker import leave_room_for_app
from transfer_core.workspace import Workspace

_logger = logging.getLogger(__name__)


class Batch(msgspec.Struct, frozen=True):
    """What a job has done since the last poll.

    Args:
        lines: The events of a run, but for `RunEnded`, or reports of other work. They are at least as new as the files.
        files: Of a run, as `put_back` takes them.
        digest: Of these files, see `digest_of`.
        is_over: Whether nothing more will come.
        end: The `RunEnded`, once it has come.
        result: Of other work that has ended; None if it was stopped.
        failure: Why it could not be done, as a sentence for a person.
    """

    lines: tuple[str, ...]
    files: dict[str, bytes | None]
    digest: str
    is_over: bool
    end: str
    result: dict[str, Any] | None
    failure: StoredText


def digest_of(files: Mapping[str, bytes | None]) -> str:
    """Return the SHA-256 of files with their names: a network may damage what passes it without a word."""
    found = hashlib.sha256()
    for name, content in files.items():
        found.update(f"{name}\0{-1 if content is None else len(content)}\0".encode())
        found.update(content or b"")
    return found.hexdigest()


class NodeWorker:
    """Carries out jobs on this node, one at a time.

    Args:
        num_threads: Threads of TensorFlow.
        num_gpus: GPUs that were reserved for it. Without any, Ray would let it see all of the node.
        is_beside_app: Whether the app runs on this computer too, and goes first.
    """

    def __init__(self, num_threads: int, num_gpus: int, is_beside_app: bool) -> None:
        if is_beside_app:
            leave_room_for_app()
        self._cache = NodeCache(node_folder(), node_bytes())
        self._job: _Job | None = None
        self._training: threading.Thread | None = None
        # Photos come in meanwhile.
        threading.Thread(target=load_keras, args=(num_threads, num_gpus), daemon=True).start()

    def missing(self, parcel: bytes) -> list[str]:
        """Return the digests of the files that have to be sent for the next job."""
        if self._training:
            # It may still delete the workspace of the last job.
            self._training.join()
        return sorted(self._cache.missing(msgspec.json.decode(parcel, type=Parcel)))

    def add(self, contents: dict[str, bytes]) -> None:
        """Take some of these files, or pieces of them."""
        for key, content in contents.items():
            self._cache.add(key, content)

    def begin(self, parcel: bytes, kind: str, arguments: str) -> float:
        """Begin a job whose files are all here, and return the time on this node, in seconds since 1970."""
        job = _Job(self._cache, msgspec.json.decode(parcel, type=Parcel), kind, json.loads(arguments))
        self._job = job
        self._training = threading.Thread(target=job.carry_out, daemon=True)
        self._training.start()
        return time.time()

    def claim_fold(self, number: int) -> ClaimedFold | None:
        """Give a fold of the run to another node; None where there is none to give."""
        return self._job.folds.claim(number) if self._job else None

    def end_fold(self, number: int, accuracy: float | None) -> None:
        """Take the accuracy that another node has reached on a fold; None gives the fold back."""
        if self._job:
            self._job.folds.end(number, accuracy)

    def poll(self, state: JobState, seconds: float) -> dict[str, Any]:
        """Let the job go on, pause or stop, and return the `Batch` since the last call, as plain values.

        Args:
            state: Of the job from now on.
            seconds: How long to wait for the end.
        """
        assert self._job is not None
        self._job.set_state(state)
        return msgspec.structs.asdict(self._job.batch(seconds))


class _Job:
    def __init__(self, cache: NodeCache, parcel: Parcel, kind: str, arguments: dict[str, Any]) -> None:
        self._cache, self._parcel, self._kind, self._arguments = cache, parcel, kind, arguments
        self.folds = SharedFolds()
        self._lock = threading.Lock()
        self._lines: list[str] = []
        self._end = ""
        self._failure: StoredText = ""
        self._result: dict[str, Any] | None = None
        self._may_go_on = threading.Event()
        self._may_go_on.set()
        self._is_to_stop = False
        self._over = threading.Event()
        self._fetched = threading.Event()
        self._changed: Callable[[], dict[str, bytes | None]] = dict

    def set_state(self, state: JobState) -> None:
        self._is_to_stop = state == "stop"
        if state == "pause":
            self._may_go_on.clear()
        else:
            self._may_go_on.set()

    def batch(self, seconds: float) -> Batch:
        is_over = self._over.wait(seconds)
        # Files first: a checkpoint must not be ahead of the log.
        files = self._changed()
        with self._lock:
            lines, self._lines = tuple(self._lines), []
            end = self._end
        is_over = is_over and not files
        if is_over:
            self._fetched.set()
        return Batch(lines, files, digest_of(files), is_over, end, self._result, self._failure)

    def carry_out(self) -> None:
        try:
            with self._cache.workspace(self._parcel) as workspace:
                try:
                    (self._train if self._kind == RUN else self._work)(workspace)
                except Exception as error:
                    _logger.exception("A job failed: %s", self._kind)
                    self._fail(error)
                self._over.set()
                # The folder is there until the last file of it has been fetched: a file that is not there any more
                # would be deleted on the head.
                self._fetched.wait()
        except Exception as error:
            _logger.exception("A job failed: %s", self._kind)
            self._fail(error)
        finally:
            self._over.set()

    def _fail(self, error: Exception) -> None:
        has_checkpoint = any(f"/{CHECKPOINTS_DIR}/" in ref.path for ref in self._parcel.files)
        ended = _with_the_disk(ended_by(error, has_checkpoint=has_checkpoint))
        with self._lock:
            self._end = self._end or _line(ended)
            self._failure = "" if self._kind == RUN else ended.message

    def _train(self, workspace: Workspace) -> None:
        run = TrainingRun.load(workspace, self._arguments["run_id"])
        log = EventLog(run.folder / EVENTS_FILE)
        log.refresh()
        self._changed = ReturnedFiles(run.folder).changed

        def emit(event: TrainingEvent) -> None:
            log.append(event)
            if isinstance(event, RunEnded):
                ended = event if self._is_to_stop else _with_the_disk(event)
                with self._lock:
                    self._end = _line(ended)
            else:
                self._report(_line(event))

        execute_run_safely(workspace, run, emit, self._should_stop, self.folds)

    def _work(self, workspace: Workspace) -> None:
        work = JOB_KINDS[self._kind].work
        with suppress(FeaturesStoppedError):
            self._result = work(
                workspace, self._arguments, lambda report: self._report(json.dumps(report)), self._should_stop
            )

    def _report(self, line: str) -> None:
        with self._lock:
            self._lines.append(line)

    def _should_stop(self) -> bool:
        self._may_go_on.wait()
        return self._is_to_stop


def _line(event: TrainingEvent) -> str:
    return json.dumps(event_to_dict(event))


def _with_the_disk(ended: RunEnded) -> RunEnded:
    """Return the end of a job, with whose disk is full where that may be why: the person thinks of their own."""
    folder = node_folder()
    if ended.outcome != "interrupted" or has_room(folder, 0):
        return ended
    message = _("{reason} On the disk of {node}, {free} are free.").format(
        reason=said(ended.message), node=platform.node(), free=size_text(free_disk(folder), math.floor)
    )
    return msgspec.structs.replace(ended, message=stored(message))
