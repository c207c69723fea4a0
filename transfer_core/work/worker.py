"""The worker process of `ProcessExecutor`: `python -m transfer_core.work.worker`.

Requests and answers come in on standard input, one JSON object a line; what it tells and asks goes out on standard
output in the same way.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from transfer_core.backbones.runtime import load_keras
from transfer_core.data.parallel import num_usable_cores
from transfer_core.errors import TransferStudioError, WorkspaceError
from transfer_core.events import TrainingEvent, event_to_dict
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.execute import ended_by, execute_run_safely
from transfer_core.workspace import Workspace

_SECONDS_BETWEEN_QUESTIONS = 0.1


class Channel:
    """The line to the process that started this one; when that is gone, this one ends at once.

    Args:
        incoming: Where answers are read.
        outgoing: Where events and questions are written.
    """

    def __init__(self, incoming: TextIO, outgoing: TextIO) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._is_to_stop = False
        self._asked_at = 0.0

    def emit(self, event: TrainingEvent) -> None:
        """Tell an event; back when it is written down.

        Raises:
            WorkspaceError: If writing failed.
        """
        self._ask({"event": event_to_dict(event)})

    def should_stop(self) -> bool:
        """Ask whether to stop, a few times a second at most; a paused run gets its answer late.

        Raises:
            WorkspaceError: If the pause could not be written down.
        """
        if not self._is_to_stop and time.monotonic() - self._asked_at >= _SECONDS_BETWEEN_QUESTIONS:
            self._is_to_stop = self._ask({"ask": "stop"})["stop"]
            self._asked_at = time.monotonic()
        return self._is_to_stop

    def next_request(self) -> dict[str, Any] | None:
        """Wait for the next run to carry out; None when there will be no more."""
        line = self._incoming.readline()
        self._is_to_stop = False
        return json.loads(line) if line else None

    def tell(self, message: dict[str, Any]) -> None:
        """Write one line."""
        try:
            self._outgoing.write(json.dumps(message) + "\n")
            self._outgoing.flush()
        except OSError:
            os._exit(1)

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        self.tell(message)
        line = self._incoming.readline()
        if not line:
            os._exit(1)
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkspaceError(answer["error"])
        return answer


def num_threads_beside_an_app() -> int:
    """Cores for a training that leaves one free for the pages."""
    return max(num_usable_cores() - 1, 1)


def main() -> None:
    """Carry out one run after the other until standard input ends."""
    # The keyboard's interrupt goes to the app, which closes the line when it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Whatever a library prints must not get between the lines.
    outgoing = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    channel = Channel(sys.stdin, outgoing)
    load_keras(num_threads_beside_an_app())
    while request := channel.next_request():
        _carry_out(request, channel)
        channel.tell({"done": True})


def _carry_out(request: dict[str, Any], channel: Channel) -> None:
    workspace = Workspace(Path(request["workspace"]))
    try:
        run = TrainingRun.load(workspace, request["run_id"])
    except TransferStudioError as error:
        channel.emit(ended_by(error))
        return
    execute_run_safely(workspace, run, channel.emit, channel.should_stop)


if __name__ == "__main__":
    main()
