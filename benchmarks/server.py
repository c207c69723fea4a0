"""Run the real app on a free port, for benchmarks that drive it in a browser."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from transfer_core.workspace import WORKSPACE_VARIABLE, Workspace

_ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def app_server(workspace: Workspace, variables: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run the app with a workspace, and with other environment variables, until the block ends and yield its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={port}"]
    process = subprocess.Popen(
        [*command, "--server.headless=true"],
        cwd=_ROOT,
        env={**os.environ, **(variables or {}), WORKSPACE_VARIABLE: str(workspace.root)},
        stdout=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        while process.poll() is None:
            with suppress(OSError), urllib.request.urlopen(f"{url}/_stcore/health", timeout=5):
                break
            time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=60)
