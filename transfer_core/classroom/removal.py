"""Delete people, or all of a class, for good: first what they still let this computer do, then every file."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from transfer_core.classroom.facts import Classroom
from transfer_core.classroom.people import remove_person
from transfer_core.errors import TrainingError
from transfer_core.language import _
from transfer_core.runs.deletion import delete_photos_for_good
from transfer_core.runs.erasing import remove_collected
from transfer_core.types import OnProgress
from transfer_core.work.service import Service
from transfer_core.work.task import Task
from transfer_core.workspace import ID_PATTERN, PEOPLE_DIR, Workspace

# A training stops within a batch; a large one on a slow computer takes seconds for it.
_SECONDS_TO_STOP = 60.0
_SECONDS_TO_JOIN = 60.0
_SECONDS_A_DAY = 24 * 60 * 60


def remove_people(
    service: Service,
    person_ids: Sequence[str],
    on_progress: OnProgress = lambda done, total: None,
) -> None:
    """Delete pupils and everything of theirs from the disk, for good. Their work is stopped first.

    Args:
        service: Of the server.
        person_ids: The pupils. Who is not in the class any more is passed over.
        on_progress: Called with the number of pupils who are done and of all.

    Raises:
        NotFoundError: If an id is not one this app gives.
        OSError: If something cannot be deleted.
        TrainingError: If a training does not stop. What was not deleted then is deleted at the next call.
    """
    server = service.workspace
    # It holds copies of everybody's photos.
    remove_collected(server)
    for number, person_id in enumerate(person_ids):
        workspace = server.person(person_id)
        _stop_work(service, workspace)
        remove_person(server, person_id)
        # Projects may have been collected since.
        remove_collected(server)
        service.forget_data(workspace)
        on_progress(number + 1, len(person_ids))


def remove_task(service: Service, person_ids: Sequence[str]) -> Task[int]:
    """Delete pupils beside trainings. The result is how many.

    Args:
        service: Of the server.
        person_ids: The pupils.
    """

    def work(task: Task[int]) -> int:
        remove_people(service, person_ids, task.reporter())
        return len(person_ids)

    return Task("removing", tuple(person_ids), work, lane="light")


def remove_photos_task(server: Workspace, person_id: str, dataset_id: str, ids: Sequence[str]) -> Task[int]:
    """Delete photos of a pupil for good beside trainings. The result is how many.

    Args:
        server: The workspace of the server.
        person_id: The pupil.
        dataset_id: Their photo set.
        ids: Of the photos.
    """

    def work(_task: Task[int]) -> int:
        delete_photos_for_good(server.person(person_id), dataset_id, ids)
        return len(ids)

    return Task("removing", (person_id, dataset_id, *ids), work, lane="light")


def forget_class(service: Service) -> Task[int]:
    """Lock everyone out with another code and other secrets, and return the task that then deletes all pupils.

    The teacher's own photos and models are kept.

    Args:
        service: Of the server.

    Raises:
        WorkspaceError: If the file of the class is damaged or cannot be written.
    """
    Classroom(service.workspace).begin_again()
    return remove_task(service, [folder.name for folder in _folders(service)])


def forget_expired(service: Service, now: float | None = None) -> Task[int] | None:
    """Forget a class that is older than its teacher wanted to keep it. To be called once a day.

    Args:
        service: Of the server.
        now: Seconds since 1970. By default the time.

    Returns:
        The task that deletes all pupils; None if the class is kept.

    Raises:
        WorkspaceError: If the file of the class is damaged or cannot be written.
    """
    facts = Classroom(service.workspace).facts()
    ends_at = facts.created_at + facts.days_kept * _SECONDS_A_DAY
    if not facts.days_kept or (time.time() if now is None else now) < ends_at:
        return None
    return service.queue.start(forget_class(service))


def remove_leftover_people(service: Service) -> Task[int] | None:
    """Delete what an upload has written to the folder of a pupil who was removed meanwhile.

    Args:
        service: Of the server.

    Returns:
        The task that deletes it; None if there is nothing.
    """
    known = set(service.workspace.person_ids())
    # The folder of a pupil who joins at this moment has no file yet.
    before = time.time() - _SECONDS_TO_JOIN
    ids = [
        folder.name
        for folder in _folders(service)
        if folder.name not in known and folder.stat().st_mtime < before
    ]
    return service.queue.start(remove_task(service, ids)) if ids else None


def _folders(service: Service) -> list[Path]:
    """Return the folders of all pupils, also those without a file about them."""
    folder = service.workspace.root / PEOPLE_DIR
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in found if ID_PATTERN.fullmatch(path.name))


def _stop_work(service: Service, workspace: Workspace) -> None:
    """Stop the tasks of a pupil and wait until none works on their files."""
    tasks = service.queue.tasks_of(workspace.owner)
    for task in tasks:
        task.request_stop()
    ends_at = time.monotonic() + _SECONDS_TO_STOP
    for task in tasks:
        if not task.wait(max(ends_at - time.monotonic(), 0.0)):
            raise TrainingError(_("Some work of a pupil has not stopped yet. Try again in a minute."))
