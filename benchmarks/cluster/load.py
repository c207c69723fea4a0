"""What a large cluster asks of its head: an assumed load, and the events that its trainings would emit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import create_dataset
from transfer_core.data.records import ImageRecord
from transfer_core.events import (
    BatchEnded,
    EpochEnded,
    HeadChosen,
    ImagesSeen,
    PhaseStarted,
    RunEnded,
    RunPlaced,
    RunStarted,
    Stage,
    StartScored,
    StepsDone,
    TrainingEvent,
    event_to_dict,
)
from transfer_core.workspace import Workspace

NUM_PHOTOS = 200
BATCHES_A_SECOND = 10
BATCHES_OF_AN_EPOCH = 50
_NUM_VALIDATION = 40
_NUM_EPOCHS = 20
_CORRECT = "1" * _NUM_VALIDATION
_STAGES: tuple[Stage, ...] = (
    ("features", 2.6, True),
    ("head_choice", 1.0, True),
    ("head", 1.7, True),
    ("saving", 1.0, True),
)


@dataclass(frozen=True)
class Load:
    """The load that the head of a cluster is compared with.

    A default training of 200 photos emits the events of `default_training` and leaves a folder of 14.7 MB, most of it
    the model.

    Args:
        num_computers: Each trains one run at a time on one core.
        seconds_of_a_run: From its start to its end.
        num_runs: In one workspace in the end.
        bytes_of_a_run: Of its folder, as it comes back from its node.
        num_people: With an open page that asks for its place in the queue each second.
    """

    num_computers: int = 1_000
    seconds_of_a_run: float = 60.0
    num_runs: int = 1_000_000
    bytes_of_a_run: float = 14.7e6
    num_people: int = 30

    @property
    def runs_a_second(self) -> float:
        """How many runs end, and as many begin."""
        return self.num_computers / self.seconds_of_a_run

    @property
    def sentence(self) -> str:
        """The assumptions."""
        return (
            f"Assumed: {self.num_computers:,} computers, each with one run of one core that lasts "
            f"{self.seconds_of_a_run:.0f} s, so {self.runs_a_second:.1f} runs a second; {self.num_runs:,} runs in one "
            f"workspace; {self.bytes_of_a_run / 10**6:.1f} MB come back from each; {self.num_people} people watch."
        )


def default_training(began_at: float) -> Iterator[TrainingEvent]:
    """Yield the events of a default training of 200 photos, as many and as large as a real one emits.

    Args:
        began_at: Seconds since 1970.
    """
    time = began_at
    yield RunPlaced(time, "lab-017", "10.0.0.17", "x86_64 avx2", 1)
    yield RunStarted(
        time,
        NUM_PHOTOS - _NUM_VALIDATION,
        _NUM_VALIDATION,
        _NUM_EPOCHS,
        stages=_STAGES,
        scored_ids=tuple(f"{number:032x}" for number in range(_NUM_VALIDATION)),
    )
    yield PhaseStarted(time, "features", NUM_PHOTOS)
    for num_done in range(16, NUM_PHOTOS + 1, 16):
        yield ImagesSeen(time + num_done / 100, num_done)
    time += NUM_PHOTOS / 100
    yield PhaseStarted(time, "head_choice", 5)
    yield from (StepsDone(time + step / 50, step) for step in range(1, 6))
    accuracies = {"softmax_regression": 0.885, "lda": 0.87, "average": 0.88}
    yield HeadChosen(time + 0.2, "average", accuracies, 100.0, 0.029)
    yield PhaseStarted(time + 0.2, "head", 5 * _NUM_EPOCHS)
    yield StartScored(time + 0.2, 1.6094379425048828, 0.2, 1.6094379425048828, 0.2, _CORRECT)
    yield from _epochs(time + 0.2, _NUM_EPOCHS, 0.016, 0)
    time += 1.0
    yield PhaseStarted(time, "out_of_fold", 5)
    yield from (StepsDone(time + step / 50, step) for step in range(1, 6))
    yield PhaseStarted(time + 0.2, "all_photos", 140)
    yield PhaseStarted(time + 0.3, "saving", 0)
    yield PhaseStarted(time + 0.6, "evaluation", 16)
    yield from (ImagesSeen(time + 1 + num_done / 16, num_done) for num_done in (8, 16))
    yield RunEnded(time + 2.5, "finished", "", _NUM_EPOCHS, 0.88)


def fine_tuning(began_at: float, num_epochs: int) -> Iterator[TrainingEvent]:
    """Yield the events of a training that emits the most that trainings may: ten batches a second, epochs of 5 s.

    Args:
        began_at: Seconds since 1970.
        num_epochs: Of the training.
    """
    yield RunPlaced(began_at, "lab-017", "10.0.0.17", "x86_64 avx2", 1)
    yield RunStarted(began_at, NUM_PHOTOS - _NUM_VALIDATION, _NUM_VALIDATION, num_epochs)
    yield PhaseStarted(began_at, "fine_tune", num_epochs * BATCHES_OF_AN_EPOCH)
    seconds = BATCHES_OF_AN_EPOCH / BATCHES_A_SECOND
    yield from _epochs(began_at, num_epochs, seconds, BATCHES_OF_AN_EPOCH)


def _epochs(began_at: float, num_epochs: int, seconds: float, num_batches: int) -> Iterator[TrainingEvent]:
    """Yield epochs; where none of their batches is reported, a batch each six epochs is."""
    for epoch in range(1, num_epochs + 1):
        time, loss = began_at + epoch * seconds, 1.5480634927749635 / epoch
        for batch in range(1, num_batches + 1) if num_batches else range(int(epoch % 6 == 1)):
            step = (epoch - 1) * max(num_batches, 5) + max(batch, 1)
            share = batch / num_batches if num_batches else 0.2
            at = time - seconds * (1 - share)
            yield BatchEnded(at, epoch, step, loss, 0.9875, 32 * step, loss, 0.003000000026077032, share)
        yield EpochEnded(
            time,
            epoch,
            "fine_tune" if num_batches else "head",
            loss,
            0.9875,
            loss + 0.1,
            0.925,
            0.014999998733401299,
            862_191_616,
            _CORRECT,
        )


def written(event: TrainingEvent) -> bytes:
    """Return an event as a line, as in a log and between processes."""
    return json.dumps(event_to_dict(event)).encode() + b"\n"


def photos_of(workspace: Workspace) -> ImageDataset:
    """Add a dataset of 200 photos, of which only the facts exist."""
    images = [
        ImageRecord(f"{number:032x}", f"class {number % 5}", f"photo-{number}.jpg", number=number + 1)
        for number in range(NUM_PHOTOS)
    ]
    return create_dataset(workspace, "photos").with_images(images, ()).save()
