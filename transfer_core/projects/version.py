"""The version of project files, and how older ones become present ones.

Whenever a file in a project changes so that the app before could not read it, `PROJECT_VERSION` grows by one and
`MIGRATIONS` gets a step. A project of the version before lies in the tests from then on.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from transfer_core.data.sources.source_file import clean_name
from transfer_core.errors import ProjectError
from transfer_core.language import _

PROJECT_VERSION = 1
PROJECT_FORMAT = "transfer-studio-project"

# A step takes the unpacked files of one version, by which it is found here, and makes them those of the next.
MIGRATIONS: dict[int, Callable[[Path], None]] = {}


def version_of(values: dict[str, Any]) -> int:
    """Return the version of a project.

    Args:
        values: What its `project.json` holds.

    Raises:
        ProjectError: If it is no project, or of a version that this app does not know yet.
    """
    version, made_with = values.get("version"), values.get("made_with")
    if values.get("format") != PROJECT_FORMAT or type(version) is not int or version < 1:
        raise ProjectError(
            _(
                "This is not a project of Transfer Studio: project.json is another file. Choose a saved project."
            )
        )
    if version > PROJECT_VERSION:
        app = made_with.get("transfer_studio") if isinstance(made_with, dict) else None
        raise ProjectError(
            _(
                "The project was made with a newer version of Transfer Studio ({app}, project version {version}). This "
                "one opens versions up to {known}: update Transfer Studio, then open the project again."
            ).format(app=clean_name(str(app)), version=version, known=PROJECT_VERSION)
        )
    return version


def migrate(folder: Path, version: int) -> None:
    """Make the unpacked files of an older project those of a present one, one version after the other.

    Args:
        folder: Where they lie, with `project.json`.
        version: Which version they are of.
    """
    for number in range(version, PROJECT_VERSION):
        MIGRATIONS[number](folder)
