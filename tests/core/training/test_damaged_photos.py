"""A damaged or missing photo is left out with a notice, and everything goes on as if it had never been there."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from transfer_core.backbones.registry import get_backbone
from transfer_core.cli import output as console
from transfer_core.config import TrainingConfig
from transfer_core.data.damage import damaged_photos_sentence, leave_out_damaged, without_photos
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.errors import DamagedPhotosError, IngestError
from transfer_core.evaluation.audition import audition
from transfer_core.evaluation.label_suspicion import suspicious_labels
from transfer_core.events import (
    EpochEnded,
    PhotosLeftOut,
    RunResumed,
    RunStarted,
    TrainingEvent,
    snapshot_of,
)
from transfer_core.training.rate_finder import find_learning_rate
from transfer_core.training.train import train
from transfer_core.workspace import Workspace


class CutOffError(BaseException):
    """The power went off."""


@pytest.fixture
def dataset(workspace: Workspace, make_image) -> ImageDataset:
    return seven_each(workspace, make_image)


def seven_each(workspace: Workspace, make_image) -> ImageDataset:
    """Return seven photos each of two classes."""
    files = [
        ImportedFile(
            (color, f"{color}-{number}.png"), lambda c=color, n=number: make_image(c, seed=n, noise=90)
        )
        for color in ("blue", "red")
        for number in range(7)
    ]
    return add_files(create_dataset(workspace, "Own"), files)


@pytest.fixture
def damaged(dataset: ImageDataset) -> list[str]:
    """The ids of two training photos, of which one is cut off and one deleted."""
    first, *_others, last = dataset.images_in("train")
    path = dataset.image_path(first)
    path.write_bytes(path.read_bytes()[:200])
    dataset.image_path(last).unlink()
    return [first.id, last.id]


@pytest.fixture(scope="module")
def without_damaged(
    make_image, tiny_config: TrainingConfig, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of a training without the two photos that `damaged` breaks."""
    folder = tmp_path_factory.mktemp("without")
    dataset = seven_each(Workspace(folder / "workspace"), make_image)
    first, *_others, last = dataset.images_in("train")
    config = tiny_config.with_changes(num_unfrozen_blocks=1)
    train(without_photos(dataset, [first.id, last.id]), config, folder, folder / "cache")
    return folder


def weights_of(folder: Path) -> list[np.ndarray]:
    import keras

    return keras.saving.load_model(folder / "model.keras").get_weights()


def assert_same_weights(folder: Path, other: Path) -> None:
    for one, another in zip(weights_of(folder), weights_of(other), strict=True):
        np.testing.assert_array_equal(one, another)


def test_training_with_damaged_photos_equals_one_without_them(
    dataset: ImageDataset,
    damaged: list[str],
    without_damaged: Path,
    tiny_config: TrainingConfig,
    tmp_path: Path,
) -> None:
    events: list[TrainingEvent] = []
    config = tiny_config.with_changes(num_unfrozen_blocks=1)
    train(dataset, config, tmp_path / "run", tmp_path / "cache", emit=events.append)
    assert_same_weights(tmp_path / "run", without_damaged)
    assert snapshot_of(events).left_out == (("blue-0.png", "blue"), ("red-6.png", "red"))
    assert snapshot_of(events).num_train_images == len(dataset.images_in("train")) - 2
    kinds = [type(event) for event in events]
    assert kinds.count(PhotosLeftOut) == 1
    assert kinds[kinds.index(PhotosLeftOut) - 1] is RunStarted


def test_photo_damaged_before_a_later_phase_is_left_out(
    dataset: ImageDataset, tiny_config: TrainingConfig, tmp_path: Path
) -> None:
    train(dataset, tiny_config.with_changes(epochs=1), tmp_path / "before", tmp_path / "cache")
    image = dataset.images_in("validation")[0]
    dataset.image_path(image).unlink()
    events: list[TrainingEvent] = []
    config = tiny_config.with_changes(num_unfrozen_blocks=1)
    result = train(dataset, config, tmp_path / "run", tmp_path / "cache", emit=events.append)
    assert result.outcome == "finished"
    assert image.id not in {readable.id for readable in result.dataset.images}
    assert snapshot_of(events).left_out == ((image.name, image.class_name),)
    assert [epoch.epoch for epoch in snapshot_of(events).epochs] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("is_repaired", [False, True])
