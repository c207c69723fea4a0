"""Sample datasets that ship with the app and need no network."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from PIL import Image

from transfer_core.data.sources.folder import folder_source
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.errors import NotFoundError
from transfer_core.language import N_, _, names_list, said
from transfer_core.types import Array

_PICTURES = Path(__file__).parent / "sample_pictures"
_DIGITS_PER_CLASS = 60
_NEW_DIGITS_PER_CLASS = 2
_DIGIT_SIDE = 96
# By the folders of the pictures, the names of the classes.
_CLASS_NAMES = {
    "dress": N_("dress"),
    "hat": N_("hat"),
    "pants": N_("pants"),
    "shoes": N_("shoes"),
    "t-shirt": N_("t-shirt"),
    "animals": N_("animals"),
    "clothing": N_("clothing"),
    "food": N_("food"),
    "vehicles": N_("vehicles"),
}


@dataclass(frozen=True)
class Sample:
    """A labelled set that is always available.

    Args:
        name: Identifier on the command line.
        title: Shown to people.
        description: Its content in one sentence.
        files: Returns the labelled files, with the names of the classes in the language of the visitor.
        new_files: Returns test files, which are not among `files`.
        preview: Returns one of the files of each class, quickly.
    """

    name: str
    title: str
    description: str
    files: Callable[[], list[ImportedFile]]
    new_files: Callable[[], list[ImportedFile]]
    preview: Callable[[], list[ImportedFile]]


def list_samples() -> list[Sample]:
    """Return every sample, the recommended one first."""
    return [
        Sample(
            "clothes",
            _("Clothes"),
            _("80 photos of dresses, hats, pants, shoes and t-shirts, 16 of each."),
            lambda: _pictures("clothes"),
            lambda: _pictures("new_clothes"),
            lambda: _first_of_each_class(_pictures("clothes")),
        ),
        Sample(
            "pictures",
            _("Drawings"),
            _("160 drawings of animals, clothing, food and vehicles, 40 of each."),
            lambda: _pictures("pictures"),
            lambda: _pictures("new_pictures"),
            lambda: _first_of_each_class(_pictures("pictures")),
        ),
        Sample(
            "digits",
            _("Digits"),
            _("600 small scans of the digits 0 to 9, 60 of each, from scikit-learn."),
            lambda: _digits(0, _DIGITS_PER_CLASS),
            lambda: _digits(_DIGITS_PER_CLASS, _NEW_DIGITS_PER_CLASS),
            # Importing scikit-learn takes a second, so the card has these scans as files.
            lambda: folder_source(_PICTURES / "digits_preview"),
        ),
    ]


def get_sample(name: str) -> Sample:
    """Return the sample of that name.

    Raises:
        NotFoundError: If there is none.
    """
    for sample in list_samples():
        if sample.name == name:
            return sample
    raise NotFoundError(
        _("There is no sample called {name}. There are: {known}.").format(
            name=name, known=names_list(sample.name for sample in list_samples())
        )
    )


def _pictures(folder: str) -> list[ImportedFile]:
    """Return the pictures in a folder; their classes are data of the person from now on, so they are plain strings."""
    return [
        replace(file, parts=(str.__str__(said(_CLASS_NAMES[file.parts[0]])), *file.parts[1:]))
        for file in folder_source(_PICTURES / folder)
    ]


def _first_of_each_class(files: list[ImportedFile]) -> list[ImportedFile]:
    return list({file.class_name: file for file in reversed(files)}.values())[::-1]


@lru_cache(maxsize=2)
def _digits(first: int, count: int) -> list[ImportedFile]:
    """Return `count` scans of each digit, from the `first` one on, as enlarged PNG files."""
    from sklearn.datasets import load_digits

    scans = load_digits()
    files = []
    for digit in range(10):
        places = (scans.target == digit).nonzero()[0][first : first + count]
        for place in places:
            scan = (255 - scans.images[place] * 255 / 16).astype(np.uint8)
            files.append(ImportedFile((str(digit), f"digit-{digit}-{place:04d}.png"), partial(_png, scan)))
    return files


def _png(scan: Array) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(scan).resize((_DIGIT_SIDE, _DIGIT_SIDE), Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()
