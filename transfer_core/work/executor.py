"""Executors: carry out a run in this process, or in a worker process whose crash does no harm to the app."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

from transfer_core.backbones.runtime import is_keras_loaded
from transfer_core.errors import InvalidConfigError, WorkspaceError
from transfer_core.events import RunEnded, TrainingEvent, event_from_dict
from transfer_core.language import _, stored
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.precision import reason_against_mixed_precision
from transfer_core.types import ShouldStop
from transfer_core.work.cluster.nodes import Node
from transfer_core.work.execute import Emit, execute_run_safely
from transfer_core.workspace import Workspace

Execute = Callable[[Workspace, TrainingRun, Emit, ShouldStop], None]
ExecutorName = Literal["thread", "process", "ray"]

EXECUTOR_VARIABLE = "TRANSFER_STUDIO_EXECUTOR"
WORKER_COMMAND = (sys.executable, "-m", "transfer_core.work.worker")
_ROOT = Path(__file__).resolve().parents[2]
# A training of a whole network leaks about 10 MB, whatever is cleared.
_RUNS_IN_ONE_PROCESS = 5
_EXIT_SECONDS = 10
_MAX_REASON_LENGTH = 200

_logger = logging.getLogger(__name__)


@runtime_checkable
class RemoteExecutor(Protocol):
    """Carries out several runs at once on other computers, as many as these hold."""

    @property
    def nodes(self) -> Sequence[Node]:
        """The computers that are alive, refused ones too."""

    @property
    def problem(self) -> str:
        """Why no training can begin now, as a sentence for a person; empty where the cluster answers."""

    @property
    def is_on_this_computer(self) -> bool:
        """Whether the cluster is this computer alone."""

    def connect(self) -> None:
        """Begin to connect to the cluster, unless that was done before. Returns at once."""

    def __call__(self, workspace: Workspace, run: TrainingRun, emit: Emit, should_stop: ShouldStop) -> None:
        """Carry out one run, which `reserve` has found room for, and give the room back."""

    def prepare(self, workspace: Workspace, run: TrainingRun) -> None:
        """Estimate what a run needs, before it is queued. May take a second."""

    def reserve(self, workspace: Workspace, run: TrainingRun) -> bool:
        """Reserve room for a prepared run; return False where there is none now.

        Called under the queue's lock: it returns at once and calls nothing back. An error ends the run.
        """

    def release(self, workspace: Workspace, run: TrainingRun) -> None:
        """Forget a prepared run that was never carried out, and give back its room if it has some.

        Called under the queue's lock, as `reserve`.
        """

    def on_room(self, callback: Callable[[], None]) -> None:
        """Call something, from any thread, whenever there may be more room than before."""

    def close(self) -> None:
        """End what was started for it."""


def chosen_executor(default: ExecutorName = "thread") -> Execute:
    """Return the executor that TRANSFER_STUDIO_EXECUTOR names: `"thread"`, `"process"` or `"ray"`.

    Args:
        default: The name where the variable is not set.

    Raises:
        InvalidConfigError: If it names another one.
    """
    name = os.environ.get(EXECUTOR_VARIABLE) or default
    if name == "thread":
        return execute_run_safely
    if name == "process":
        return ProcessExecutor()
    if name == "ray":
        from transfer_core.work.cluster.cluster_executor import ClusterExecutor

        return ClusterExecutor()
    raise InvalidConfigError(
        _("{variable} is {name}. Set it to thread, process or ray, or leave it out.").format(
            variable=EXECUTOR_VARIABLE, name=name
        )
    )


def offers_mixed_precision() -> bool:
    """Return whether a training may get a GPU with mixed precision: on a cluster, or in this process.

    Quick: TensorFlow is not loaded for it, so before that only a cluster counts.
    """
    if os.environ.get(EXECUTOR_VARIABLE) == "ray":
        return True
    return is_keras_loaded() and not reason_against_mixed_precision()


class ProcessExecutor:
    """Carries out runs in one worker process, which is replaced every few runs.

    The worker sends each event and waits until it is on disk. A few times a second it requests whether to stop; the
    reply to a paused run comes when the pause ends. When this process dies the worker ends at its next message.

    Args:
        command: Command line of a worker.
        runs_in_one_process: Number of runs after which the worker is replaced.
    """

    def __init__(
        self, command: Sequence[str] = WORKER_COMMAND, runs_in_one_process: int = _RUNS_IN_ONE_PROCESS
    ) -> None:
        self._command = command
        self._runs_in_one_process = runs_in_one_process
        self._num_runs = 0
        self._process: subprocess.Popen[str] | None = None
        self._next: subprocess.Popen[str] | None = None
        self._starting = threading.Lock()
        self._is_warm = False

    def __call__(self, workspace: Workspace, run: TrainingRun, emit: Emit, should_stop: ShouldStop) -> None:
        """Carry out one run.

        Args:
            workspace: Where its dataset and the cache are.
            run: The run.
            emit: Called with each event.
            should_stop: Called several times a second.

        Raises:
            WorkspaceError: If `emit` fails for the event that the worker died.
        """
        has_ended = False

        def emit_and_watch(event: TrainingEvent) -> None:
            nonlocal has_ended
            emit(event)
            has_ended = isinstance(event, RunEnded)

        problem = ""
        try:
            if not self._carry_out(workspace, run, emit_and_watch, should_stop):
                problem = _died_message(self._end())
        except Exception as error:
            # A reply may be on its way that the next run would take for its own.
            _logger.exception("The worker of run %s was ended", run.id)
            self._kill()
            problem = _broken_message(error)
        if problem and not has_ended:
            emit(RunEnded(time.time(), "interrupted", stored(problem)))
        if self._process and self._num_runs >= self._runs_in_one_process:
            self._end()
        if self._is_warm:
            with suppress(OSError):
                self._ready_process()

    def warm_up(self) -> None:
        """Start a worker, and from now on the next one during the last run of one: no run waits for TensorFlow.

        Where no process can be started, the next run reports it.
        """
        self._is_warm = True
        with suppress(OSError):
            self._ready_process()

    @property
    def process_id(self) -> int | None:
        """Of the worker, if there is one now."""
        return self._process.pid if self._process else None

    def close(self) -> None:
        """End the worker, if there is one."""
        self._is_warm = False
        if self._process:
            self._end()
        self._process, self._next = self._next, None
        if self._process:
            self._end()

    def _carry_out(self, workspace: Workspace, run: TrainingRun, emit: Emit, should_stop: ShouldStop) -> bool:
        """Let the worker carry out a run. Returns False if it died before the end."""
        process = self._ready_process()
        self._num_runs += 1
        if self._is_warm and self._num_runs >= self._runs_in_one_process:
            with suppress(OSError):
                self._next = self._next or self._new_process()
        try:
            _send(process, {"workspace": str(workspace.root.resolve()), "run_id": run.id})
            return _converse(process, emit, should_stop)
        except OSError:
            return False

    def _ready_process(self) -> subprocess.Popen[str]:
        with self._starting:
            while self._process is None or self._process.poll() is not None:
                if self._process:
                    self._end()
                self._num_runs = 0
                self._process, self._next = self._next or self._new_process(), None
            return self._process

    def _new_process(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        )

    def _kill(self) -> None:
        """Kill the worker in the middle of its work, if there is one."""
        if self._process:
            self._process.kill()
            self._end()

    def _end(self) -> int:
        """End the worker and return its exit code; kill it if it does not exit within ten seconds."""
        process, self._process = self._process, None
        assert process is not None and process.stdin is not None and process.stdout is not None
        with suppress(OSError):  # the pipe of a worker that died is broken
            process.stdin.close()
        try:
            code = process.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        process.stdout.close()
        return code


def _converse(process: subprocess.Popen[str], emit: Emit, should_stop: ShouldStop) -> bool:
    """Reply to the worker until it is done. Returns False if it died before that."""
    assert process.stdout is not None
    for line in process.stdout:
        message = json.loads(line)
        if "done" in message:
            return True
        _send(process, _reply(message, emit, should_stop))
    return False


def _reply(message: dict[str, Any], emit: Emit, should_stop: ShouldStop) -> dict[str, Any]:
    try:
        if "event" in message:
            event: TrainingEvent = event_from_dict(message["event"])
            emit(event)
            return {}
        if message["request"] != "stop":
            raise ValueError(message["request"])
        return {"stop": should_stop()}
    except WorkspaceError as error:
        return {"error": msgspec.to_builtins(stored(str(error)))}


def _send(process: subprocess.Popen[str], message: dict[str, Any]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(message) + "\n")
    process.stdin.flush()


def _broken_message(error: Exception) -> str:
    return _(
        "The training process failed and was ended ({reason}). Continue from the last checkpoint."
    ).format(reason=f"{type(error).__name__}: {error}"[:_MAX_REASON_LENGTH])


def _died_message(code: int) -> str:
    return _(
        "The training process ended unexpectedly (code {code}). Most often the computer ran out of "
        "memory. Close other programs, then continue from the last checkpoint. If it happens again, "
        "use a smaller batch size or fewer unfrozen blocks."
    ).format(code=code)
