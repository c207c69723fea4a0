"""The files that a job needs on a node: which they are, by the hash of their content, and their content in chunks."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.own.source_model import ARRAYS_FILE, FACTS_FILE, SourceModelWeights
from transfer_core.backbones.published.zoo_weights import ZooWeights, weights_folder
from transfer_core.backbones.registry import get_backbone
from transfer_core.data.dataset import DATASET_FILE, IMAGES_FOLDER, ImageDataset
from transfer_core.errors import NotFoundError, WorkspaceError
from transfer_core.export.bundle import EXPORTS_DIR
from transfer_core.file_cache import FileCache, Signature
from transfer_core.files import check_shortage
from transfer_core.language import _
from transfer_core.locks import LOCK_FILE
from transfer_core.runs.api_key import API_KEY
from transfer_core.runs.cross_validation import FOLDS_DIR
from transfer_core.runs.new_photos import NEW_PHOTOS_DIR
from transfer_core.runs.notes import NOTES
from transfer_core.runs.run_folder import PORTABLE_FILES
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.signature import SIGNATURE_FILE
from transfer_core.training.train import MODEL_FILE
from transfer_core.work.live_run import STOP_FILE
from transfer_core.workspace import ID_PATTERN, Workspace

CHUNK_BYTES = 32 * 1024**2
WEIGHTS_DIR = "weights"

# No name begins or ends with a dot, so none leads out of its folder, and Windows changes none.
_NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,120}[A-Za-z0-9_-])?"
_FILE = re.compile(rf"{_NAME}(?:/{_NAME}){{0,3}}", re.ASCII)
_PLACE = re.compile(
    rf"(?:(?:runs|datasets|sources)/{ID_PATTERN.pattern}|{WEIGHTS_DIR})/(?P<file>.+)", re.ASCII
)
_PHOTO = re.compile(rf"datasets/[^/]+/{IMAGES_FOLDER}/[^/]+", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_NOT_SENT = frozenset({LOCK_FILE, STOP_FILE, API_KEY.name, NOTES.name})
_FOLDERS_NOT_SENT = frozenset({EXPORTS_DIR, NEW_PHOTOS_DIR})
_MODEL_FILES = frozenset({MODEL_FILE, SIGNATURE_FILE})
# Half a million photos, about 200 bytes of memory each.
_MOST_DATASETS = 10
_MOST_TRIES = 5
# Of a larger file the digest is kept for each version of it.
_LARGE_BYTES = 2**20


class ChangedMeanwhileError(WorkspaceError):
    """A file was changed or deleted after its parcel was described; another description has its new content."""


class FileRef(msgspec.Struct, frozen=True, gc=False):
    """A file of a job.

    Args:
        path: Where it is in the workspace of the job, with `/` between folders.
        digest: SHA-256 of its content, in hexadecimal digits.
        size: In bytes.

    Raises:
        WorkspaceError: If the path leads out of the workspace, or the digest is none.
    """

    path: str
    digest: str
    size: int

    def __post_init__(self) -> None:
        place = _PLACE.fullmatch(self.path)
        if not (
            place and _FILE.fullmatch(place["file"]) and _DIGEST.fullmatch(self.digest) and self.size >= 0
        ):
            raise WorkspaceError(
                _("A training was sent with the file {path}, which has no place in a workspace.").format(
                    path=self.path[:100]
                )
            )

    @property
    def is_photo(self) -> bool:
        """Whether it is a photo. A training leaves out photos that are missing."""
        return _PHOTO.fullmatch(self.path) is not None


class Parcel(msgspec.Struct, frozen=True):
    """All files of a job, without their content."""

    files: tuple[FileRef, ...]


def parcel_of_run(workspace: Workspace, run: TrainingRun) -> Parcel:
    """Describe what a run needs: its folder, its photos, its pretrained weights, and its teacher with the same.

    Photos are read once for each version of them, so 50,000 known photos take a quarter of a second.

    Args:
        workspace: Where the run is.
        run: In its present state: it may have a checkpoint.

    Raises:
        NotFoundError: If the run, its photos, its backbone or its teacher were deleted.
        WorkspaceError: If a file cannot be read.
    """
    run.files.check_exists()
    dataset = ImageDataset.load(workspace, run.dataset_id)
    backbones = [get_backbone(run.config.backbone, workspace)]
    teacher_files: list[FileRef] = []
    if run.config.teacher:
        teacher = TrainingRun.load(workspace, run.config.teacher)
        teacher_files = _files_of_model(workspace, teacher)
        # What was recorded beside the model is enough for a teacher whose own source was deleted.
        with suppress(NotFoundError):
            backbones.append(get_backbone(teacher.config.backbone, workspace))
    return Parcel(
        (
            *_files_of_run(workspace, run),
            *teacher_files,
            *_files_of_dataset(workspace, dataset),
            *_files_of_backbones(workspace, backbones),
        )
    )


def parcel_of_dataset(workspace: Workspace, dataset: ImageDataset, backbones: Iterable[Backbone]) -> Parcel:
    """Describe what some backbones need to read the photos of a dataset: its folder, and their pretrained weights.

    Args:
        workspace: Where the dataset is.
        dataset: A saved dataset.
        backbones: Published ones, or own models of the workspace.

    Raises:
        WorkspaceError: If a file cannot be read.
    """
    files = (*_files_of_dataset(workspace, dataset), *_files_of_backbones(workspace, backbones))
    return Parcel(files)


def chunks(workspace: Workspace, parcel: Parcel, digests: Collection[str]) -> Iterator[dict[str, bytes]]:
    """Yield the content of some files, at most 32 MB at a time.

    A photo that was deleted or damaged meanwhile is left out: the training then leaves it out as well.

    Args:
        workspace: Where the files are.
        parcel: It names them.
        digests: The content that is wanted.

    Yields:
        Contents by digest. A file of more than 32 MB comes in pieces, by the keys that `NodeCache.add` understands.

    Raises:
        ChangedMeanwhileError: If another file was changed or deleted since it was described.
    """
    wanted = {ref.digest: ref for ref in parcel.files if ref.digest in digests}
    chunk: dict[str, bytes] = {}
    num_bytes = 0
    for ref in wanted.values():
        try:
            for key, piece in _pieces(_path_on_head(workspace, ref), ref):
                if chunk and num_bytes + len(piece) > CHUNK_BYTES:
                    yield chunk
                    chunk, num_bytes = {}, 0
                chunk[key] = piece
                num_bytes += len(piece)
        except ChangedMeanwhileError:
            if not ref.is_photo:
                raise
    if chunk:
        yield chunk


def send_parcel(
    workspace: Workspace,
    describe: Callable[[], Parcel],
    missing: Callable[[Parcel], Collection[str]],
    add: Callable[[dict[str, bytes]], object],
) -> Parcel:
    """Send a node what it lacks of a job, and begin again with the new state if a file is changed meanwhile.

    One parcel at a time should be sent to a node, or several jobs with the same photos send each photo several times.

    Args:
        workspace: Where the files are.
        describe: Returns the parcel in its present state.
        missing: Returns the digests that the node lacks, as `NodeCache.missing` does.
        add: Called with each chunk, for `NodeCache.add` on the node.

    Returns:
        The parcel as the node has it.

    Raises:
        WorkspaceError: If files change all the time, or cannot be read.
    """
    for left in reversed(range(_MOST_TRIES)):
        parcel = describe()
        try:
            for chunk in chunks(workspace, parcel, missing(parcel)):
                add(chunk)
            return parcel
        except ChangedMeanwhileError:
            if not left:
                raise
    raise AssertionError("unreachable")


def piece_key(digest: str, offset: int, size: int) -> str:
    """Return the key of a piece of a file: the digest alone if the piece is the whole file.

    Args:
        digest: Of the whole file.
        offset: Of the piece, in bytes.
        size: Of the whole file, in bytes.
    """
    return digest if size <= CHUNK_BYTES else f"{digest}@{offset}/{size}"


def names_in_run(folder: Path) -> list[str]:
    """Return the files in the folder of a run that go along with it, in a fixed order, with `/` between folders.

    Left out are locks, temporary files, the person's notes, and files that no training reads.
    """
    found: list[str] = []
    for root, folders, files in os.walk(folder):
        below = Path(root).relative_to(folder)
        folders[:] = [name for name in folders if name not in _FOLDERS_NOT_SENT]
        found += [name for file in files if is_of_run(name := (below / file).as_posix())]
    return sorted(found)


def is_of_run(name: str) -> bool:
    """Return whether a file in the folder of a run goes along with it, by its name in that folder."""
    *folders, file = name.split("/")
    # The models of folds are deleted as soon as they have been scored.
    is_model_of_fold = bool(folders) and folders[0] == FOLDS_DIR and file in _MODEL_FILES
    return (
        _FILE.fullmatch(name) is not None
        and not _FOLDERS_NOT_SENT.intersection(folders)
        and file not in _NOT_SENT
        and not file.endswith(".lock")
        and not is_model_of_fold
    )


def _files_of_run(workspace: Workspace, run: TrainingRun) -> Iterator[FileRef]:
    for name in names_in_run(run.folder):
        # Checkpoints are deleted while a run ends.
        with suppress(ChangedMeanwhileError):
            yield _described(workspace, f"runs/{run.id}/{name}")


def _files_of_model(workspace: Workspace, run: TrainingRun) -> list[FileRef]:
    names = [name for name in (MODEL_FILE, *PORTABLE_FILES) if is_of_run(name)]
    there = [name for name in names if (run.folder / name).is_file()]
    return [_described(workspace, f"runs/{run.id}/{name}") for name in there]


def _files_of_dataset(workspace: Workspace, dataset: ImageDataset) -> Iterator[FileRef]:
    place = f"datasets/{dataset.id}"
    yield _described(workspace, f"{place}/{DATASET_FILE}")
    stored = _photos.described(dataset.folder / IMAGES_FOLDER)
    for image in dataset.images:
        name = f"{image.id}.jpg"
        if name in stored:
            (_written_at, size, _inode), digest = stored[name]
            yield FileRef(f"{place}/{IMAGES_FOLDER}/{name}", digest, size)


def _files_of_backbones(workspace: Workspace, backbones: Iterable[Backbone]) -> Iterator[FileRef]:
    places: dict[str, None] = {}
    for backbone in backbones:
        if isinstance(backbone.weights, SourceModelWeights):
            places |= dict.fromkeys(f"sources/{backbone.name}/{name}" for name in (FACTS_FILE, ARRAYS_FILE))
        elif isinstance(backbone.weights, ZooWeights) and (path := backbone.weights.path):
            places[f"{WEIGHTS_DIR}/{path.name}"] = None
    # The training says better than this what to do about missing weights.
    there = (place for place in places if _path_on_head(workspace, place).is_file())
    yield from (_described(workspace, place) for place in there)


def _described(workspace: Workspace, place: str) -> FileRef:
    path = _path_on_head(workspace, place)
    try:
        is_large = path.stat().st_size > _LARGE_BYTES
        digest, size = _digests.get(path, lambda: digest_of(path)) if is_large else digest_of(path)
    except FileNotFoundError as error:
        raise _changed(path) from error
    except OSError as error:
        check_shortage(error)
        raise WorkspaceError(
            _("{file} cannot be read: {reason}. Allow reading it, then try again.").format(
                file=path.name, reason=error
            )
        ) from error
    return FileRef(place, digest, size)


def digest_of(path: Path) -> tuple[str, int]:
    """Return the SHA-256 of a file, in hexadecimal digits, and its size in bytes.

    Raises:
        OSError: If it cannot be read.
    """
    sha256, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while content := file.read(_LARGE_BYTES):
            sha256.update(content)
            size += len(content)
    return sha256.hexdigest(), size


def _path_on_head(workspace: Workspace, place: str | FileRef) -> Path:
    path = place.path if isinstance(place, FileRef) else place
    room, _separator, rest = path.partition("/")
    return weights_folder() / rest if room == WEIGHTS_DIR else workspace.root / path


def _pieces(path: Path, ref: FileRef) -> Iterator[tuple[str, bytes]]:
    """Yield a file in pieces of at most 32 MB; of a log that has grown only the described part."""
    sha256 = hashlib.sha256()
    try:
        with path.open("rb") as file:
            for offset in range(0, max(ref.size, 1), CHUNK_BYTES):
                content = file.read(min(CHUNK_BYTES, ref.size - offset))
                sha256.update(content)
                if offset + CHUNK_BYTES >= ref.size and sha256.hexdigest() != ref.digest:
                    raise _changed(path)
                yield piece_key(ref.digest, offset, ref.size), content
    except OSError as error:
        check_shortage(error)
        raise _changed(path) from error


def _changed(path: Path) -> ChangedMeanwhileError:
    return ChangedMeanwhileError(
        _("{file} was changed while it was sent to another computer. Try again.").format(file=path.name)
    )


class _Photos:
    """The digests of photos, by dataset. Forgets those of photos that were deleted."""

    def __init__(self) -> None:
        self._by_folder: OrderedDict[Path, dict[str, tuple[Signature, str]]] = OrderedDict()
        self._lock = threading.Lock()

    def described(self, folder: Path) -> dict[str, tuple[Signature, str]]:
        """Return version and digest of each file in a folder by its name, and read only those that are new.

        Raises:
            WorkspaceError: If the system has no descriptor left.
        """
        with self._lock:
            known = self._by_folder.pop(folder, {})
            described = {}
            for name, signature in _signatures_in(folder):
                before = known.get(name)
                if before and before[0] == signature:
                    described[name] = before
                    continue
                # A photo that cannot be read is left out, as a missing one.
                try:
                    described[name] = signature, digest_of(folder / name)[0]
                except OSError as error:
                    check_shortage(error)
            self._by_folder[folder] = described
            while len(self._by_folder) > _MOST_DATASETS:
                self._by_folder.popitem(last=False)
            return described


def _signatures_in(folder: Path) -> Iterator[tuple[str, Signature]]:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                status = entry.stat()
                yield entry.name, (status.st_mtime_ns, status.st_size, entry.inode())


_photos = _Photos()
_digests: FileCache[tuple[str, int]] = FileCache(max_bytes=100 * 1024**3)
