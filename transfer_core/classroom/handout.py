"""Give pupils copies of the teacher's photos, with their models or without."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from transfer_core.classroom.people import get_person
from transfer_core.data.dataset import DATASET_FILE, ImageDataset
from transfer_core.data.quota import check_photos, check_runs
from transfer_core.errors import TransferStudioError
from transfer_core.facts_file import FactsFile
from transfer_core.files import move, read_json, write_json
from transfer_core.language import _
from transfer_core.locks import changing
from transfer_core.projects.archive import ProjectStoppedError
from transfer_core.projects.copy import with_new_ids
from transfer_core.projects.manifest import Manifest
from transfer_core.projects.plan import ProjectPlan, contents, plan_project
from transfer_core.schema import Text
from transfer_core.training.train import MODEL_FILE
from transfer_core.types import OnProgress, ShouldStop
from transfer_core.work.task import Task
from transfer_core.workspace import Workspace


class _Received(msgspec.Struct, frozen=True):
    """Photo sets from the teacher that a pupil has not opened yet, the latest last."""

    dataset_ids: tuple[Text, ...] = ()


_RECEIVED = FactsFile("received.json", _Received)
# These are only ever replaced as a whole; other files of a run are appended to or changed.
_NEVER_CHANGED = (".jpg", ".keras", ".npz")


@dataclass(frozen=True)
class Missed:
    """A pupil who was left out.

    Args:
        name: Of the pupil; empty if they are not in the class any more.
        reason: In a sentence.
    """

    name: str
    reason: str


@dataclass(frozen=True)
class HandedOut:
    """The result of handing something out.

    Args:
        num_people: Pupils who got it.
        missed: Those who did not.
    """

    num_people: int
    missed: tuple[Missed, ...]


def hand_out(
    server: Workspace,
    dataset_id: str,
    person_ids: Sequence[str],
    *,
    with_models: bool,
    on_progress: OnProgress = lambda done, total: None,
    should_stop: ShouldStop = lambda: False,
) -> HandedOut:
    """Give each pupil a copy of a photo set of the server's workspace. The copies have ids of their own.

    Photos and models take no space a second time where the disk has hard links.

    Args:
        server: The workspace of the server.
        dataset_id: The photo set.
        person_ids: Who gets it.
        with_models: Whether its models come along.
        on_progress: Called with the number of pupils who are done and of all.
        should_stop: Called before each pupil.

    Raises:
        NotFoundError: If there is no such photo set.
        ProjectError: If the photos cannot be copied.
        ProjectStoppedError: If `should_stop` returned True. Who has got it keeps it.
        WorkspaceError: If a file of the photo set is damaged.
    """
    plan = plan_project(server, dataset_id) if with_models else _photos_alone(server, dataset_id)
    missed = []
    for number, person_id in enumerate(person_ids):
        if should_stop():
            raise ProjectStoppedError
        name = ""
        try:
            name = get_person(server, person_id).name
            _copy(server, plan, server.person(person_id))
        except (TransferStudioError, OSError) as error:
            missed.append(Missed(name, str(error)))
        on_progress(number + 1, len(person_ids))
    return HandedOut(len(person_ids) - len(missed), tuple(missed))


def hand_out_task(
    server: Workspace, dataset_id: str, person_ids: Sequence[str], *, with_models: bool
) -> Task[HandedOut]:
    """Hand a photo set out beside trainings.

    Args:
        server: The workspace of the server.
        dataset_id: The photo set.
        person_ids: Who gets it.
        with_models: Whether its models come along.
    """

    def work(task: Task[HandedOut]) -> HandedOut:
        return hand_out(
            server,
            dataset_id,
            person_ids,
            with_models=with_models,
            on_progress=task.reporter(),
            should_stop=task.should_stop,
        )

    return Task("handing out", "class", work, lane="light")


def received(workspace: Workspace) -> list[ImageDataset]:
    """Return the photo sets from the teacher that a pupil has not opened yet, the latest last."""
    found = []
    with suppress(TransferStudioError):
        for dataset_id in (
            _RECEIVED.read(workspace.root).dataset_ids if _RECEIVED.exists(workspace.root) else ()
        ):
            with suppress(TransferStudioError):
                found.append(ImageDataset.load(workspace, dataset_id))
    return found


def mark_opened(workspace: Workspace, dataset_id: str) -> None:
    """Note that a pupil has opened a photo set from the teacher.

    Raises:
        WorkspaceError: If the list of such photo sets is damaged or cannot be written.
    """
    _change_received(workspace, lambda ids: tuple(other for other in ids if other != dataset_id))


def _change_received(workspace: Workspace, change: Callable[[tuple[str, ...]], tuple[str, ...]]) -> None:
    with changing(workspace.root / _RECEIVED.name):
        ids = _RECEIVED.read(workspace.root).dataset_ids if _RECEIVED.exists(workspace.root) else ()
        _RECEIVED.write(workspace.root, _Received(change(ids)))


def _photos_alone(server: Workspace, dataset_id: str) -> ProjectPlan:
    return ProjectPlan(ImageDataset.load(server, dataset_id), (), (), (), 0)


def _copy(server: Workspace, plan: ProjectPlan, person: Workspace) -> None:
    """Build a copy beside the workspace of a pupil and move it in."""
    check_photos(person, len(plan.dataset.images) + len(plan.dataset.excluded))
    check_runs(person, len(plan.runs))
    with person.scratch_folder() as folder:
        for name, path in contents(server, plan.dataset, plan.runs, plan.source_ids):
            # A project file has the weights of a run in place of its model.
            _place(path, (folder / name).with_name(MODEL_FILE if path.name == MODEL_FILE else path.name))
        runs = tuple(run.id for run in plan.runs)
        manifest = Manifest(plan.dataset.name, plan.dataset.id, runs, plan.source_ids)
        copied = with_new_ids(Workspace(folder), manifest)
        facts = folder / "datasets" / copied.dataset / DATASET_FILE
        name = _("{name} (from your teacher)").format(name=plan.dataset.name)
        write_json(facts, {**read_json(facts), "name": name}, indent=None)
        for place in copied.places:
            target = person.root / place
            target.parent.mkdir(exist_ok=True)
            move(folder / place, target)
    _change_received(person, lambda ids: (*ids, copied.dataset))


def _place(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix in _NEVER_CHANGED:
        # Some disks have no hard links.
        with suppress(OSError):
            target.hardlink_to(source)
            return
    shutil.copyfile(source, target)