def test_a_resumed_training_goes_on_without_the_same_photos(
    is_repaired: bool,
    dataset: ImageDataset,
    damaged: list[str],
    without_damaged: Path,
    tiny_config: TrainingConfig,
    tmp_path: Path,
    make_image,
) -> None:
    config = tiny_config.with_changes(num_unfrozen_blocks=1)
    log: list[TrainingEvent] = []

    def die_in_the_second_epoch(event: TrainingEvent) -> None:
        log.append(event)
        if isinstance(event, EpochEnded) and event.epoch == 2:
            raise CutOffError

    clock = itertools.count(1000, 100)
    run, cache = tmp_path / "run", tmp_path / "cache"
    with pytest.raises(CutOffError):
        train(dataset, config, run, cache, emit=die_in_the_second_epoch, clock=lambda: float(next(clock)))
    if is_repaired:
        again = ImportedFile(("blue", "blue-0.png"), lambda: make_image("blue", seed=0, noise=90))
        with pytest.raises(IngestError, match="are there already"):
            add_files(dataset, [again])
        assert dataset.image_path(dataset.images_in("train")[0]).stat().st_size > 200
    events: list[TrainingEvent] = []
    train(dataset, config, run, cache, emit=events.append)
    assert [type(event) for event in events[:2]] == [RunResumed, PhotosLeftOut]
    assert events[0].epoch > 0
    assert_same_weights(run, without_damaged)


def test_a_photo_that_was_added_again_is_used_again(
    dataset: ImageDataset, damaged: list[str], tiny_config: TrainingConfig, tmp_path: Path, make_image
) -> None:
    files = [
        ImportedFile(
            (color, f"{color}-{number}.png"), lambda c=color, n=number: make_image(c, seed=n, noise=90)
        )
        for color, number in (("blue", 0), ("red", 6))
    ]
    with pytest.raises(IngestError, match="are there already"):
        add_files(dataset, files)
    events: list[TrainingEvent] = []
    config = tiny_config.with_changes(epochs=1)
    train(dataset, config, tmp_path / "run", tmp_path / "cache", emit=events.append)
    assert snapshot_of(events).left_out == ()


def test_all_others_who_read_photos_leave_them_out(
    dataset: ImageDataset, damaged: list[str], tiny_config: TrainingConfig, tmp_path: Path
) -> None:
    (score,) = audition(dataset, [get_backbone("tiny_random")], tmp_path / "audition")
    assert score.num_images == len(dataset.images) - 2
    assert suspicious_labels(dataset, tmp_path / "labels", backbone=get_backbone("tiny_random")) is not None
    assert find_learning_rate(dataset, tiny_config, get_backbone("tiny_random"), tmp_path / "rate").losses


def test_training_without_a_readable_photo_fails(dataset: ImageDataset) -> None:
    def work(images: list) -> None:
        raise DamagedPhotosError("all", frozenset(image.id for image in images))

    with pytest.raises(DamagedPhotosError, match="all"):
        leave_out_damaged(dataset.images, work)


def test_the_notice_names_photo_and_class_and_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_event(PhotosLeftOut(1.0, ("a1",), ("rose.jpg",), ("roses",)))
    notice = "rose.jpg (roses) is damaged and was left out. Add it again to use it."
    assert capsys.readouterr().err == f"{notice}\n"
    many = damaged_photos_sentence([(f"{number}.jpg", "roses") for number in range(5)])
    assert many.startswith(
        "5 photos are damaged and were left out: 0.jpg (roses), 1.jpg (roses), 2.jpg (roses), …"
    )
