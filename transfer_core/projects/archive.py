"""Unpack the zip of a project, which may be hostile: check each name, size and checksum before anything is used."""

from __future__ import annotations

import hashlib
import json
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from transfer_core.data.limits import limits, setting_of
from transfer_core.data.sources.imported_file import shown_name
from transfer_core.data.sources.members import allowed_size, unsafe_reason
from transfer_core.data.sources.zip_archive import (
    UNPACKING_ERRORS,
    lie_over_each_other,
    size_of_list,
)
from transfer_core.errors import ProjectError
from transfer_core.language import _
from transfer_core.projects.manifest import MANIFEST_FILE, NAMES, StoredFile, files_of, is_packed
from transfer_core.projects.texts import check_text, most_bytes, parse_text
from transfer_core.projects.version import version_of
from transfer_core.types import OnProgress, ShouldStop

_CHUNK_BYTES = 2**20
_LOCKED = 1
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# One entry of the central directory: the longest name in a project, and its fields.
_MAX_BYTES_PER_ENTRY = 256
_PROGRAMS = (".keras", ".h5", ".hdf5", ".pkl", ".pickle", ".joblib", ".pt", ".pth", ".pb", ".py", ".pyc")


class ProjectStoppedError(Exception):
    """The person asked to stop before the project was saved or opened."""


def unpack(
    content: BinaryIO,
    folder: Path,
    on_progress: OnProgress = lambda done, total: None,
    should_stop: ShouldStop = lambda: False,
) -> int:
    """Unpack a project, after checking everything but the facts in its files.

    Args:
        content: The zip.
        folder: The target. Only names that this app gives to files of a project are written.
        on_progress: Called with the unpacked bytes and all bytes.
        should_stop: Called before each file.

    Returns:
        The version of the project.

    Raises:
        OSError: If writing fails.
        ProjectError: If it is no whole project, or unsafe; the message says why.
        ProjectStoppedError: If `should_stop` returned True.
    """
    with _archive(content) as archive:
        members = _checked_members(archive.infolist())
        if MANIFEST_FILE not in members:
            raise ProjectError(_not_a_project())
        manifest = _read_manifest(archive, members.pop(MANIFEST_FILE))
        version, files = version_of(manifest), files_of(manifest)
        _check_names(members, files, version)
        check_size(len(files), sum(file.num_bytes for file in files.values()))
        num_photos = _num_photos(files)
        num_done, num_all = 0, sum(file.num_bytes for file in files.values())
        for name, file in files.items():
            if should_stop():
                raise ProjectStoppedError
            _unpack_file(archive, members[name], file, folder / name)
            if is_packed(name):
                _check_unpacked(folder / name, name, num_photos)
            num_done += file.num_bytes
            on_progress(num_done, num_all)
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest), encoding="utf-8")
    return version


def check_size(num_files: int, num_bytes: int) -> None:
    """Raise an error for a project that is larger than the limits.

    Args:
        num_files: In the project.
        num_bytes: Of all its files, unpacked.

    Raises:
        ProjectError: If it is too large.
    """
    if num_files > limits().files:
        raise ProjectError(
            _("The project has more than {limit:,} files. (The limit is the setting {setting}.)").format(
                limit=limits().files, setting=setting_of("files")
            )
        )
    if num_bytes > limits().total_bytes:
        raise ProjectError(
            _("The project has more than {limit:,} MB in it. (The limit is the setting {setting}.)").format(
                limit=limits().total_mb, setting=setting_of("total_mb")
            )
        )


@contextmanager
def _archive(content: BinaryIO) -> Iterator[zipfile.ZipFile]:
    try:
        if size_of_list(content) > limits().files * _MAX_BYTES_PER_ENTRY:
            check_size(limits().files + 1, 0)
        opened = zipfile.ZipFile(content)
    except (*UNPACKING_ERRORS, NotImplementedError) as error:
        raise ProjectError(_not_a_project()) from error
    with opened as archive:
        yield archive


