"""Each fold of the images is validated on once, also across an interruption."""

from __future__ import annotations

from pathlib import Path
from statistics import mean

import pytest

from tests.conftest import MakeImage
from transfer_core.backbones.registry import get_backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.errors import TrainingError
from transfer_core.events import FoldEnded, RunEnded, TrainingEvent, snapshot_of
from transfer_core.runs import cross_validation
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.train import TrainingResult, train
from transfer_core.work.execute import execute_run
from transfer_core.workspace import Workspace

NUM_FOLDS = 3


@pytest.fixture
def run(workspace: Workspace, make_image: MakeImage, tiny_config: TrainingConfig) -> TrainingRun:
    files = [
        ImportedFile((color, f"{number}.png"), lambda c=color, n=number: make_image(c, seed=n))
        for color in ("blue", "red")
        for number in range(6)
    ]
    dataset = add_files(create_dataset(workspace, "Own"), files)
    folded = dataset.with_split(0.2, 1, split_by="folds", num_folds=NUM_FOLDS).save()
    return TrainingRun.create(workspace, folded, tiny_config.with_changes(epochs=1))


@pytest.fixture
def validate_folds(workspace: Workspace, run: TrainingRun):
    """`validate_folds()` trains the other folds of a run that has been trained; returns the events."""

    def validate(stop_after: int | None = None) -> list[TrainingEvent]:
        events: list[TrainingEvent] = []

        def should_stop() -> bool:
            return stop_after is not None and len(folds_in(events)) >= stop_after

        dataset = ImageDataset.load(workspace, run.dataset_id)
        cross_validation.cross_validate(
            dataset,
            run.config,
            get_backbone(run.config.backbone),
            run.folder,
            workspace.cache_dir,
            0.5,
            events.append,
            should_stop,
        )
        return events

    return validate


def folds_in(events: list[TrainingEvent]) -> list[FoldEnded]:
    return [event for event in events if isinstance(event, FoldEnded)]


def spy_on_train(monkeypatch: pytest.MonkeyPatch) -> list[ImageDataset]:
    """Return a list that gets the dataset of each training."""
    trained: list[ImageDataset] = []

    def spy(dataset: ImageDataset, *arguments, **options) -> TrainingResult:
        trained.append(dataset)
        return train(dataset, *arguments, **options)

    monkeypatch.setattr(cross_validation, "train", spy)
    return trained


def test_every_fold_is_validated_on_before_the_run_ends(workspace: Workspace, run: TrainingRun) -> None:
    events: list[TrainingEvent] = []
    execute_run(workspace, run, events.append, lambda: False)
    assert [(event.fold, event.num_folds) for event in folds_in(events)] == [
        (fold, NUM_FOLDS) for fold in range(1, NUM_FOLDS + 1)
    ]
    assert isinstance(events[-1], RunEnded)
    snapshot = snapshot_of(events)
    assert snapshot.fold_accuracies == tuple(event.val_accuracy for event in folds_in(events))
    assert 0 <= mean(snapshot.fold_accuracies) <= 1
    evaluation = run.evaluation()
    assert evaluation is not None
    assert snapshot.fold_accuracies[0] == evaluation.accuracy


def test_each_image_is_validated_on_once_and_a_finished_fold_is_not_trained_again(
    workspace: Workspace, run: TrainingRun, validate_folds, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = spy_on_train(monkeypatch)
    first = folds_in(validate_folds(stop_after=NUM_FOLDS - 1))
    assert len(first) == NUM_FOLDS - 1
    # The last training of these was stopped at once.
    *finished, _stopped = trained
    trained.clear()
    again = folds_in(validate_folds())
    assert len(trained) == 1
    assert [event.val_accuracy for event in again][:-1] == [event.val_accuracy for event in first]
    dataset = ImageDataset.load(workspace, run.dataset_id)
    validated = [
        image.id for fold in (dataset, *finished, *trained) for image in fold.images_in("validation")
    ]
    assert sorted(validated) == sorted(image.id for image in dataset.images)


def test_a_fold_out_of_bounds_ends_the_cross_validation_alone(
    validate_folds, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_arguments, **_options) -> TrainingResult:
        raise TrainingError("Its loss is no longer a number.")

    monkeypatch.setattr(cross_validation, "train", fail)
    assert [event.fold for event in folds_in(validate_folds())] == [1]
    assert "no longer a number" in caplog.text


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        "[]",
        '{"key": "key"}',
        '{"key": "key", "val_accuracy": null}',
        '{"key": "key", "val_accuracy": 1.5}',
        '{"key": "other", "val_accuracy": 0.5}',
        "{",
    ],
)
def test_a_damaged_fold_counts_as_not_finished(content: str, tmp_path: Path) -> None:
    (tmp_path / "fold.json").write_text(content)
    assert cross_validation.finished_fold(tmp_path, "key") is None


def test_a_dataset_without_folds_is_not_cross_validated(
    workspace: Workspace, run: TrainingRun, validate_folds
) -> None:
    ImageDataset.load(workspace, run.dataset_id).with_split(0.25, 1, split_by="share").save()
    assert validate_folds() == []
