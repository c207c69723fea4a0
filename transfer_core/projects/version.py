"""The version of project files, and the migrations of older ones.

Whenever a file in a project changes so that the last release could not read it, `PROJECT_VERSION` grows by one and
`MIGRATIONS` gets a step. A project of the previous version is kept in the tests from then on.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from transfer_core.data.sources.imported_file import shown_name
from transfer_core.errors import ProjectError
from transfer_core.language import _

PROJECT_VERSION = 2
PROJECT_FORMAT = "transfer-studio-project"

# By version: a step that changes the unpacked files of that version into those of the next.
MIGRATIONS: dict[int, Callable[[Path], None]] = {
    # Version 2 has more facts about the photos and the model; their defaults are what version 1 meant.
    1: lambda _folder: None,
}


def version_of(values: dict[str, Any]) -> int:
    """Return the version of a project.

    Args:
        values: The content of its `project.json`.

    Raises:
        ProjectError: If it is no project, or of a newer version than this app knows.
    """
    version, made_with = values.get("version"), values.get("made_with")
    if values.get("format") != PROJECT_FORMAT or type(version) is not int or version < 1:
        raise ProjectError(_("This is not a project of Transfer Studio. Choose a saved project."))
    if version > PROJECT_VERSION:
        app = made_with.get("transfer_studio") if isinstance(made_with, dict) else None
        raise ProjectError(
            _(
                "The project was made with a newer version of Transfer Studio ({app}, project version {version}). This "
                "one opens versions up to {known}: update Transfer Studio, then open the project again."
            ).format(app=shown_name(str(app)), version=version, known=PROJECT_VERSION)
        )
    return version


def migrate(folder: Path, version: int) -> None:
    """Migrate the unpacked files of an older project to the present version, one version after the other.

    Args:
        folder: Of the files, with `project.json`.
        version: Of the files.
    """
    for number in range(version, PROJECT_VERSION):
        MIGRATIONS[number](folder)
