"""Save a dataset with its runs and own models as one file."""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from transfer_core.backbones.own.source_model import ARRAYS_FILE, FACTS_FILE, SourceModelFacts
from transfer_core.backbones.published.zoo_weights import has_checksum
from transfer_core.backbones.runtime import load_keras
from transfer_core.data.dataset import DATASET_FILE, ImageDataset
from transfer_core.errors import ProjectError
from transfer_core.files import read_json, replacing
from transfer_core.language import _
from transfer_core.projects.archive import ProjectStoppedError
from transfer_core.projects.checks import MISFITS, is_whole_picture, reason_of
from transfer_core.projects.manifest import (
    MANIFEST_FILE,
    MODEL_FACTS_FILE,
    Manifest,
    StoredFile,
    is_packed,
)
from transfer_core.projects.models import write_arrays
from transfer_core.projects.plan import ProjectPlan, contents, network_of
from transfer_core.runs.erasing import erased_evaluation, erased_events, erased_split
from transfer_core.runs.run_folder import EVALUATION, EVENTS_FILE, SPLIT
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.train import MODEL_FILE
from transfer_core.types import OnProgress, ShouldStop
from transfer_core.workspace import Workspace

_CHUNK_BYTES = 2**20


def save_project(
    workspace: Workspace,
    plan: ProjectPlan,
    path: Path,
    on_progress: OnProgress = lambda done, total: None,
    should_stop: ShouldStop = lambda: False,
) -> None:
    """Write a project file atomically.

    Args:
        workspace: Of the dataset and the runs.
        plan: The content.
        path: The target.
        on_progress: Called with the written bytes and the approximate number of all bytes.
        should_stop: Called before each file.

    Raises:
        NotFoundError: If something was deleted meanwhile.
        ProjectError: If something was deleted or changed meanwhile.
        ProjectStoppedError: If `should_stop` returned True.
        WorkspaceError: If a model is damaged, or writing fails.
    """
    if ImageDataset.load(workspace, plan.dataset.id) != plan.dataset:
        raise ProjectError(_("The photos have just been changed. Save the project again."))
    for source_id in plan.source_ids:
        _check_weights(workspace, source_id)
    with (
        replacing(path) as beside,
        tempfile.TemporaryDirectory(prefix=".project-", dir=path.parent) as scratch,
        zipfile.ZipFile(beside, "w") as archive,
    ):
        writer = _Writer(archive, plan.num_bytes, on_progress)
        _write_contents(writer, workspace, plan, Path(scratch), should_stop)
        manifest = Manifest(
            plan.dataset.name, plan.dataset.id, tuple(run.id for run in plan.runs), plan.source_ids
        )
        writer.add_json(MANIFEST_FILE, manifest.to_dict(list(writer.files)))


def _write_contents(
    writer: _Writer, workspace: Workspace, plan: ProjectPlan, scratch: Path, should_stop: ShouldStop
) -> None:
    runs = {run.id: run for run in plan.runs}
    excluded = {image.id: image.name for image in plan.dataset.excluded}
    for name, file in contents(workspace, plan.dataset, plan.runs, plan.source_ids):
        if should_stop():
            raise ProjectStoppedError
        if file.name == MODEL_FILE:
            _write_model(writer, workspace, runs[file.parent.name], scratch / ARRAYS_FILE)
        elif excluded and (content := _without(plan.dataset, file, excluded)) is not None:
            writer.add_bytes(name, content)
        elif file.suffix != ".jpg" or is_whole_picture(file):
            # A damaged photo is left out of the project, like a deleted one.
            writer.add_file(name, file)


def _without(dataset: ImageDataset, file: Path, excluded: Mapping[str, str]) -> bytes | None:
    """Return the content of a file without the names of excluded photos; None if it never names photos."""
    if file == dataset.folder / DATASET_FILE:
        return dataset.erased(excluded).to_json()
    if file.name == SPLIT.name:
        split = erased_split(SPLIT.read(file.parent), excluded)
        return json.dumps(msgspec.to_builtins(split), ensure_ascii=False).encode()
    if file.name == EVALUATION.name:
        evaluation = erased_evaluation(EVALUATION.read(file.parent), excluded)
        return json.dumps(evaluation.to_dict(), ensure_ascii=False).encode()
    return erased_events(file.read_bytes(), excluded) if file.name == EVENTS_FILE else None


class _Writer:
    """Adds files to a zip and records their sizes and checksums."""

    def __init__(self, archive: zipfile.ZipFile, num_bytes: int, on_progress: OnProgress) -> None:
        self.files: list[StoredFile] = []
        self._archive = archive
        self._num_bytes = num_bytes
        self._num_done = 0
        self._on_progress = on_progress

    def add_file(self, name: str, path: Path) -> None:
        """Copy a file in chunks."""
        with path.open("rb") as content:
            self._add(name, content, path.stat().st_size)

    def add_bytes(self, name: str, content: bytes) -> None:
        """Write the content of a file."""
        self._add(name, io.BytesIO(content), len(content))

    def add_json(self, name: str, values: dict[str, Any]) -> None:
        """Write plain values as JSON."""
        self.add_bytes(name, json.dumps(values, ensure_ascii=False, indent=1).encode())

    def _add(self, name: str, content: BinaryIO, num_bytes: int) -> None:
        # Without a date, the same project gives the same file.
        member = zipfile.ZipInfo(name)
        member.file_size = num_bytes
        member.compress_type = zipfile.ZIP_DEFLATED if is_packed(name) else zipfile.ZIP_STORED
        digest, num_bytes = hashlib.sha256(), 0
        with self._archive.open(member, "w") as target:
            while chunk := content.read(_CHUNK_BYTES):
                digest.update(chunk)
                num_bytes += len(chunk)
                target.write(chunk)
        self.files.append(StoredFile(name, num_bytes, digest.hexdigest()))
        self._num_done += num_bytes
        self._on_progress(min(self._num_done, self._num_bytes), self._num_bytes)


def _check_weights(workspace: Workspace, source_id: str) -> None:
    folder = workspace.source_dir(source_id)
    facts = SourceModelFacts.from_dict(read_json(folder / FACTS_FILE))
    if not has_checksum(folder / ARRAYS_FILE, facts.weights_sha256):
        raise ProjectError(
            _(
                "The weights of your own model “{title}” were changed or damaged. Models that build on it "
                "cannot go into a project. Delete those, or name the others with --run."
            ).format(title=facts.title)
        )


def _write_model(writer: _Writer, workspace: Workspace, run: TrainingRun, arrays: Path) -> None:
    load_keras()
    try:
        facts = write_arrays(run, network_of(workspace, run).name, arrays)
    except MISFITS as error:
        raise ProjectError(
            _(
                "The model of the run {id} could not be saved: {reason} If it is damaged, delete the run, or name "
                "the others with --run."
            ).format(id=run.id, reason=reason_of(error))
        ) from error
    writer.add_json(f"runs/{run.id}/{MODEL_FACTS_FILE}", facts.to_dict())
    writer.add_file(f"runs/{run.id}/{ARRAYS_FILE}", arrays)
