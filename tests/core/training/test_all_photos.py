"""The end of a training: measured by folds, then trained on training and validation photos together."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.events import (
    EpochEnded,
    FoldEnded,
    PhaseStarted,
    StepsDone,
    TrainingEvent,
)
from transfer_core.training import retraining
from transfer_core.training.all_photos import reason_against_all_photos
from transfer_core.training.checkpoint import Progress
from transfer_core.training.compiled_tail import CompiledTail
from transfer_core.training.out_of_fold import folds_of
from transfer_core.training.retraining import KeptEpochs, kept_epochs
from transfer_core.training.train import TrainingResult, train

FINE_TUNED = {"num_unfrozen_blocks": 1, "dropout": 0.5, "optimizer": "adamw", "weight_decay": 0.1}


@pytest.fixture(scope="module")
def config(even_config: TrainingConfig) -> TrainingConfig:
    return even_config.with_changes(train_on_all=True, dropout=0.3)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def ended(epoch: int, val_loss: float) -> EpochEnded:
    return EpochEnded(0.0, epoch, "head", 1.0, 0.5, val_loss, 0.5)


def progress(losses: list[float], phase_ends: tuple[int, ...]) -> Progress:
    epochs = tuple(ended(number, loss) for number, loss in enumerate(losses, 1))
    return Progress(phase=len(phase_ends), epochs=epochs, phase_ends=phase_ends)


@pytest.mark.parametrize(
    ("losses", "phase_ends", "kept"),
    [
        ([3, 1, 2], (3,), [KeptEpochs(0, 1, 2)]),
        ([3, 1, 2, 1.5, 1.2], (3, 5), [KeptEpochs(0, 1, 2)]),
        ([3, 1, 2, 0.9, 0.8, 0.7], (3, 6), [KeptEpochs(0, 1, 2), KeptEpochs(1, 4, 3)]),
        # The second phase led nowhere, so the third began with the best of the first.
        ([2, 1, 1.5, 0.5], (2, 3, 4), [KeptEpochs(0, 1, 2), KeptEpochs(2, 4, 1)]),
        ([np.nan, 1, np.nan], (3,), [KeptEpochs(0, 1, 2)]),
    ],
)
def test_kept_epochs(losses: list[float], phase_ends: tuple[int, ...], kept: list[KeptEpochs]) -> None:
    assert kept_epochs(progress(losses, phase_ends)) == kept


def test_weights_of_epoch_0_need_no_epochs() -> None:
    epochs = (ended(0, 0.5), ended(1, 0.6))
    assert kept_epochs(Progress(phase=1, epochs=epochs, phase_ends=(1,))) == []


def test_folds_start_with_the_validation_split_and_keep_groups(color_dataset: ImageDataset) -> None:
    images = [
        structs.replace(image, group=f"pair {number // 2}")
        for number, image in enumerate(color_dataset.images)
    ]
    images = [
        structs.replace(image, split="train" if number % 8 < 6 else "validation")
        for number, image in enumerate(images)
    ]
    dataset = structs.replace(color_dataset, images=tuple(images))
    folds = folds_of(dataset, 1)
    train_images, validation = dataset.images_in("train"), dataset.images_in("validation")
    assert (folds[len(train_images) :] == 0).all()
    assert len(validation) == (folds == 0).sum()
    # Each class has three pairs outside the validation split.
    assert set(folds) == {0, 1, 2, 3}
    by_group: dict[str, set[int]] = {}
    for image, fold in zip((*train_images, *validation), folds, strict=True):
        by_group.setdefault(image.group, set()).add(int(fold))
    assert all(len(found) == 1 for found in by_group.values())


def torn(dataset: ImageDataset, num_torn: int) -> ImageDataset:
    """Return a dataset whose first validation images each have a near-duplicate among the training images."""
    by_class: dict[str, int] = {}
    images = []
    for image in dataset.images:
        number = by_class[image.class_name] = by_class.get(image.class_name, -1) + 1
        group = f"pair {number % 3}" if number % 3 < num_torn and number < 6 else f"{number}"
        split = "validation" if number < 3 else "train"
        images.append(structs.replace(image, group=f"{image.class_name} {group}", split=split))
    return structs.replace(dataset, images=tuple(images))


def test_a_group_on_both_sides_is_in_one_fold(color_dataset: ImageDataset) -> None:
    dataset = torn(color_dataset, 2)
    folds = folds_of(dataset, 1)
    images = (*dataset.images_in("train"), *dataset.images_in("validation"))
    by_group: dict[str, set[int]] = {}
    for image, fold in zip(images, folds, strict=True):
        by_group.setdefault(image.group, set()).add(int(fold))
    assert all(len(found) == 1 for found in by_group.values())
    assert (folds == 0).sum() == len(dataset.class_names)
    # The validation split cannot be empty.
    validation = folds_of(torn(color_dataset, 3), 1)[-len(dataset.images_in("validation")) :]
    assert (validation == 0).all()


def test_a_torn_group_is_predicted_by_the_model_without_it(
    color_dataset: ImageDataset, config: TrainingConfig, cache: Path, tmp_path: Path
) -> None:
    dataset = torn(color_dataset, 2)
    found = train(dataset, config, tmp_path, cache).out_of_fold
    assert found is not None and len(found.images) == len(dataset.images)
    groups = np.array(found.groups)
    assert all(len(set(found.folds[groups == group])) == 1 for group in groups)


def test_folds_of_a_person_are_used(color_dataset: ImageDataset) -> None:
    dataset = color_dataset.with_split(0.2, 1, split_by="folds", num_folds=3)
    folds = folds_of(dataset, 1)
    images = (*dataset.images_in("train"), *dataset.images_in("validation"))
    for number, fold in enumerate(dataset.folds()):
        expected = {image.id for image in fold.images_in("validation")}
        assert {image.id for image, own in zip(images, folds, strict=True) if own == number} == expected


@pytest.mark.parametrize("choices", [{"weights": "random"}, {"teacher": "20250101-000000-abcd"}])
def test_off_with_a_reason(config: TrainingConfig, choices: dict[str, Any]) -> None:
    assert reason_against_all_photos(config.with_changes(**choices))
    assert not reason_against_all_photos(config)


def test_a_tail_that_restarts_learns_the_same_again(keras_module, config: TrainingConfig) -> None:
    from transfer_core.backbones.registry import get_backbone
    from transfer_core.training.freezing import FreezePlan
    from transfer_core.training.schedule import PlannedPhase

    def compiled(num_batches: int) -> CompiledTail:
        inputs = keras_module.Input((4,))
        dense = keras_module.layers.Dense(
            3, activation="softmax", kernel_initializer="ones", name="new_layer"
        )
        tail = keras_module.Model(inputs, dense(inputs))
        phase = PlannedPhase("head", FreezePlan(get_backbone("tiny_random")), 2, 0.1)
        return CompiledTail(phase, tail, config, tail, None, num_batches)

    draws = np.random.default_rng(0)
    batches = [(draws.normal(size=(8, 4)).astype(np.float32), draws.integers(3, size=8)) for _ in range(12)]

    def learn(tail: CompiledTail, steps: int) -> list[np.ndarray]:
        for features, labels in batches[:steps]:
            tail.train_on_batch(features, labels)
        return tail.model.get_weights()

    used = compiled(3)
    start = used.model.get_weights()
    learn(used, 6)
    used.model.set_weights(start)
    used.restart(None, 6)
    # Epochs of six batches: the rate follows the epochs, as in a training that was planned with six.
    for one, other in zip(learn(used, 12), learn(compiled(6), 12), strict=True):
        np.testing.assert_allclose(one, other, rtol=0.02)
    used.model.set_weights(start)
    used.restart(None, 3)
    for one, other in zip(learn(used, 6), learn(compiled(3), 6), strict=True):
        np.testing.assert_array_equal(one, other)


class Log:
    """Collects events, and raises or stops at a moment."""

    def __init__(
        self,
        is_moment: Callable[[TrainingEvent], bool] = lambda event: False,
        error: type[BaseException] | None = None,
    ) -> None:
        self.events: list[TrainingEvent] = []
        self.is_stopped = False
        self._is_moment = is_moment
        self._error = error

    def __call__(self, event: TrainingEvent) -> None:
        self.events.append(event)
        if self._is_moment(event):
            if self._error:
                raise self._error
            self.is_stopped = True

    @property
    def phases(self) -> list[str]:
        return [event.phase for event in self.events if isinstance(event, PhaseStarted)]


def weights_of(folder: Path) -> list[np.ndarray]:
    import keras

    return keras.saving.load_model(folder / "model.keras").get_weights()


def assert_same(one: Path, other: Path) -> None:
    for weight, same in zip(weights_of(one), weights_of(other), strict=True):
        np.testing.assert_array_equal(weight, same)


def are_same(one: Path, other: Path) -> bool:
    pairs = zip(weights_of(one), weights_of(other), strict=True)
    return all(np.array_equal(weight, same) for weight, same in pairs)


@pytest.fixture(scope="module")
def whole(color_dataset, config, cache, tmp_path_factory) -> tuple[Path, TrainingResult, Log]:
    folder, log = tmp_path_factory.mktemp("whole"), Log()
    return folder, train(color_dataset, config, folder, cache, emit=log), log


@pytest.fixture(scope="module")
def share(color_dataset, config, cache, tmp_path_factory) -> tuple[Path, TrainingResult]:
    """The same training without the validation photos at its end."""
    folder = tmp_path_factory.mktemp("share")
    return folder, train(color_dataset, config.with_changes(train_on_all=False), folder, cache)


def test_every_photo_is_predicted_by_a_model_that_did_not_learn_from_it(whole, share, color_dataset) -> None:
    folder, result, log = whole
    assert log.phases == ["features", "head", "out_of_fold", "all_photos", "saving"]
    assert result.is_trained_on_all
    found = result.out_of_fold
    assert found.num_folds == 5
    assert {image.id for image in found.images} == {image.id for image in color_dataset.images}
    assert found.probabilities.shape == (24, 3)
    assert found.features.shape[0] == 24
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, rtol=1e-5)
    validation = color_dataset.images_in("validation")
    own = found.probabilities[found.folds == 0]
    accuracy = np.mean(own.argmax(axis=1) == found.labels[found.folds == 0])
    assert len(own) == len(validation)
    assert accuracy == pytest.approx(result.best.val_accuracy)
    assert not are_same(folder, share[0])


def test_curves_are_those_of_the_training_split(whole, share) -> None:
    assert whole[1].history == share[1].history
    assert whole[1].best_epoch == share[1].best_epoch


def test_the_model_is_that_of_a_training_on_all_photos(
    whole, color_dataset, config, cache, tmp_path, monkeypatch
) -> None:
    """The same weights come from a training whose training split has all photos, ended at the kept epoch."""
    from transfer_core.training.phase_trainer import PhaseTrainer, Scores

    folder, result, _log = whole
    images = (*color_dataset.images_in("train"), *color_dataset.images_in("validation"))
    everything = structs.replace(
        color_dataset, images=tuple(structs.replace(image, split="train") for image in images)
    )
    losses = itertools.count(1000, -1)
    monkeypatch.setattr(PhaseTrainer, "_score_start", lambda self: None)
    monkeypatch.setattr(type(everything), "check_trainable", lambda self: None)
    monkeypatch.setattr(PhaseTrainer, "_validate", lambda self: Scores(float(next(losses)), 0.5))
    monkeypatch.setattr(PhaseTrainer, "predict", lambda self, images: np.full((len(images.labels), 3), 1 / 3))
    stop = Log(lambda event: isinstance(event, EpochEnded) and event.epoch == result.best_epoch)
    train(
        everything,
        config.with_changes(train_on_all=False),
        tmp_path,
        cache,
        emit=stop,
        should_stop=lambda: stop.is_stopped,
    )
    for one, other in zip(weights_of(folder), weights_of(tmp_path), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("phase", ["out_of_fold", "all_photos"])
def test_a_stop_keeps_the_model_of_the_training_split(
    phase, share, color_dataset, config, cache, tmp_path
) -> None:
    log = Log(lambda event: isinstance(event, PhaseStarted) and event.phase == phase)
    result = train(color_dataset, config, tmp_path, cache, emit=log, should_stop=lambda: log.is_stopped)
    assert result.outcome == "stopped"
    assert "training photos" in result.message
    assert not result.is_trained_on_all
    assert_same(tmp_path, share[0])


@pytest.fixture(scope="module")
def fine_tuned_share(color_dataset, config, cache, tmp_path_factory) -> tuple[Path, TrainingResult]:
    """A training of two phases without the validation photos at its end."""
    config = config.with_changes(**FINE_TUNED, fine_tune_epochs=3, train_on_all=False)
    folder = tmp_path_factory.mktemp("fine_tuned")
    return folder, train(color_dataset, config, folder, cache)


@pytest.mark.parametrize("phase", ["out_of_fold", "all_photos"])
def test_a_stop_in_an_earlier_phase_answers_with_the_fine_tuned_layers(
    phase, fine_tuned_share, color_dataset, config, cache, tmp_path
) -> None:
    folder, share = fine_tuned_share
    assert share.best.phase == "fine_tune"
    config = config.with_changes(**FINE_TUNED, fine_tune_epochs=3)
    log = Log(lambda event: isinstance(event, PhaseStarted) and event.phase == phase)
    result = train(color_dataset, config, tmp_path, cache, emit=log, should_stop=lambda: log.is_stopped)
    assert result.outcome == "stopped"
    assert_same(tmp_path, folder)
    np.testing.assert_array_equal(result.validation_outputs, share.validation_outputs)


def test_a_loss_out_of_bounds_keeps_the_model_of_the_training_split(
    share, color_dataset, config, cache, tmp_path, monkeypatch
) -> None:
    is_last = Log(lambda event: isinstance(event, PhaseStarted) and event.phase == "all_photos")
    step = CompiledTail.train_on_batch
    monkeypatch.setattr(
        CompiledTail,
        "train_on_batch",
        lambda self, *batch: (np.nan, 0.0) if is_last.is_stopped else step(self, *batch),
    )
    result = train(color_dataset, config, tmp_path, cache, emit=is_last)
    assert result.outcome == "finished"
    assert "no longer a number" in result.message
    assert_same(tmp_path, share[0])


def test_too_little_memory_keeps_the_model_of_the_training_split(
    share, color_dataset, config, cache, tmp_path
) -> None:
    log = Log(lambda event: isinstance(event, PhaseStarted) and event.phase == "all_photos", MemoryError)
    result = train(color_dataset, config, tmp_path, cache, emit=log)
    assert result.outcome == "finished"
    assert "memory" in result.message
    assert_same(tmp_path, share[0])


class CutOffError(BaseException):
    """The power went off."""


def test_a_person_with_folds_sees_each_of_them(color_dataset, config, cache, tmp_path) -> None:
    dataset = color_dataset.with_split(0.2, 1, split_by="folds", num_folds=3)
    log = Log()
    result = train(dataset, config, tmp_path, cache, emit=log)
    ended_folds = [event for event in log.events if isinstance(event, FoldEnded)]
    assert [(event.fold, event.num_folds) for event in ended_folds] == [(1, 3), (2, 3), (3, 3)]
    assert result.out_of_fold.num_folds == 3


@pytest.mark.parametrize(
    "choices",
    [
        FINE_TUNED,
        {"augmentation": "light", "num_views": 2, "oversampling": True},
        {"head": "flattened_map", "label_smoothing": 0.1},
        {"augmentation": "light", "live_augmentation": True},
    ],
)
def test_resumes_to_the_bit(choices, color_dataset, config, cache, tmp_path, monkeypatch) -> None:
    config = config.with_changes(**choices)
    monkeypatch.setattr(retraining, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    monkeypatch.setattr(retraining, "_SECONDS_BETWEEN_EVENTS", 0.0)
    uncut, cut = tmp_path / "uncut", tmp_path / "cut"
    clock = itertools.count(1000, 100)
    result = train(color_dataset, config, uncut, cache, clock=lambda: float(next(clock)))
    assert result.is_trained_on_all
    moments: list[Callable[[TrainingEvent], bool]] = [
        lambda event: isinstance(event, EpochEnded) and event.epoch == 2,
        lambda event: isinstance(event, PhaseStarted) and event.phase == "out_of_fold",
        lambda event: isinstance(event, StepsDone) and event.num_done == 5,
        lambda event: isinstance(event, StepsDone) and event.num_done == 7,
    ]
    for is_moment in moments:
        with pytest.raises(CutOffError):
            train(
                color_dataset,
                config,
                cut,
                cache,
                emit=Log(is_moment, CutOffError),
                clock=lambda: float(next(clock)),
                keep_checkpoint=True,
            )
    log = Log()
    train(color_dataset, config, cut, cache, emit=log, clock=lambda: float(next(clock)))
    assert "head" not in log.phases
    assert_same(cut, uncut)
