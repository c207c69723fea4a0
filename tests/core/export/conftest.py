"""Exported bundles of the tiny run, each exported once per session and unpacked."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.core.conftest import FinishedRun
from transfer_core.export.bundle import ExportBundle, export_run

FORMATS = ("keras", "savedmodel", "litert", "teachable", "onnx", "code")


@dataclass(frozen=True)
class Unpacked:
    """A bundle and the folder of its unpacked zip."""

    bundle: ExportBundle
    folder: Path


@pytest.fixture(scope="session")
def unpacked(
    finished_run: FinishedRun, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Unpacked]:
    """`unpacked("onnx")` exports the tiny run once and returns the unpacked bundle."""
    made: dict[str, Unpacked] = {}

    def make(format_name: str) -> Unpacked:
        if format_name not in made:
            folder = tmp_path_factory.mktemp(format_name)
            bundle = export_run(finished_run.workspace, finished_run.run, format_name, folder)
            with zipfile.ZipFile(bundle.path) as archive:
                archive.extractall(folder)
            made[format_name] = Unpacked(bundle, folder / bundle.name)
        return made[format_name]

    return make
