"""The worker process of `ProcessExecutor`: `python -m transfer_core.work.worker`.

Runs and replies come in on standard input, one JSON object a line; events and requests go out on standard output in
the same way.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import msgspec

from transfer_core.backbones.runtime import load_keras
from transfer_core.data.parallel import num_usable_cores
from transfer_core.errors import TransferStudioError, WorkspaceError
from transfer_core.events import TrainingEvent, event_to_dict
from transfer_core.language import log_in_english, said
from transfer_core.recipes import StoredText
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.execute import ended_by, execute_run_safely
from transfer_core.workspace import Workspace

_POLL_SECONDS = 0.1
# A third of the weight of the app: pages go first, and the training never stands still.
_NICENESS = 5
# Of 1000, at which it would be killed even with memory left for it.
_OOM_SCORE = 500


class Channel:
    """Connection to the parent process. When the parent has died, this process exits at once.

    Args:
        incoming: Runs and replies of the parent.
        outgoing: Events and requests of this process.
    """

    def __init__(self, incoming: TextIO, outgoing: TextIO) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._is_to_stop = False
        self._requested_at = 0.0

    def emit(self, event: TrainingEvent) -> None:
        """Send an event, and return when it is on disk.

        Raises:
            WorkspaceError: If writing failed.
        """
        self._request({"event": event_to_dict(event)})

    def should_stop(self) -> bool:
        """Return whether to stop. Requests it a few times a second at most; blocks while the run is paused.

        Raises:
            WorkspaceError: If the pause cannot be written to the log.
        """
        if not self._is_to_stop and time.monotonic() - self._requested_at >= _POLL_SECONDS:
            self._is_to_stop = self._request({"request": "stop"})["stop"]
            self._requested_at = time.monotonic()
        return self._is_to_stop

    def next_request(self) -> dict[str, Any] | None:
        """Wait for the next run. Returns None when there will be no more."""
        line = self._incoming.readline()
        self._is_to_stop = False
        return json.loads(line) if line else None

    def send(self, message: dict[str, Any]) -> None:
        """Write one line."""
        try:
            self._outgoing.write(json.dumps(message) + "\n")
            self._outgoing.flush()
        except OSError:
            os._exit(1)

    def _request(self, message: dict[str, Any]) -> dict[str, Any]:
        self.send(message)
        line = self._incoming.readline()
        if not line:
            os._exit(1)
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise WorkspaceError(said(msgspec.convert(reply["error"], StoredText)))
        return reply


def num_threads_beside_an_app() -> int:
    """Return the number of cores for a training that leaves one free for the pages."""
    return max(num_usable_cores() - 1, 1)


def main() -> None:
    """Carry out one run after the other until standard input ends."""
    log_in_english()
    # A stop goes to the app, which closes the connection when it ends.
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.SIG_IGN)
    leave_room_for_app()
    # Output of libraries must not get between the JSON lines.
    outgoing = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    channel = Channel(sys.stdin, outgoing)
    load_keras(num_threads_beside_an_app())
    while request := channel.next_request():
        _carry_out(request, channel)
        channel.send({"done": True})


def leave_room_for_app() -> None:
    """Lower the priority of this process, and make it the first to be killed when the memory runs out."""
    if sys.platform == "win32":
        import psutil

        psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
    else:
        os.nice(_NICENESS)
    with suppress(OSError):  # of Linux alone
        Path("/proc/self/oom_score_adj").write_text(str(_OOM_SCORE))


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
