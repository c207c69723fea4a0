"""Look-ahead: features of all photos, also of those that arrive meanwhile, and quiet ends."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import MakeImage
from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.registry import DEFAULT_BACKBONE, get_backbone
from transfer_core.backbones.runtime import load_keras
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.files import remove
from transfer_core.locks import hold
from transfer_core.training.features.feature_cache import pooled_features
from transfer_core.types import ShouldStop
from transfer_core.work import look_ahead
from transfer_core.work.executor import EXECUTOR_VARIABLE
from transfer_core.work.look_ahead import (
    LOOK_AHEAD_VARIABLE,
    backbones_to_read_with,
    has_look_ahead,
    look_ahead_task,
)
from transfer_core.work.queue import WorkQueue
from transfer_core.work.task import Priority, Task, TaskProgress
from transfer_core.workspace import Workspace, new_id

PATIENCE = 60  # seconds until a test gives up; nothing waits that long
TINY = "tiny_random"
Photos = Callable[[str, int], list[ImportedFile]]


@pytest.fixture
def photos(make_image: MakeImage) -> Photos:
    """`photos("red", 3)` gives three files of that class."""
    return lambda color, count: [
        ImportedFile((color, f"{color}-{number}.png"), lambda n=number: make_image(color, seed=n))
        for number in range(count)
    ]


@pytest.fixture
def dataset(workspace: Workspace, photos: Photos) -> ImageDataset:
    """Six photos of a single class: the first that arrive of an upload."""
    return add_files(create_dataset(workspace, "Colours"), photos("red", 6))


def run(task: Task[int]) -> int | None:
    """Carry out a task as the queue does, and return its result."""
    while not task.run_part():
        pass
    assert task.error is None
    return task.result


def num_cached(workspace: Workspace, dataset: ImageDataset, backbone: str = TINY) -> int:
    """How many photos have features on disk."""
    found: list[int] = []
    pooled_features(dataset, get_backbone(backbone), workspace.cache_dir, on_progress=found.append)
    return found[0]


def on_progress(task: Task[int], act: Callable[[TaskProgress], None]) -> None:
    """Call `act` with each progress of a task."""
    report = task.report

    def act_too(progress: TaskProgress) -> None:
        report(progress)
        act(progress)

    task.report = act_too


def test_photos_that_arrive_meanwhile_are_read_too(
    workspace: Workspace, dataset: ImageDataset, photos: Photos
) -> None:
    task = look_ahead_task(workspace, dataset.id, [TINY])
    seen: list[tuple[int, int]] = []

    def arrive(progress: TaskProgress) -> None:
        seen.append((progress.num_done, progress.num_all))
        if seen[-1] == (6, 6) and seen.count((6, 6)) == 1:
            add_files(dataset, photos("blue", 3))

    on_progress(task, arrive)
    assert run(task) == 2
    assert seen[0] == (0, 6)
    assert seen[-1] == (9, 9)
    assert num_cached(workspace, ImageDataset.load(workspace, dataset.id)) == 9


def test_damaged_photo_is_passed_over(workspace: Workspace, dataset: ImageDataset) -> None:
    dataset.image_path(dataset.images[2]).write_bytes(b"no photo")
    task = look_ahead_task(workspace, dataset.id, [TINY, "careful_tiny"])
    assert run(task) == dataset.version
    assert task.progress == TaskProgress("", 5, 6)
    readable = dataset.without([dataset.images[2].id])
    assert num_cached(workspace, readable) == num_cached(workspace, readable, "careful_tiny") == 5


def test_disk_without_room_ends_it_quietly(
    workspace: Workspace,
    dataset: ImageDataset,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(look_ahead, "free_disk", lambda folder: 900_000_000)
    with caplog.at_level(logging.INFO):
        assert run(look_ahead_task(workspace, dataset.id, [TINY])) == dataset.version
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert not list(workspace.cache_dir.iterdir())


def test_deleted_dataset_ends_it_quietly(workspace: Workspace, dataset: ImageDataset) -> None:
    remove(dataset.folder)
    assert run(look_ahead_task(workspace, dataset.id, [TINY])) == 0


def test_it_waits_while_another_process_trains(
    workspace: Workspace, dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = workspace.run_dir(new_id())
    lock = hold(folder)
    (folder / "config.json").touch()
    load_keras()
    task = look_ahead_task(workspace, dataset.id, [TINY])
    progress: list[TaskProgress] = []

    def sleep(_seconds: float) -> None:
        progress.append(task.progress)
        lock.release()

    monkeypatch.setattr(look_ahead, "SECONDS_BETWEEN_LOCK_CHECKS", 0.0)
    monkeypatch.setattr(look_ahead.time, "sleep", sleep)
    run(task)
    assert progress[0] == TaskProgress()
    assert task.progress == TaskProgress("", 6, 6)


def test_it_steps_aside_and_goes_on_where_it_was(
    workspace: Workspace, dataset: ImageDataset, photos: Photos
) -> None:
    add_files(dataset, photos("blue", 18))
    queue, order = WorkQueue(), []
    ahead = look_ahead_task(workspace, dataset.id, [TINY])

    def act(progress: TaskProgress) -> None:
        if progress.num_done and order == [0]:
            queue.start(Task("training", 1, lambda task: order.append("trained"), priority=Priority.TRAINING))
        order.append(progress.num_done)

    on_progress(ahead, act)
    queue.start(ahead)
    assert ahead.wait(PATIENCE)
    assert order[0] == 0
    before, after = order[: order.index("trained")], order[order.index("trained") + 1 :]
    assert 0 < before[-1] == after[0] < 24
    assert after[-1] == 24
    assert ahead.result == dataset.version + 1


def test_it_pauses_at_each_photo_while_somebody_waits(workspace: Workspace, dataset: ImageDataset) -> None:
    polled: list[bool] = []

    def is_anybody_waiting() -> bool:
        polled.append(len(polled) == 0)
        return polled[-1]

    assert run(look_ahead_task(workspace, dataset.id, [TINY], is_anybody_waiting)) == dataset.version
    assert len(polled) > len(dataset.images)


def test_careful_versions_are_compared_when_all_photos_are_read(
    workspace: Workspace, dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[str, int]] = []

    def compare(photos: ImageDataset, backbone: Backbone, cache_dir: Path, **options: object) -> None:
        compared.append((backbone.name, num_cached(workspace, photos)))

    monkeypatch.setattr(look_ahead, "compare_variants", compare)
    run(look_ahead_task(workspace, dataset.id, [TINY, "careful_tiny"]))
    assert compared == [(TINY, 6)]


def test_features_that_a_training_needs(workspace: Workspace, dataset: ImageDataset) -> None:
    def needed(photos: ImageDataset, chosen: str) -> list[str]:
        return backbones_to_read_with(workspace, photos, chosen)

    careful = "efficientnet_lite0_lite2"
    assert needed(dataset, DEFAULT_BACKBONE) == [DEFAULT_BACKBONE, careful, "efficientnet_lite0_regions"]
    assert needed(dataset, TINY) == [TINY]
    # Weights that are not on this computer.
    assert needed(dataset, "mobilenet_v2") == [DEFAULT_BACKBONE]
    assert needed(dataset, "efficientnet_lite2") == ["efficientnet_lite2", DEFAULT_BACKBONE, careful]
    assert needed(dataset.with_series({}), "efficientnet_lite2") == ["efficientnet_lite2", careful]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, True),
        ({LOOK_AHEAD_VARIABLE: "off"}, False),
        ({EXECUTOR_VARIABLE: "thread"}, True),
        ({EXECUTOR_VARIABLE: "process"}, False),
    ],
)
def test_it_can_be_switched_off(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: bool
) -> None:
    for name in (LOOK_AHEAD_VARIABLE, EXECUTOR_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert has_look_ahead() is expected


def test_variants_are_compared_once_all_features_are_there(
    workspace: Workspace, dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[int, str]] = []

    def compare(
        photos: ImageDataset, backbone: Backbone, cache_dir: Path, *, should_stop: ShouldStop
    ) -> None:
        compared.append((num_cached(workspace, photos), backbone.name))

    monkeypatch.setattr(look_ahead, "compare_variants", compare)
    run(look_ahead_task(workspace, dataset.id, [TINY]))
    assert compared == [(6, TINY)]


def test_unexpected_error_ends_it_for_this_version_of_the_dataset_only(
    workspace: Workspace,
    dataset: ImageDataset,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(look_ahead, "compare_variants", fail)
    # The page starts another one as soon as the version differs from the result.
    assert run(look_ahead_task(workspace, dataset.id, [TINY])) == dataset.version
    assert [record.levelname for record in caplog.records] == ["ERROR"]
