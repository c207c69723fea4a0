"""Each part of the images takes its turn to be checked with, once, also across an interruption."""

from __future__ import annotations

from pathlib import Path
from statistics import mean

import pytest

from tests.conftest import MakeImage
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.errors import TrainingError
from transfer_core.events import FoldEnded, PhaseStarted, RunEnded, TrainingEvent, snapshot_of
from transfer_core.runs import cross_validation
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.train import TrainingResult, train
from transfer_core.work.execute import execute_run
from transfer_core.workspace import Workspace

NUM_FOLDS = 4


@pytest.fixture
def run(workspace: Workspace, make_image: MakeImage, tiny_config: TrainingConfig) -> TrainingRun:
    files = [
        ImportedFile((color, f"{number}.png"), lambda c=color, n=number: make_image(c, seed=n))
        for color in ("blue", "red")
        for number in range(8)
    ]
    dataset = add_files(create_dataset(workspace, "Own"), files)
    folded = dataset.with_split(0.2, 1, split_by="folds", num_folds=NUM_FOLDS).save()
    return TrainingRun.create(workspace, folded, tiny_config.with_changes(epochs=2))


def carry_out(workspace: Workspace, run: TrainingRun, stop_after: int | None = None) -> list[TrainingEvent]:
    events: list[TrainingEvent] = []

    def should_stop() -> bool:
        return stop_after is not None and len(folds_in(events)) >= stop_after

    execute_run(workspace, run, events.append, should_stop)
    return events


def folds_in(events: list[TrainingEvent]) -> list[FoldEnded]:
    return [event for event in events if isinstance(event, FoldEnded)]


def test_every_part_takes_its_turn(workspace: Workspace, run: TrainingRun) -> None:
    events = carry_out(workspace, run)
    folds = folds_in(events)
    assert [(event.fold, event.num_folds) for event in folds] == [
        (fold, NUM_FOLDS) for fold in range(1, NUM_FOLDS + 1)
    ]
    assert isinstance(events[-1], RunEnded)
    snapshot = snapshot_of(events)
    assert snapshot.fold_accuracies == tuple(event.val_accuracy for event in folds)
    assert 0 <= mean(snapshot.fold_accuracies) <= 1
    evaluation = run.evaluation()
    assert evaluation is not None
    assert snapshot.fold_accuracies[0] == evaluation.accuracy


def test_each_turn_is_a_training_on_the_other_parts(
    workspace: Workspace, run: TrainingRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked_with: list[str] = []

    def spy(dataset: ImageDataset, *arguments, **options) -> TrainingResult:
        checked_with.extend(image.id for image in dataset.images_in("validation"))
        return train(dataset, *arguments, **options)

    monkeypatch.setattr(cross_validation, "train", spy)
    carry_out(workspace, run)
    dataset = ImageDataset.load(workspace, run.dataset_id)
    first = [image.id for image in dataset.images_in("validation")]
    assert sorted([*first, *checked_with]) == sorted(image.id for image in dataset.images)


def test_a_part_that_is_done_is_not_done_again(
    workspace: Workspace, run: TrainingRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = folds_in(carry_out(workspace, run, stop_after=3))
    assert len(first) == 3
    trained: list[ImageDataset] = []

    def spy(dataset: ImageDataset, *arguments, **options) -> TrainingResult:
        trained.append(dataset)
        return train(dataset, *arguments, **options)

    monkeypatch.setattr(cross_validation, "train", spy)
    again = folds_in(carry_out(workspace, run))
    assert len(trained) == NUM_FOLDS - 3
    assert [event.val_accuracy for event in again][:3] == [event.val_accuracy for event in first]


def test_a_part_out_of_bounds_leaves_the_run_as_it_is(
    workspace: Workspace, run: TrainingRun, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_arguments, **_options) -> TrainingResult:
        raise TrainingError("Its loss is no longer a number.")

    monkeypatch.setattr(cross_validation, "train", fail)
    events = carry_out(workspace, run)
    assert [event.fold for event in folds_in(events)] == [1]
    assert isinstance(events[-1], RunEnded)
    assert (events[-1].outcome, run.has_model) == ("finished", True)
    assert "no longer a number" in caplog.text


@pytest.mark.parametrize(
    "content", ["{}", "[]", '{"key": "key"}', '{"key": "key", "val_accuracy": null}', "{"]
)
def test_a_damaged_part_counts_as_not_done(content: str, tmp_path: Path) -> None:
    (tmp_path / "fold.json").write_text(content)
    assert cross_validation._known(tmp_path, "key") is None


def test_a_share_is_checked_once(workspace: Workspace, run: TrainingRun) -> None:
    ImageDataset.load(workspace, run.dataset_id).with_split(0.25, 1, split_by="share").save()
    events = carry_out(workspace, run)
    assert not folds_in(events)
    assert not any(isinstance(event, PhaseStarted) and event.phase == "cross_validation" for event in events)
