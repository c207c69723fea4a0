"""A class at work, for pictures: some pupils have models, one trains, one waits, and others only have photos."""

from __future__ import annotations

from transfer_core.classroom.people import Person, join
from transfer_core.cli.training import carry_out
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.samples import list_samples
from transfer_core.language import _
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.stored_queue import StoredTraining, write_queue
from transfer_core.workspace import Workspace

# By name, the classes of their photos. The board shows photos of the last one.
_WITH_MODEL = {
    "Mia": ("t-shirt", "dress"),
    "Otter": ("dress", "t-shirt", "pants"),
    "Ben": ("hat", "shoes"),
    "Emil": ("dress", "pants", "shoes", "t-shirt", "hat"),
}
_IN_QUEUE = {"Zoe": ("hat", "pants", "shoes", "dress", "t-shirt"), "Lina": ("hat", "t-shirt", "shoes")}
_WITH_PHOTOS = {"Fox": ("shoes", "hat"), "Noah": ("pants",)}
_SHORT = TrainingConfig(epochs=20, train_on_all=True)
# Goes on until all pictures are taken.
_LONG = TrainingConfig(num_unfrozen_blocks=2, fine_tune_epochs=300, early_stopping_patience=0)


def begin_class(server: Workspace) -> list[Person]:
    """Let eight pupils join, train the models of four, and queue two trainings for a server that starts afterwards.

    Args:
        server: An empty workspace.

    Returns:
        The pupils; the first has photos and a model.

    Raises:
        TransferStudioError: If writing or a training fails.
    """
    pupils = []
    for name, classes in _WITH_MODEL.items():
        person, dataset = _pupil(server, name, classes)
        place = server.person(person.id)
        carry_out(place, TrainingRun.create(place, dataset, _SHORT))
        pupils.append(person)
    queue = []
    for name, classes in _IN_QUEUE.items():
        person, dataset = _pupil(server, name, classes)
        run = TrainingRun.create(server.person(person.id), dataset, _LONG)
        queue.append(StoredTraining(person.id, run.id))
        pupils.append(person)
    write_queue(server, queue)
    return [*pupils, *(_pupil(server, name, classes)[0] for name, classes in _WITH_PHOTOS.items())]


def _pupil(server: Workspace, name: str, classes: tuple[str, ...]) -> tuple[Person, ImageDataset]:
    """Let a pupil join and bring the ready-made photos of some classes."""
    person = join(server, name)
    clothes = list_samples()[0]
    files = clothes.files()
    dataset = create_dataset(server.person(person.id), clothes.title)
    for name_of_class in classes:
        dataset = add_files(dataset, [file for file in files if file.class_name == _(name_of_class)])
    return person, dataset
