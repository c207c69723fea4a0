"""The server's end of the driver process: started again when it dies, with growing pauses."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from transfer_core.work.cluster.messages import FromDriver, NodesChanged, ToDriver, decode_from_driver, encode

DRIVER_COMMAND = (sys.executable, "-m", "transfer_core.work.cluster.driver")
_ROOT = Path(__file__).resolve().parents[3]
_EXIT_SECONDS = 10
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 10.0

_logger = logging.getLogger(__name__)


class Connection:
    """Keeps a driver process running from `start` to `close`.

    Args:
        on_message: Called with each message, in the order in which they come.
        on_death: Called when the process has died and nothing more of it comes.
        environment: Of the process.
        command: Its command line.
    """

    def __init__(
        self,
        on_message: Callable[[FromDriver], None],
        on_death: Callable[[], None],
        environment: Mapping[str, str],
        command: Sequence[str] = DRIVER_COMMAND,
    ) -> None:
        self._on_message = on_message
        self._on_death = on_death
        self._environment = dict(environment)
        self._command = command
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    @property
    def process_id(self) -> int | None:
        """Of the driver process, if there is one now."""
        process = self._process
        return process.pid if process else None

    def start(self) -> None:
        """Start the process, unless that was done before. Returns at once."""
        with self._lock:
            if self._thread is None and not self._closed.is_set():
                self._thread = threading.Thread(target=self._keep_running, name="cluster", daemon=True)
                self._thread.start()

    def send(self, message: ToDriver) -> None:
        """Send a message. To a process that has died, nothing is sent: `on_death` follows."""
        line = encode(message) + b"\n"
        with self._lock, suppress(OSError, ValueError):
            if self._process and self._process.stdin:
                self._process.stdin.write(line)
                self._process.stdin.flush()

    def close(self) -> None:
        """End the process, and wait until it has ended."""
        self._closed.set()
        with self._lock:
            process, thread = self._process, self._thread
            if process and process.stdin:
                with suppress(OSError):
                    process.stdin.close()
        if process:
            try:
                process.wait(_EXIT_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
        if thread:
            thread.join(_EXIT_SECONDS)

    def _keep_running(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not self._closed.is_set():
            was_useful = False
            with suppress(OSError):
                was_useful = self._follow(self._new_process())
            self._on_death()
            pause = _FIRST_PAUSE_SECONDS if was_useful else min(2 * pause, _LONGEST_PAUSE_SECONDS)
            self._closed.wait(pause)

    def _new_process(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            self._command,
            cwd=_ROOT,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        with self._lock:
            self._process = process
            if self._closed.is_set() and process.stdin:
                process.stdin.close()
        return process

    def _follow(self, process: subprocess.Popen[bytes]) -> bool:
        """Pass on all messages of a process until it ends. Returns whether it ever reached the cluster."""
        assert process.stdout is not None and process.stderr is not None and process.stdin is not None
        logging_errors = threading.Thread(target=_log_lines, args=(process,), daemon=True)
        logging_errors.start()
        has_nodes = False
        try:
            for line in process.stdout:
                message = decode_from_driver(line)
                has_nodes = has_nodes or isinstance(message, NodesChanged)
                self._on_message(message)
        except Exception:
            _logger.exception("The driver of the cluster was ended: it sent what is no message")
            process.kill()
        code = process.wait()
        logging_errors.join()
        _logger.info("The driver of the cluster ended with code %s", code)
        with self._lock:
            self._process = None
            for pipe in (process.stdin, process.stdout, process.stderr):
                with suppress(OSError):
                    pipe.close()
        return has_nodes


def _log_lines(process: subprocess.Popen[bytes]) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        _logger.info("%s", line.decode(errors="replace").rstrip())
