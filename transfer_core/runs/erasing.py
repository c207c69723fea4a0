"""Erase every trace of photos that are deleted for good: in runs, exports, saved projects and cached features."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePath

from msgspec import structs

from transfer_core.data.dataset import IMAGES_FOLDER, ImageDataset
from transfer_core.errors import WorkspaceError
from transfer_core.evaluation.evaluation import Evaluation, ImageOutcome
from transfer_core.events import (
    PhotosLeftOut,
    RunEnded,
    RunStarted,
    TrainingEvent,
    event_from_dict,
    event_to_dict,
)
from transfer_core.facts_file import Facts, FactsFile
from transfer_core.files import remove, write_bytes
from transfer_core.recipes import with_changed_values
from transfer_core.runs.new_photos import NEW_PHOTOS_DIR
from transfer_core.runs.run_folder import EVALUATION, EVENTS_FILE, RUN, SPLIT, RunSplit
from transfer_core.runs.unlabelled import UNLABELLED_DIR
from transfer_core.training.checkpoint import LEFT_OUT_FILE
from transfer_core.training.features.feature_files import remove_rows
from transfer_core.workspace import Workspace

# A photo lies in these folders, named by the hash of its pixels.
_PLACES_OF_PHOTOS = (
    f"datasets/*/{IMAGES_FOLDER}",
    f"datasets/*/{UNLABELLED_DIR}/datasets/*/{IMAGES_FOLDER}",
    f"runs/*/{NEW_PHOTOS_DIR}/datasets/*/{IMAGES_FOLDER}",
    f"trash/*/{IMAGES_FOLDER}",
    f"trash/*/{UNLABELLED_DIR}/datasets/*/{IMAGES_FOLDER}",
    f"trash/*/{NEW_PHOTOS_DIR}/datasets/*/{IMAGES_FOLDER}",
)
_FOLDERS_OF_RUNS = ("runs/*", "trash/*")
# The files of an export that may list photos; the others are models and programs.
_TEXTS = (".csv", ".json", ".md")
_LONGEST_TEXT = 64 * 1024**2
# A shorter name would be found inside other words.
_LEAST_LETTERS = 4


def erase_from_runs(workspace: Workspace, dataset_id: str, names: Mapping[str, str]) -> None:
    """Erase photos of a dataset from its runs, deleted ones included. Their accuracy remains as it was measured.

    Args:
        workspace: Of the dataset and the runs.
        dataset_id: The dataset.
        names: The file name of each photo, by its id.

    Raises:
        OSError: If a file cannot be deleted.
        WorkspaceError: If a file cannot be written.
    """
    for pattern in _FOLDERS_OF_RUNS:
        for folder in workspace.root.glob(pattern):
            if not folder.is_symlink() and _dataset_of(folder) == dataset_id:
                _erase_from_run(folder, names)


def collected_dir(server: Workspace) -> Path:
    """Return the folder for the projects of all pupils that a teacher collects. It may not exist yet."""
    return server.root / "cache" / "collected"


def remove_collected(server: Workspace) -> None:
    """Delete the collected projects, which hold copies of everybody's photos.

    Raises:
        OSError: If they cannot be deleted.
    """
    remove(collected_dir(server))


def erase_from_cache(workspace: Workspace, dataset_id: str = "", without: Path | None = None) -> None:
    """Delete saved and collected projects, measurements of a dataset, and features of photos that exist no more.

    Args:
        workspace: Its cache.
        dataset_id: Of the dataset from which photos are deleted, if it is one.
        without: A folder that is about to be deleted; photos that lie nowhere else count as deleted.

    Raises:
        OSError: If a file cannot be deleted.
    """
    cache = workspace.root / "cache"
    # A project holds photos, their runs and own models; it is quickly created again.
    for path in cache.glob("projects/[!.]*.zip"):
        remove(path)
    remove_collected(workspace.server)
    if dataset_id:
        remove(cache / "variants" / dataset_id)
    kept = _stored_photo_ids(workspace, without)
    remove_rows(cache, kept.__contains__)


def erase_from_dataset(dataset: ImageDataset, ids: Collection[str]) -> ImageDataset:
    """Delete the files of some photos and save the dataset without any trace of them.

    The files go first: a process that is killed in between leaves photos that are listed as missing, and the next call
    takes them from the list.

    Raises:
        OSError: If a file cannot be deleted.
        WorkspaceError: If writing fails, or another window has just changed the photos.
    """
    for image_id in ids:
        remove(dataset.folder / IMAGES_FOLDER / f"{image_id}.jpg")
    return dataset.without(ids).erased(ids).save()


def names_of_photos(dataset: ImageDataset) -> dict[str, str]:
    """Return the file name of each photo of a dataset, excluded or not, by its id."""
    return {image.id: image.name for image in (*dataset.images, *dataset.excluded)}


def _stored_photo_ids(workspace: Workspace, without: Path | None) -> set[str]:
    found: set[str] = set()
    for pattern in _PLACES_OF_PHOTOS:
        for folder in workspace.root.glob(pattern):
            if without is None or not folder.is_relative_to(without):
                with suppress(OSError), os.scandir(folder) as entries:
                    found.update(entry.name.removesuffix(".jpg") for entry in entries)
    return found


def erased_split(split: RunSplit, ids: Collection[str]) -> RunSplit:
    """Return the split of a run without some images."""

    def rest(side: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if side is None else tuple(image_id for image_id in side if image_id not in ids)

    return structs.replace(split, train=rest(split.train), validation=rest(split.validation))


def erased_evaluation(evaluation: Evaluation, ids: Collection[str]) -> Evaluation:
    """Return an evaluation whose outcomes of some images have no name: the numbers do not change."""
    numbers = {image_id: number for number, image_id in enumerate(sorted(ids))}
    others: dict[str, str] = {}
    for outcome in evaluation.outcomes:
        if outcome.image_id and outcome.image_id not in ids:
            others[outcome.group] = min(others.get(outcome.group, outcome.image_id), outcome.image_id)

    def erased(outcome: ImageOutcome) -> ImageOutcome:
        if outcome.group in numbers:
            name = others.get(outcome.group, f"deleted {numbers[outcome.group]}")
            outcome = replace(outcome, group=name)
        return replace(outcome, name="", image_id="") if outcome.image_id in numbers else outcome

    return replace(evaluation, outcomes=tuple(map(erased, evaluation.outcomes)))


def erased_events(content: bytes, names: Mapping[str, str]) -> bytes:
    """Return the content of a log of events without some images.

    Args:
        content: Of the `events.jsonl` of a run.
        names: The file name of each image, by its id.
    """
    texts = [text.encode() for pair in names.items() for text in pair if len(text) >= _LEAST_LETTERS]
    lines = content.splitlines(keepends=True)
    return b"".join(
        _erased_line(line, names) if any(text in line for text in texts) else line for line in lines
    )


def _erased_line(line: bytes, names: Mapping[str, str]) -> bytes:
    try:
        event = erased_event(event_from_dict(json.loads(line)), names)
    except (ValueError, RecursionError):
        # A damaged line, which every reader skips.
        return b""
    return json.dumps(event_to_dict(event)).encode() + b"\n"


def erased_event(event: TrainingEvent, names: Mapping[str, str]) -> TrainingEvent:
    """Return an event that names none of these images."""
    match event:
        case RunStarted():
            # The outcomes of the epochs belong to these places.
            scored = tuple("" if image_id in names else image_id for image_id in event.scored_ids)
            return structs.replace(event, scored_ids=scored)
        case PhotosLeftOut():
            kept = [place for place, image_id in enumerate(event.image_ids) if image_id not in names]
            return structs.replace(
                event,
                image_ids=tuple(event.image_ids[place] for place in kept),
                names=tuple(event.names[place] for place in kept),
                class_names=tuple(event.class_names[place] for place in kept),
            )
        case RunEnded():
            return structs.replace(
                event, message=with_changed_values(event.message, lambda text: _without(text, names.values()))
            )
    return event


def _without(text: str, names: Iterable[str]) -> str:
    for name in names:
        if len(name) >= _LEAST_LETTERS:
            text = text.replace(name, "…")
    return text


def _dataset_of(run_folder: Path) -> str:
    """Return the id of the dataset of a run; empty where the folder is none of a run, or is damaged."""
    with suppress(WorkspaceError):
        return RUN.read(run_folder).dataset.id if RUN.exists(run_folder) else ""
    return ""


def _erase_from_run(folder: Path, names: Mapping[str, str]) -> None:
    ids = names.keys()
    _rewrite(SPLIT, folder, lambda split: erased_split(split, ids))
    _rewrite(EVALUATION, folder, lambda evaluation: erased_evaluation(evaluation, ids))
    log = folder / EVENTS_FILE
    if log.is_file():
        content = log.read_bytes()
        erased = erased_events(content, names)
        if erased != content:
            write_bytes(log, erased)
    # Only a resumed training reads it, and its photos are other ones now.
    remove(folder / LEFT_OUT_FILE)
    _remove_exports_that_name(folder, names)
    _erase_from_new_photos(folder, ids)


def _rewrite(file: FactsFile[Facts], folder: Path, erased: Callable[[Facts], Facts]) -> None:
    if not file.exists(folder):
        return
    try:
        before = file.read(folder)
    except WorkspaceError:
        # Nobody can read it, but the names of photos may still be in it.
        remove(folder / file.name)
        return
    after = erased(before)
    if after != before:
        file.write(folder, after)


def _remove_exports_that_name(folder: Path, names: Mapping[str, str]) -> None:
    """Delete the exports with a text that lists one of the photos: they can be created again."""
    texts = {text.encode() for pair in names.items() for text in pair if text}
    for path in (folder / "exports").glob("[!.]*.zip"):
        if _names_any(path, texts):
            remove(path)
            remove(path.with_suffix(".json"))


def _names_any(path: Path, texts: Collection[bytes]) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if PurePath(member.filename).suffix in _TEXTS and member.file_size <= _LONGEST_TEXT:
                    content = archive.read(member)
                    if any(text in content for text in texts):
                        return True
    except (OSError, zipfile.BadZipFile):
        # A damaged export is of no use to anybody.
        return True
    return False


def _erase_from_new_photos(folder: Path, ids: Collection[str]) -> None:
    below = Workspace(folder / NEW_PHOTOS_DIR)
    if not below.root.is_dir():
        return
    for dataset_id in below.dataset_ids():
        photos = ImageDataset.load(below, dataset_id)
        found = {image.id for image in (*photos.images, *photos.excluded) if image.id in ids}
        if found and len(found) == len(photos.images) + len(photos.excluded):
            remove(below.root)
        elif found:
            erase_from_dataset(photos, found)
