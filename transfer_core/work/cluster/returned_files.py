"""The way back: the files of a run that its training wrote on a node, and how they get into its folder on the head."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import TransferStudioError, WorkspaceError
from transfer_core.file_cache import Signature, signature_of
from transfer_core.files import move, remove
from transfer_core.language import _
from transfer_core.runs.run_folder import EVENTS_FILE, RUN, SPLIT, RunFolder
from transfer_core.schema import Count, Text, decoded
from transfer_core.work.cluster.parcel import CHUNK_BYTES, is_of_run, names_in_run
from transfer_core.workspace import Workspace

_logger = logging.getLogger(__name__)

# Beside the other files of the run; what a killed process leaves in it is deleted as old temporary files are.
_STAGING_DIR = ".returned"
# No file of the run: the series that were found among its photos, with the split and the choices that rest on them.
_SERIES_NAME = "series.json"
_KEY = re.compile(r"(?P<name>[^@]+)(?:@(?P<offset>\d{1,15})/(?P<size>\d{1,15}))?", re.ASCII)


class _FoundSeries(msgspec.Struct, frozen=True):
    """Series that a training found on a node.

    Args:
        version: Of the dataset with them.
        series: The series of each photo by its id.
    """

    version: Count
    series: dict[str, Text]


class _Begun(NamedTuple):
    name: str
    version: Signature
    offset: int


class ReturnedFiles:
    """The files that a training changes in the folder of its run, on the node.

    Args:
        folder: Of the run, before the training begins.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._versions = dict(self._present())
        # A file of several pieces.
        self._begun: _Begun | None = None
        self._is_examined = self._dataset().is_examined

    def changed(self) -> dict[str, bytes | None]:
        """Return what was written since the last call, at most about 32 MB. Call it until it returns nothing.

        Returns:
            Contents by name for `put_back`; None for a file that was deleted. A larger file comes in pieces.
        """
        piece = self._next_piece()
        if piece:
            return piece
        present = dict(self._present())
        found: dict[str, bytes | None] = dict.fromkeys(self._versions.keys() - present.keys())
        for name in found:
            del self._versions[name]
        num_bytes = 0
        for name, version in present.items():
            if self._versions.get(name) == version:
                continue
            if version[1] > CHUNK_BYTES:
                self._begun = _Begun(name, version, 0)
                break
            if num_bytes + version[1] > CHUNK_BYTES:
                break
            # Without it the file has just been deleted, which the next call finds.
            with suppress(FileNotFoundError):
                found[name] = (self._folder / name).read_bytes()
                num_bytes += version[1]
                self._versions[name] = version
        if not self._is_examined and not found.keys().isdisjoint((RUN.name, SPLIT.name)):
            found |= self._series()
        return found or self._next_piece()

    def _present(self) -> Iterator[tuple[str, Signature]]:
        for name in names_in_run(self._folder):
            with suppress(FileNotFoundError):
                if _is_returned(name):
                    yield name, signature_of(self._folder / name)

    def _next_piece(self) -> dict[str, bytes | None]:
        """Return the next piece of a large file; nothing if there is none, or if the file was replaced meanwhile."""
        if self._begun is None:
            return {}
        name, version, offset = self._begun
        self._begun = None
        with suppress(FileNotFoundError), (self._folder / name).open("rb") as file:
            # It is not kept open, since Windows could not replace it then.
            if _is(os.fstat(file.fileno()), version):
                file.seek(offset)
                piece = file.read(CHUNK_BYTES)
                if offset + len(piece) < version[1]:
                    self._begun = _Begun(name, version, offset + len(piece))
                else:
                    self._versions[name] = version
                return {f"{name}@{offset}/{version[1]}": piece}
        return {}

    def _dataset(self) -> ImageDataset:
        facts = RunFolder(self._folder).facts()
        return ImageDataset.load(Workspace.of_run(self._folder), facts.dataset.id)

    def _series(self) -> dict[str, bytes]:
        dataset = self._dataset()
        if dataset.series_version != dataset.version:
            return {}
        series = {image.id: image.series for image in dataset.images}
        return {_SERIES_NAME: msgspec.json.encode(_FoundSeries(dataset.version, series))}


