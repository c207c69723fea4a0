"""The facts that the teacher's board shows about each pupil, read from their workspace."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from transfer_core.classroom.people import Person
from transfer_core.data.dataset import DATASET_FILE, ImageDataset
from transfer_core.data.records import ImageRecord
from transfer_core.errors import TransferStudioError
from transfer_core.evaluation.evaluation import Evaluation
from transfer_core.evaluation.outcomes import most_wrong
from transfer_core.events import RunSnapshot
from transfer_core.files import file_version
from transfer_core.runs.run_status import ACTIVE, RunStatus, run_status
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.queue import WorkQueue
from transfer_core.work.trainings import TrainingTask
from transfer_core.workspace import Workspace


@dataclass(frozen=True)
class Training:
    """A training that waits, runs or is paused.

    Args:
        run: The run.
        status: Its status.
        snapshot: The fold of its events.
    """

    run: TrainingRun
    status: RunStatus
    snapshot: RunSnapshot


@dataclass(frozen=True)
class Model:
    """A trained model with its evaluation.

    Args:
        run: The run.
        evaluation: On photos that it had not learned from; None before the end of the final check.
        dataset: Its photos; None if they were deleted.
    """

    run: TrainingRun
    evaluation: Evaluation | None
    dataset: ImageDataset | None

    def mistakes(self, count: int) -> list[ImageRecord]:
        """Return the photos that it got wrong and that are still there, those first of which it was surest."""
        if self.evaluation is None or self.dataset is None:
            return []
        found = (self.dataset.find(outcome.image_id) for outcome in most_wrong(self.evaluation))
        return [image for image in found if image][:count]


@dataclass(frozen=True)
class Card:
    """What a pupil has done.

    Args:
        person: The pupil.
        num_photos: In all their photo sets.
        dataset: The photo set that they changed last; None without any.
        training: Their training that is under way; None without one.
        model: Their newest model; None without one.
    """

    person: Person
    num_photos: int
    dataset: ImageDataset | None
    training: Training | None
    model: Model | None

    def newest_photos(self, count: int) -> list[ImageRecord]:
        """Return the photos that were added last, the latest first."""
        return list(self.dataset.images[: -count - 1 : -1]) if self.dataset else []


def card_of(server: Workspace, person: Person) -> Card:
    """Return the facts about a pupil. Files are read once for each version, so that a page may call it each second.

    Args:
        server: The workspace of the server.
        person: The pupil.
    """
    workspace = server.person(person.id)
    datasets = datasets_of(workspace)
    training, model = _latest_runs(workspace)
    return Card(
        person,
        sum(len(dataset.images) for dataset in datasets),
        datasets[0] if datasets else None,
        training,
        model,
    )


def datasets_of(workspace: Workspace) -> list[ImageDataset]:
    """Return the photo sets of a pupil that have photos and can be read, that which was changed last first."""
    found = []
    for dataset_id in workspace.dataset_ids():
        with suppress(TransferStudioError):
            dataset = ImageDataset.load(workspace, dataset_id)
            if dataset.images:
                found.append(dataset)
    return sorted(found, key=lambda dataset: file_version(dataset.folder / DATASET_FILE), reverse=True)


def _latest_runs(workspace: Workspace) -> tuple[Training | None, Model | None]:
    """Return the training that is under way and the newest model."""
    training = None
    for run_id in workspace.run_ids():
        with suppress(TransferStudioError):
            run = TrainingRun.load(workspace, run_id)
            status = run_status(run)
            if status in ACTIVE:
                # Of several, the one that runs, or else the earliest.
                if training is None or training.status == "queued":
                    training = Training(run, status, run.snapshot())
            elif run.has_model:
                return training, _model_of(workspace, run)
    return training, None


def _model_of(workspace: Workspace, run: TrainingRun) -> Model:
    dataset = evaluation = None
    with suppress(TransferStudioError):
        evaluation = run.evaluation()
    with suppress(TransferStudioError):
        dataset = ImageDataset.load(workspace, run.dataset_id)
    return Model(run, evaluation, dataset)


def queued_trainings(queue: WorkQueue) -> Sequence[TrainingTask]:
    """Return the trainings of all people that run or wait, in the order in which they are carried out."""
    return [task for task in queue.in_order("training") if isinstance(task, TrainingTask)]


def photo_path(server: Workspace, person_id: str, dataset_id: str, image_id: str) -> Path | None:
    """Return the file of a pupil's photo; None if there is no such photo.

    Args:
        server: The workspace of the server.
        person_id: The pupil.
        dataset_id: Their photo set.
        image_id: The photo.
    """
    with suppress(TransferStudioError):
        dataset = ImageDataset.load(server.person(person_id), dataset_id)
        image = dataset.find(image_id)
        return dataset.image_path(image) if image else None
    return None
