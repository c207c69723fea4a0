"""A training that was cut off ends as if it had not been: the same events count, the same weights to the bit."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import WorkspaceError
from transfer_core.events import (
    BatchEnded,
    EpochEnded,
    HeadChosen,
    PhaseStarted,
    RunResumed,
    RunSnapshot,
    RunStarted,
    TrainingEvent,
    snapshot_of,
)
from transfer_core.training import compiled_tail
from transfer_core.training.checkpoint import (
    CHECKPOINTS_DIR,
    Checkpoint,
    Progress,
    load_checkpoint,
    outcome_of_stop,
    save_checkpoint,
    training_key,
)
from transfer_core.training.train import TrainingResult, train

CHOICES: dict[str, Any] = {
    "epochs": 3,
    "fine_tune_epochs": 4,
    "num_unfrozen_blocks": 2,
    "schedule": "gradual",
    "dropout": 0.5,
    "optimizer": "adamw",
    "weight_decay": 0.1,
    "layer_decay": 0.5,
    "label_smoothing": 0.1,
    "augmentation": "light",
    "num_views": 2,
    "oversampling": True,
    "head": "hidden",
    "hidden_units": 8,
    "early_stopping_patience": 3,
}


class CutOffError(BaseException):
    """The power went off."""


class Clock:
    """A clock that advances by a number of seconds at each call."""

    def __init__(self, seconds: float) -> None:
        self._times = itertools.count(1000, seconds)

    def __call__(self) -> float:
        return float(next(self._times))


def weights_of(folder: Path) -> list[np.ndarray]:
    import keras

    return keras.saving.load_model(folder / "model.keras").get_weights()


def assert_same_weights(folder: Path, other: Path) -> None:
    for one, another in zip(weights_of(folder), weights_of(other), strict=True):
        np.testing.assert_array_equal(one, another)


@pytest.fixture(scope="module")
def config(tiny_config: TrainingConfig) -> TrainingConfig:
    return tiny_config.with_changes(**CHOICES)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def whole(color_dataset, config, cache, tmp_path_factory) -> tuple[Path, TrainingResult]:
    """The training without an interruption, and the folder it filled."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, train(color_dataset, config, folder, cache)


@pytest.fixture
def train_cut(color_dataset: ImageDataset, config: TrainingConfig, cache: Path, tmp_path: Path):
    """`train_cut(moments)` trains, is cut off at each moment, and goes on; returns the log of it all."""

    def run(*moments: Callable[[TrainingEvent], bool], seconds: float = 100.0) -> list[TrainingEvent]:
        log: list[TrainingEvent] = []
        for is_moment in (*moments, None):

            def emit(event: TrainingEvent, is_moment=is_moment) -> None:
                log.append(event)
                if is_moment and is_moment(event):
                    raise CutOffError

            try:
                train(
                    color_dataset,
                    config,
                    tmp_path,
                    cache,
                    emit=emit,
                    clock=Clock(seconds),
                    keep_checkpoint=is_moment is not None,
                )
            except CutOffError:
                assert not (tmp_path / "model.keras").exists()
        return log

    return run


def at_epoch(epoch: int) -> Callable[[TrainingEvent], bool]:
    return lambda event: isinstance(event, EpochEnded) and event.epoch == epoch


def at_batch(epoch: int, share: float) -> Callable[[TrainingEvent], bool]:
    return lambda event: isinstance(event, BatchEnded) and event.epoch == epoch and event.epoch_share >= share


def same_numbers(snapshot: RunSnapshot | TrainingResult) -> list[tuple[Any, ...]]:
    return [tuple(numbers) for numbers in snapshot.history.values()]


CUTS = [
    at_epoch(1),
    at_batch(2, 0.5),
    at_epoch(3),
    lambda event: isinstance(event, PhaseStarted) and event.phase == "fine_tune",
    at_batch(4, 1.0),
    at_batch(4, 1.0),
    at_batch(7, 0.9),
    # Not before it has returned: what its caller does with the model is cut off.
    lambda event: False,
]


def test_weights_and_numbers_are_those_of_an_uninterrupted_training(whole, train_cut, tmp_path: Path) -> None:
    log = train_cut(*CUTS)
    assert sum(isinstance(event, RunResumed) for event in log) == len(CUTS)
    assert_same_weights(tmp_path, whole[0])
    snapshot = snapshot_of(log)
    assert [epoch.epoch for epoch in snapshot.epochs] == list(range(1, len(snapshot.epochs) + 1))
    assert same_numbers(snapshot) == same_numbers(whole[1])
    assert snapshot.best.epoch == whole[1].best_epoch
    assert not (tmp_path / CHECKPOINTS_DIR).exists()


