"""A server that cannot start says why in a sentence and ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pages.ui.server.service import hold_workspace_of_class
from transfer_core.locks import hold
from transfer_core.work.executor import EXECUTOR_VARIABLE
from transfer_core.workspace import WORKSPACE_VARIABLE, Workspace

ROOT = Path(__file__).resolve().parents[2]


def test_second_server_of_a_class_says_so_and_ends(page_workspace: Workspace) -> None:
    first = hold(page_workspace.root)
    assert first
    with pytest.raises(SystemExit, match=r"This class is open already\. Close the other window first\."):
        hold_workspace_of_class()
    first.release()
    held = hold_workspace_of_class()
    try:
        assert hold(page_workspace.root) is None
    finally:
        held.release()
        hold_workspace_of_class.cache_clear()


def test_a_server_with_a_wrong_setting_says_so_and_ends(tmp_path: Path) -> None:
    environment = {**os.environ, EXECUTOR_VARIABLE: "cloud", WORKSPACE_VARIABLE: str(tmp_path)}
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        "app.py",
        "--server.headless=true",
        "--server.port=0",
    ]
    finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert finished.returncode == 1, finished
    assert finished.stderr.startswith("TRANSFER_STUDIO_EXECUTOR is cloud. Set it to ")
    assert "Traceback" not in finished.stdout + finished.stderr