def _checked_members(members: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """Return the members by name; refuse members that no project of this app has."""
    by_name: dict[str, zipfile.ZipInfo] = {}
    for member in members:
        # zipfile cuts the name at a zero character; check the rest as well.
        name = member.orig_filename
        reason = _refusal(member, name) or (_("its name appears twice") if name in by_name else "")
        if reason:
            raise ProjectError(
                _("The project was not opened, because of the file “{name}” in it: {reason}.").format(
                    name=shown_name(name), reason=reason
                )
            )
        by_name[name] = member
    packed = sum(member.compress_size for member in members)
    if lie_over_each_other(members) or sum(member.file_size for member in members) > allowed_size(packed):
        raise ProjectError(
            _(
                "The project was not opened: unpacked it would be far too large. Save the project again "
                "where it was made."
            )
        )
    return by_name


def _refusal(member: zipfile.ZipInfo, name: str) -> str:
    if "\\" in name:
        return _("its name has a backslash, which could put it into another folder")
    if reason := unsafe_reason(name):
        return reason
    if stat.S_ISLNK(member.external_attr >> 16):
        return _("it is only a link to another file")
    if member.flag_bits & _LOCKED:
        return _("it is locked with a password")
    if name.lower().endswith(_PROGRAMS):
        return _("files of this kind can carry code, and no project contains them")
    if name != MANIFEST_FILE and not any(names.fullmatch(name) for names in NAMES.values()):
        return _("no project has a file of this name")
    if member.compress_type not in _PACKINGS:
        return _("its compression method is not used in projects")
    if not is_packed(name) and member.compress_type != zipfile.ZIP_STORED:
        return _("it is compressed, and projects store photos and weights uncompressed")
    return ""


def _read_manifest(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> dict[str, Any]:
    try:
        # The manifest has a quarter as many bytes for a file as dataset.json has for a photo.
        num_like_photos = len(archive.infolist()) // 4
        if member.file_size > most_bytes(MANIFEST_FILE, num_like_photos):
            raise ValueError
        return parse_text(archive.read(member), MANIFEST_FILE, num_like_photos)
    except (*UNPACKING_ERRORS, NotImplementedError, ProjectError) as error:
        raise ProjectError(_not_a_project()) from error


def _num_photos(files: dict[str, StoredFile]) -> int:
    return sum(name.endswith(".jpg") for name in files)


def _check_unpacked(path: Path, name: str, num_photos: int) -> None:
    try:
        check_text(path, num_photos)
    except ProjectError as error:
        raise ProjectError(
            _("The project was not opened, because of the file “{name}” in it: {reason}").format(
                name=name, reason=error
            )
        ) from error


def _check_names(members: dict[str, zipfile.ZipInfo], files: dict[str, StoredFile], version: int) -> None:
    differing = sorted(members.keys() ^ files.keys())
    differing += [name for name in files if not NAMES[version].fullmatch(name)]
    if differing:
        raise ProjectError(
            _(
                "The project was not opened: its list of files does not match ({names}). Save it again where "
                "it was made."
            ).format(names=shown_name(", ".join(differing)))
        )
    num_photos = _num_photos(files)
    for name, file in files.items():
        if is_packed(name) and file.num_bytes > most_bytes(name, num_photos):
            raise ProjectError(
                _("The project was not opened: {name} is too large for this number of photos.").format(
                    name=name
                )
            )
    too_large = [
        name
        for name, file in files.items()
        if not name.endswith("weights.npz") and file.num_bytes > limits().file_bytes
    ]
    if too_large:
        raise ProjectError(
            _(
                "The project was not opened: {name} in it is larger than {limit} MB. (The limit is the setting "
                "{setting}.)"
            ).format(name=too_large[0], limit=limits().file_mb, setting=setting_of("file_mb"))
        )


def _unpack_file(archive: zipfile.ZipFile, member: zipfile.ZipInfo, file: StoredFile, path: Path) -> None:
    """Write a file in chunks, and stop as soon as it is longer than the manifest says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, num_bytes = hashlib.sha256(), 0
    with path.open("wb") as target:
        try:
            source = archive.open(member)
        except (*UNPACKING_ERRORS, NotImplementedError) as error:
            raise ProjectError(_damaged(file.name)) from error
        with source:
            while chunk := _read_chunk(source, file.name):
                num_bytes += len(chunk)
                if num_bytes > file.num_bytes:
                    break
                digest.update(chunk)
                target.write(chunk)
    if num_bytes != file.num_bytes or digest.hexdigest() != file.sha256:
        raise ProjectError(_damaged(file.name))


def _read_chunk(source: Any, name: str) -> bytes:
    try:
        chunk: bytes = source.read(_CHUNK_BYTES)
    except (*UNPACKING_ERRORS, NotImplementedError) as error:
        raise ProjectError(_damaged(name)) from error
    return chunk


def _damaged(name: str) -> str:
    return _(
        "The project was not opened: {name} in it is damaged or was changed. Copy the file again, or "
        "save the project again where it was made."
    ).format(name=name)


def _not_a_project() -> str:
    return _(
        "This is not a project of Transfer Studio, or it is damaged. Choose the zip file that “Save "
        "a project” made. Add saved models and exported Keras models on the Model page."
    )