def _is(facts: os.stat_result, version: Signature) -> bool:
    return (facts.st_mtime_ns, facts.st_size, facts.st_ino) == version


def put_back(folder: Path, files: Mapping[str, bytes | None]) -> None:
    """Put files that a training wrote on a node into the folder of its run: all are staged, then all are moved in.

    Series that the training found become those of the dataset, unless its photos were changed meanwhile.

    Args:
        folder: Of the run, on the head.
        files: What `ReturnedFiles.changed` gave.

    Raises:
        NotFoundError: If the run was deleted.
        WorkspaceError: If a name is none of such a file, or writing fails.
    """
    RunFolder(folder).check_exists()
    places = {key: _place(key) for key in files}
    contents = dict(files)
    found = contents.pop(_SERIES_NAME, None)
    if found is not None and not _take_series(folder, found):
        contents |= _without_version_of(found, contents)
    staging = folder / _STAGING_DIR
    try:
        whole = [
            place.name
            for key, place in places.items()
            if (content := contents.get(key)) is not None and _stage(staging / place.name, content, place)
        ]
        for name in whole:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            move(staging / name, folder / name)
        for key, content in contents.items():
            if content is None:
                remove(folder / key)
    except OSError as error:
        # What nobody will move in fills the disk.
        with suppress(OSError):
            remove(staging)
        raise WorkspaceError(
            _(
                "The files of this training could not be saved: {reason}. Free some space, then continue."
            ).format(reason=error)
        ) from error


class _Place(NamedTuple):
    name: str
    offset: int
    size: int | None


def _place(key: str) -> _Place:
    found = _KEY.fullmatch(key)
    if not (found and (_is_returned(found["name"]) or key == _SERIES_NAME)):
        raise WorkspaceError(
            _("A training returned the file {name}, which it may not write.").format(name=key[:100])
        )
    return _Place(found["name"], int(found["offset"] or 0), int(found["size"]) if found["size"] else None)


def _is_returned(name: str) -> bool:
    # The log is written by the head, from the events.
    return is_of_run(name) and name not in (EVENTS_FILE, _SERIES_NAME)


def _stage(path: Path, content: bytes, place: _Place) -> bool:
    """Write a file, or the next piece of one, beside its place; return whether it is whole now."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab" if place.offset else "wb") as file:
        if file.tell() != place.offset:
            raise WorkspaceError(
                _("{file} did not come back whole. Continue from the last checkpoint.").format(
                    file=place.name
                )
            )
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        return place.size is None or file.tell() >= place.size


def _take_series(folder: Path, content: bytes) -> bool:
    """Save series among the photos of a run; return whether the dataset has series in that version now."""
    found = decoded(msgspec.json.decode(content), _FoundSeries)
    workspace = Workspace.of_run(folder)
    try:
        dataset = ImageDataset.load(workspace, RunFolder(folder).facts().dataset.id)
        if dataset.version + 1 == found.version and not dataset.is_examined:
            dataset = dataset.with_series(found.series).save()
    except TransferStudioError as error:
        _logger.warning("The series of %s were not saved: %s", folder.name, error)
        return False
    return dataset.series_version == found.version


def _without_version_of(content: bytes, contents: Mapping[str, bytes | None]) -> dict[str, bytes]:
    """Return choices and split of a run with the version of its photos before series were looked for.

    Meanwhile the person has saved another version under the number that the node gave.
    """
    version = decoded(msgspec.json.decode(content), _FoundSeries).version
    changed = {}
    for name in (RUN.name, SPLIT.name):
        values = json.loads(contents.get(name) or b"{}")
        holder = values.get("dataset", {}) if name == RUN.name else values
        key = "version" if name == RUN.name else "dataset_version"
        if holder.get(key) == version:
            holder[key] = version - 1
            changed[name] = json.dumps(values, indent=1, ensure_ascii=False).encode()
    return changed