def test_no_more_than_the_work_since_the_checkpoint_is_done_again(train_cut) -> None:
    log = train_cut(at_batch(2, 1.0))
    resumed = next(index for index, event in enumerate(log) if isinstance(event, RunResumed))
    batches_after = [event for event in log[resumed:] if isinstance(event, BatchEnded)]
    # A checkpoint after every batch on this clock, but for the last of an epoch.
    assert (batches_after[0].epoch, batches_after[0].step) == (2, 6)
    started = [event for event in log[resumed:] if isinstance(event, PhaseStarted)]
    assert [(event.phase, event.first_step) for event in started[:2]] == [("features", 42), ("head", 5)]


def test_cut_off_before_the_first_checkpoint_it_begins_again(whole, train_cut, tmp_path: Path) -> None:
    log = train_cut(at_epoch(2), seconds=0.001)
    assert sum(isinstance(event, RunStarted) for event in log) == 2
    assert_same_weights(tmp_path, whole[0])
    assert len(snapshot_of(log).epochs) == len(whole[1].epochs)


def test_quick_epochs_save_every_few_seconds_only(
    color_dataset, tiny_config, cache, tmp_path, monkeypatch
) -> None:
    saved_at: list[int] = []
    monkeypatch.setattr(
        "transfer_core.training.trainer.save_checkpoint",
        lambda output_dir, key, moment: saved_at.append(len(moment.progress.epochs)),
    )
    # The clock advances a second per call; an epoch of three batches calls it four times.
    train(color_dataset, tiny_config.with_changes(epochs=6), tmp_path, cache, clock=Clock(1.0))
    assert saved_at == [2, 4, 6]


