"""What a node needs of the workspace for a job: files by their content."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec

from transfer_core.data.dataset import ImageDataset
from transfer_core.locks import LOCK_FILE
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace

_MOST_BYTES_AT_ONCE = 32 * 10**6


class FileRef(msgspec.Struct, frozen=True):
    """A file by its content; `path` is relative to the workspace."""

    path: str
    digest: str
    size: int


class Parcel(msgspec.Struct, frozen=True):
    """All files of a job."""

    files: tuple[FileRef, ...]


def parcel_of_run(workspace: Workspace, run: TrainingRun) -> Parcel:
    """Return the files that a training reads."""
    dataset = ImageDataset.load(workspace, run.dataset_id)
    own = [path for path in run.folder.rglob("*") if path.is_file() and path.name != LOCK_FILE]
    photos = [dataset.image_path(image) for image in dataset.images]
    return Parcel(tuple(_ref(workspace, path) for path in (dataset.folder / "dataset.json", *own, *photos)))


def chunks(workspace: Workspace, parcel: Parcel, digests: Collection[str]) -> Iterator[dict[str, bytes]]:
    """Yield the contents of some files by their digests, 32 MB at most at once."""
    chunk: dict[str, bytes] = {}
    size = 0
    for file in parcel.files:
        if file.digest in digests:
            if chunk and size + file.size > _MOST_BYTES_AT_ONCE:
                yield chunk
                chunk, size = {}, 0
            chunk[file.digest] = (workspace.root / file.path).read_bytes()
            size += file.size
    if chunk:
        yield chunk


def _ref(workspace: Workspace, path: Path) -> FileRef:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return FileRef(path.relative_to(workspace.root).as_posix(), digest, len(content))
