"""A project of the tiny run, saved once, and ways to change it."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.core.conftest import FinishedRun
from transfer_core.projects.open import OpenedProject, open_project
from transfer_core.projects.plan import plan_project
from transfer_core.projects.save import save_project
from transfer_core.workspace import Workspace


@pytest.fixture(scope="session")
def project_path(finished_run: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project of the finished run, with no other run on its images."""
    path = tmp_path_factory.mktemp("project") / "colours.zip"
    plan = plan_project(finished_run.workspace, finished_run.dataset.id, [finished_run.run.id])
    save_project(finished_run.workspace, plan, path)
    return path


def opened(workspace: Workspace, project: Path | io.BytesIO) -> OpenedProject:
    """Open a project in a workspace."""
    if isinstance(project, io.BytesIO):
        return open_project(workspace, project)
    with project.open("rb") as content:
        return open_project(workspace, content)


def members_of(path: Path) -> dict[str, bytes]:
    """Every file of a project by its name."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def listed(members: dict[str, bytes], **facts: Any) -> dict[str, bytes]:
    """The same files with a manifest that lists them with their true sizes and checksums, as a forger would."""
    manifest = json.loads(members["project.json"]) | facts
    manifest["files"] = [
        {"name": name, "num_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in members.items()
        if name != "project.json"
    ]
    return {**members, "project.json": json.dumps(manifest).encode()}


def zipped(members: dict[str, bytes]) -> io.BytesIO:
    """A zip of these files: texts packed, everything else as it is."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content, None if ".json" in name else zipfile.ZIP_STORED)
    buffer.seek(0)
    return buffer
