"""The real app in class mode, in a process that can be killed, started again and measured."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import psutil

from transfer_core.classroom.facts import CLASS_VARIABLE
from transfer_core.work.executor import EXECUTOR_VARIABLE
from transfer_core.workspace import WORKSPACE_VARIABLE, Workspace

_ROOT = Path(__file__).resolve().parents[2]
_START_SECONDS = 90.0
_END_SECONDS = 15.0
_IDLE_SHARE = 0.1


class ClassServer:
    """A server for a class, with trainings in worker processes.

    Use it in a `with` block, which ends every process that it started.

    Args:
        workspace: Of the server.
        log: File that gets what the server writes.
        session_seconds: How long the server keeps the session of a tab that was closed.
    """

    def __init__(self, workspace: Workspace, log: Path, session_seconds: int) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.workspace = workspace
        self._log = log
        self._session_seconds = session_seconds
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ClassServer:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start the app and wait until it answers.

        Raises:
            RuntimeError: If it does not within a minute and a half.
        """
        command = [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={self.port}"]
        options = ["--server.headless=true", f"--server.disconnectedSessionTTL={self._session_seconds}"]
        variables = {
            WORKSPACE_VARIABLE: str(self.workspace.root),
            CLASS_VARIABLE: "1",
            EXECUTOR_VARIABLE: "process",
        }
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *options],
                cwd=_ROOT,
                env={**os.environ, **variables},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            with suppress(OSError), urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=5):
                return
            time.sleep(0.1)
        self.kill()
        raise RuntimeError(f"The server did not start. It wrote:\n{self._log.read_text('utf-8')[-2000:]}")

    def kill(self) -> None:
        """End the server in the middle of whatever it does, and its workers."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            # The whole group: workers were started in it.
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(_END_SECONDS)

    def memory(self) -> int:
        """Return the resident memory of the server in bytes, without its workers."""
        assert self._process is not None
        return int(psutil.Process(self._process.pid).memory_info().rss)

    def processor_seconds(self) -> float:
        """Return the processor time of the server so far, without its workers."""
        assert self._process is not None
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)

    def is_busy(self) -> bool:
        """Return whether the server computes now, measured for a second."""
        before = self.processor_seconds()
        time.sleep(1)
        return self.processor_seconds() - before > _IDLE_SHARE

    def problems(self) -> list[str]:
        """Return the last lines of the tracebacks that the server wrote."""
        lines = self._log.read_text("utf-8", errors="replace").splitlines()
        return [line for line in lines if line.startswith("Traceback") or "Error" in line[:60]]
