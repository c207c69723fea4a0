"""Labelled photos that a run was neither trained nor validated on: test photos, also those of a ready-made set."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Protocol, TypeVar

from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import ImageRecord
from transfer_core.data.samples import get_sample
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.errors import NotFoundError, UnreadableImageError, WorkspaceError
from transfer_core.files import check_shortage
from transfer_core.language import _, languages, speaking
from transfer_core.runs.new_photos import new_photos_of
from transfer_core.runs.run_evaluation import split_images
from transfer_core.runs.training_run import TrainingRun


class _HasClass(Protocol):
    @property
    def class_name(self) -> str | None: ...


Labelled = TypeVar("Labelled", bound=_HasClass)


def unseen_photos(run: TrainingRun, dataset: ImageDataset | None) -> list[ImportedFile]:
    """Return labelled photos that a run was neither trained nor validated on, one of each class in turn.

    Args:
        run: A run with a model. Photos of classes that it does not know are left out.
        dataset: Its images, where they still exist.
    """
    found: list[ImportedFile] = []
    if dataset and dataset.sample:
        with suppress(NotFoundError):
            found += _photos_of_sample(dataset.sample, run.class_names)
    # Version 0.1 did not store which images a run was trained on.
    with suppress(WorkspaceError):
        if dataset:
            found += (image_file(dataset, image) for image in split_images(run, dataset, "test"))
        brought = new_photos_of(run, dataset)
        if brought:
            found += (image_file(brought.dataset, image) for image in brought.images)
    return in_turn(photo for photo in found if photo.class_name in run.class_names)


def _photos_of_sample(name: str, class_names: Collection[str]) -> list[ImportedFile]:
    """Return the test files of a sample with the names that its classes have in the language it was taken in."""

    def num_known(files: list[ImportedFile]) -> int:
        return len({file.class_name for file in files} & set(class_names))

    found = []
    for code in languages():
        with speaking(code):
            found.append(get_sample(name).new_files())
    # Two languages may share a word, such as the English and the French "t-shirt".
    return max(found, key=num_known)


def image_file(dataset: ImageDataset, image: ImageRecord) -> ImportedFile:
    """Return a stored image of a dataset as a file with its label."""
    parts = (image.class_name, image.name)
    return ImportedFile(parts, partial(_read, dataset.image_path(image)), image.class_name)


def in_turn(photos: Iterable[Labelled]) -> list[Labelled]:
    """Return labelled photos in an order that takes one of each class after the other."""
    by_class: dict[str | None, list[Labelled]] = {}
    for photo in photos:
        by_class.setdefault(photo.class_name, []).append(photo)
    return [photo for turn in zip_longest(*by_class.values()) for photo in turn if photo is not None]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        check_shortage(error)
        raise UnreadableImageError(_("its file is missing"), "damaged") from error
