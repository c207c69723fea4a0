"""The manifest of a project, and the only names that files in a project can have."""

from __future__ import annotations

import platform
import re
from importlib.metadata import version
from typing import Annotated, Any

from msgspec import Meta, Struct, structs

import transfer_core
from transfer_core.data.records import IMAGE_ID_PATTERN
from transfer_core.errors import ProjectError
from transfer_core.language import _
from transfer_core.projects.version import PROJECT_FORMAT, PROJECT_VERSION
from transfer_core.schema import Count, Text, decoded
from transfer_core.workspace import ID_PATTERN

MANIFEST_FILE = "project.json"
MODEL_FACTS_FILE = "model.json"

_ID = ID_PATTERN.pattern
_IMAGES = rf"datasets/{_ID}/(dataset\.json|images/{IMAGE_ID_PATTERN.pattern}\.jpg)"
_RUN = (
    r"(config|split|signature|model|evaluation|calibration|rejection|notes|sweep|distillation)\.json"
    r"|events\.jsonl|(weights|rejection)\.npz"
)
_FILES = re.compile(
    rf"{_IMAGES}|runs/{_ID}/({_RUN}|new_photos/{_IMAGES})|sources/{_ID}/(facts\.json|weights\.npz)", re.ASCII
)
# By version of the project: a migration may give files other names.
NAMES = {1: _FILES, 2: _FILES}


class StoredFile(Struct, frozen=True, forbid_unknown_fields=True):
    """A file in a project.

    Args:
        name: Its folders and name, with `/` between them.
        num_bytes: Unpacked.
        sha256: Of its content.
    """

    name: Text
    num_bytes: Count
    sha256: Text


_Id = Annotated[str, Meta(pattern=rf"\A(?a:{ID_PATTERN.pattern})\Z")]


class Manifest(Struct, frozen=True):
    """The content of a project.

    Args:
        title: Name of the dataset.
        dataset: Id of the dataset.
        runs: Ids of the runs.
        sources: Ids of the own models that the runs start from.
    """

    title: Text
    dataset: _Id
    runs: tuple[_Id, ...]
    sources: tuple[_Id, ...]

    def __post_init__(self) -> None:
        if len(set(self.places)) < len(self.places):
            raise ValueError("an id that is there twice")

    def to_dict(self, files: list[StoredFile]) -> dict[str, Any]:
        """Return the content of `project.json` as plain values.

        Args:
            files: Every other file of the project.
        """
        return {
            "format": PROJECT_FORMAT,
            "version": PROJECT_VERSION,
            "made_with": {
                "transfer_studio": transfer_core.__version__,
                "python": platform.python_version(),
                **{name: version(name) for name in ("keras", "tensorflow", "numpy", "pillow")},
            },
            **structs.asdict(self),
            "files": [structs.asdict(file) for file in files],
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Manifest:
        """Return the manifest that `to_dict` gave, of the present version.

        Raises:
            ProjectError: If it is not what this app writes.
        """
        try:
            return decoded(values, cls)
        except ValueError as error:
            raise ProjectError(_not_as_expected()) from error

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of everything in the project."""
        return (self.dataset, *self.runs, *self.sources)

    @property
    def places(self) -> list[str]:
        """Its folders in the order in which they are moved in: a run comes after its dataset and its own model."""
        return [
            *(f"sources/{source_id}" for source_id in self.sources),
            f"datasets/{self.dataset}",
            *(f"runs/{run_id}" for run_id in self.runs),
        ]


def is_packed(name: str) -> bool:
    """Return whether a file is compressed in a project: JSON is; photos and weights would get no smaller."""
    return name.endswith((".json", ".jsonl"))


def files_of(values: dict[str, Any]) -> dict[str, StoredFile]:
    """Return the files that a `project.json` of any version lists, by their names.

    Raises:
        ProjectError: If the list is not what this app writes.
    """
    try:
        files = decoded(values.get("files"), tuple[StoredFile, ...])
    except ValueError as error:
        raise ProjectError(_not_as_expected()) from error
    by_name = {file.name: file for file in files}
    if len(by_name) < len(files):
        raise ProjectError(_not_as_expected())
    return by_name


def _not_as_expected() -> str:
    return _("The content of project.json is not valid. Save the project again where it was made.")
