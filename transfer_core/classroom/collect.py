"""Collect the projects of all pupils in one file."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from transfer_core.classroom.board import datasets_of
from transfer_core.classroom.handout import Missed
from transfer_core.classroom.people import Person, people
from transfer_core.errors import NotFoundError, TransferStudioError
from transfer_core.files import replacing
from transfer_core.language import _
from transfer_core.projects.archive import ProjectStoppedError
from transfer_core.projects.plan import plan_project
from transfer_core.projects.save import save_project
from transfer_core.runs.erasing import collected_dir, remove_collected
from transfer_core.types import OnProgress, ShouldStop
from transfer_core.work.task import Task
from transfer_core.workspace import ID_PATTERN, Workspace, new_id

# What no system takes in the name of a file.
_UNSAFE = re.compile(r"[^\w\-() ]")
_OF_WINDOWS = re.compile(r"con|prn|aux|nul|(com|lpt)\d", re.IGNORECASE)
_LONGEST_NAME = 40


@dataclass(frozen=True)
class Collected:
    """The result of collecting.

    Args:
        id: Of the file.
        num_people: Pupils whose project is in it.
        missed: Those who have none.
        num_bytes: Its size.
    """

    id: str
    num_people: int
    missed: tuple[Missed, ...]
    num_bytes: int


def collect_projects(
    server: Workspace,
    on_progress: OnProgress = lambda done, total: None,
    should_stop: ShouldStop = lambda: False,
) -> Collected:
    """Write a zip with a folder for each pupil: the project of the photos that they changed last, with its models.

    It takes the place of an earlier one, so that what was deleted since is in no file.

    Args:
        server: The workspace of the server.
        on_progress: Called with the number of pupils who are done and of all.
        should_stop: Called before each pupil, and while a project is saved.

    Raises:
        NotFoundError: If no pupil has photos.
        ProjectStoppedError: If `should_stop` returned True.
        WorkspaceError: If writing fails.
    """
    remove_collected(server)
    identifier, found, missed = new_id(), people(server), []
    path = collected_dir(server) / f"{identifier}.zip"
    with replacing(path, durable=False) as beside, zipfile.ZipFile(beside, "w") as archive:
        for number, person in enumerate(found):
            if should_stop():
                raise ProjectStoppedError
            try:
                _add_project(archive, server, person, number + 1, should_stop)
            except ProjectStoppedError:
                raise
            except TransferStudioError as error:
                missed.append(Missed(person.name, str(error)))
            on_progress(number + 1, len(found))
        if len(missed) == len(found):
            raise NotFoundError(_("Nobody has photos yet, so there is nothing to collect."))
    return Collected(identifier, len(found) - len(missed), tuple(missed), path.stat().st_size)


def collected_path(server: Workspace, identifier: str) -> Path:
    """Return the file with the collected projects.

    Raises:
        NotFoundError: If it was deleted, or the id is not one this app gives.
    """
    path = collected_dir(server) / f"{identifier}.zip"
    if not ID_PATTERN.fullmatch(identifier) or not path.is_file():
        raise NotFoundError(_("These projects were deleted. Collect them again."))
    return path


def collect_task(server: Workspace) -> Task[Collected]:
    """Collect the projects of all pupils beside trainings.

    Args:
        server: The workspace of the server.
    """

    def work(task: Task[Collected]) -> Collected:
        return collect_projects(server, task.reporter(), task.should_stop)

    return Task("collecting", "class", work, lane="light")


def _add_project(
    archive: zipfile.ZipFile, server: Workspace, person: Person, number: int, should_stop: ShouldStop
) -> None:
    workspace = server.person(person.id)
    datasets = datasets_of(workspace)
    if not datasets:
        raise NotFoundError(_("No photos yet."))
    plan = plan_project(workspace, datasets[0].id)
    folder = f"{number:02} {_safe(person.name)}"
    with workspace.scratch_folder() as scratch:
        project = scratch / "project.zip"
        save_project(workspace, plan, project, should_stop=should_stop)
        archive.write(project, f"{folder}/{_safe(plan.dataset.name)}.project.zip", zipfile.ZIP_STORED)


def _safe(name: str) -> str:
    safe = _UNSAFE.sub("_", name)[:_LONGEST_NAME].strip()
    # Windows refuses these names with any ending.
    return f"{safe}_" if not safe or _OF_WINDOWS.fullmatch(safe) else safe