class TestCheckpointFile:
    CHECKPOINT = Checkpoint(
        Progress(
            phase=1, epoch=2, step=3, best_loss=0.5, epochs=(EpochEnded(1.0, 1, "head", 1.0, 1.0, 1.0, 1.0),)
        ),
        weights=[np.arange(3.0), np.eye(2)],
        best_weights=[np.ones(1)],
        optimizer=[np.array(7)],
        random_states=[np.array([1, 2], np.uint32)],
        head=HeadChosen(1.0, "hidden", {"linear": 0.5}),
    )

    def test_checkpoint_round_trips(self, tmp_path: Path) -> None:
        save_checkpoint(tmp_path, "key", self.CHECKPOINT)
        loaded = load_checkpoint(tmp_path, "key")
        assert (loaded.progress, loaded.head) == (self.CHECKPOINT.progress, self.CHECKPOINT.head)
        for name in ("weights", "best_weights", "optimizer", "random_states"):
            for one, another in zip(getattr(loaded, name), getattr(self.CHECKPOINT, name), strict=True):
                np.testing.assert_array_equal(one, another)
                assert one.dtype == another.dtype

    def test_of_another_training_is_not_taken(self, tmp_path: Path) -> None:
        save_checkpoint(tmp_path, "key", self.CHECKPOINT)
        assert load_checkpoint(tmp_path, "another") is None

    @pytest.mark.parametrize(
        "content", [b"", b"PK\x03\x04 half a zip", None], ids=["empty", "no zip", "half"]
    )
    def test_damaged_is_as_good_as_none(self, content: bytes | None, tmp_path: Path) -> None:
        save_checkpoint(tmp_path, "key", self.CHECKPOINT)
        (path,) = (tmp_path / CHECKPOINTS_DIR).iterdir()
        half = path.read_bytes()[: path.stat().st_size // 2]
        path.write_bytes(half if content is None else content)
        assert load_checkpoint(tmp_path, "key") is None

    def test_with_any_damage_it_is_whole_or_none(self, tmp_path: Path) -> None:
        save_checkpoint(tmp_path, "key", self.CHECKPOINT)
        (path,) = (tmp_path / CHECKPOINTS_DIR).iterdir()
        content = path.read_bytes()
        for place in range(0, len(content), 5):
            for flipped in (1, 32, 255):
                path.write_bytes(content[:place] + bytes([content[place] ^ flipped]) + content[place + 1 :])
                loaded = load_checkpoint(tmp_path, "key")
                assert loaded is None or repr(loaded) == repr(self.CHECKPOINT)

    def test_unreadable_checkpoint_is_not_overwritten(self, tmp_path: Path, monkeypatch) -> None:
        save_checkpoint(tmp_path, "key", self.CHECKPOINT)

        def refuse(*_arguments: Any) -> None:
            raise OSError(24, "Too many open files")

        with monkeypatch.context() as context:
            context.setattr(Path, "open", refuse)
            with pytest.raises(WorkspaceError, match="Too many open files"):
                load_checkpoint(tmp_path, "key")
        assert load_checkpoint(tmp_path, "key")

    def test_full_disk_keeps_the_previous_checkpoint(self, tmp_path: Path, file_size_limit) -> None:
        save_checkpoint(tmp_path, "key", self.CHECKPOINT)
        larger = replace(self.CHECKPOINT, weights=[np.zeros(10_000)])
        with file_size_limit(5000), pytest.raises(WorkspaceError, match="earlier version of it was kept"):
            save_checkpoint(tmp_path, "key", larger)
        assert load_checkpoint(tmp_path, "key").progress == self.CHECKPOINT.progress

    def test_key_knows_every_choice_label_and_split(self, color_dataset, config) -> None:
        first, *others = color_dataset.images
        other_class = next(name for name in color_dataset.class_names if name != first.class_name)
        other_split = "train" if first.split == "validation" else "validation"
        changed = [structs.replace(first, class_name=other_class), structs.replace(first, split=other_split)]
        datasets = [structs.replace(color_dataset, images=(image, *others)) for image in changed]
        keys = {training_key(dataset, config) for dataset in (color_dataset, *datasets)}
        keys |= {training_key(color_dataset, config.with_changes(seed=2))}
        assert len(keys) == 4
        assert training_key(structs.replace(color_dataset, name="x", version=9), config) in keys

    def test_key_of_another_format_is_another(self, color_dataset, config, monkeypatch) -> None:
        """Version 1 trained at other rates: going on from it would end with weights of no training."""
        key = training_key(color_dataset, config)
        monkeypatch.setattr("transfer_core.training.checkpoint._FORMAT_VERSION", 1)
        assert training_key(color_dataset, config) != key


def ended(*losses: float) -> tuple[EpochEnded, ...]:
    return tuple(EpochEnded(1.0, epoch, "head", 1, 1, loss, 1) for epoch, loss in enumerate(losses, 1))


def progress(*losses: float) -> Progress:
    return Progress(best_loss=min(losses, default=np.inf), epochs=ended(*losses))


@pytest.mark.parametrize(
    ("reached", "reported", "has_checkpoint", "outcome", "words"),
    [
        (progress(), ended(), False, "stopped", "so there is no model"),
        (progress(0.5), ended(), False, "stopped", "was kept"),
        (progress(0.5, 0.6), ended(), True, "stopped", "was kept"),
        # The weights of the checkpoint are not back, or nothing was validated since.
        (progress(), ended(), True, "interrupted", "can still continue"),
        (progress(), ended(0.5), True, "interrupted", "can still continue"),
        (progress(), ended(0.5), False, "interrupted", "can still continue"),
        # The checkpoint was older than the best epoch.
        (progress(0.5), ended(0.5, 0.4), True, "interrupted", "can still continue"),
        (progress(0.5), ended(0.5, 0.6), True, "stopped", "was kept"),
        # A part of an epoch that had been better as a whole.
        (progress(0.5, 0.45), ended(0.5, 0.4), True, "interrupted", "can still continue"),
        (progress(0.5, 0.4), ended(0.5, 0.4), True, "stopped", "was kept"),
        # Another computer rounds differently, so the reported epochs may not come again.
        (progress(0.5, 0.41, 0.6), ended(0.5, 0.4), True, "stopped", "was kept"),
        (progress(0.5), ended(0.5, np.nan), True, "stopped", "was kept"),
    ],
)
def test_outcome_of_a_stop(
    reached: Progress, reported: tuple[EpochEnded, ...], has_checkpoint: bool, outcome: str, words: str
) -> None:
    found, message = outcome_of_stop(reached, reported, has_checkpoint=has_checkpoint)
    assert found == outcome
    assert words in message


def test_random_states_depend_on_seed_and_epoch_alone(keras_module) -> None:
    generators = [keras_module.random.SeedGenerator(seed) for seed in (1, 2)]

    def states(seed: int, epoch: int) -> list[list[int]]:
        compiled_tail.set_random_states(generators, seed, epoch)
        return [generator.state.numpy().tolist() for generator in generators]

    first = states(1, 1)
    assert first[0] != first[1]
    generators[0].next()
    assert states(1, 1) == first
    assert states(1, 2) != first != states(2, 1)
