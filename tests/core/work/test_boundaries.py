"""Stopped, paused or cut off at any boundary, a run loses nothing: it can go on, or its best model is kept."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from tests.conftest import MakeImage
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.errors import (
    NotFoundError,
    TrainingError,
    UnreadableImageError,
    WeightsError,
    WorkspaceError,
)
from transfer_core.events import (
    BatchEnded,
    EpochEnded,
    FoldEnded,
    HeadChosen,
    ImagesSeen,
    PhaseStarted,
    RunEnded,
    RunPaused,
    RunResumed,
    RunStarted,
    TrainingEvent,
)
from transfer_core.language import said
from transfer_core.runs.event_log import EventLog
from transfer_core.runs.run_status import run_status
from transfer_core.runs.training_run import EVENTS_FILE, TrainingRun
from transfer_core.training import phase_trainer
from transfer_core.training.batches import LabelledFeatures
from transfer_core.work import execute
from transfer_core.work.execute import execute_run_safely
from transfer_core.work.live_run import LiveRun
from transfer_core.workspace import Workspace

Moment = Callable[[TrainingEvent], bool]


class CutOffError(BaseException):
    """The power went off."""


@dataclass
class Nth:
    """Whether an event is the n-th of its kind that has such facts."""

    kind: type[TrainingEvent]
    number: int = 1
    facts: dict[str, Any] = field(default_factory=dict)

    def moment(self) -> Moment:
        num_seen = 0

        def is_moment(event: TrainingEvent) -> bool:
            nonlocal num_seen
            is_of_kind = isinstance(event, self.kind) and self.facts.items() <= structs.asdict(event).items()
            num_seen += is_of_kind
            return is_of_kind and num_seen == self.number

        return is_moment


# In the order in which a new run with fine-tuning comes by them.
BEFORE_LEARNING = {
    "before the build": Nth(RunStarted),
    "features of the head choice": Nth(ImagesSeen, 1),
    "head choice": Nth(PhaseStarted, 1, {"phase": "head_choice"}),
    "after the head choice": Nth(HeadChosen),
}
WHILE_LEARNING = {
    # They come out of the pass for the head choice: the training goes on to its first batch.
    "features of the first phase": Nth(PhaseStarted, 2, {"phase": "features"}),
    "first batch": Nth(BatchEnded),
    "first epoch": Nth(EpochEnded),
    "features between phases": Nth(PhaseStarted, 3, {"phase": "features"}),
    "batch of the second phase": Nth(BatchEnded, 1, {"epoch": 3}),
    "epoch of the second phase": Nth(EpochEnded, 1, {"epoch": 3}),
}
AFTER_LEARNING = {
    "last epoch": Nth(EpochEnded, 1, {"epoch": 4}),
    "evaluation": Nth(PhaseStarted, 1, {"phase": "evaluation"}),
    "first part": Nth(FoldEnded, 1, {"fold": 1}),
}
# After the checkpoint of the second epoch, while the third had been reported.
BEFORE_IT_IS_BACK = {
    "before the build": Nth(RunResumed),
    "features": Nth(PhaseStarted, 1, {"phase": "features"}),
    "weights are back": Nth(PhaseStarted, 1, {"phase": "head"}),
    "features between phases": Nth(PhaseStarted, 2, {"phase": "features"}),
}


@pytest.fixture(scope="module", autouse=True)
def eager(keras_module) -> Iterator[None]:
    """Tracing graphs takes longer than these trainings, and has no part in what is tested."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace(tmp_path_factory.mktemp("boundaries"))


@pytest.fixture(scope="module")
def dataset(here: Workspace, make_image: MakeImage) -> ImageDataset:
    # One photo of each class has the colour of the other, or the head alone would be right and no later epoch better.
    files = [
        ImportedFile(
            (color, f"{n}.png"),
            lambda c=color if n else other, n=n, first=first: make_image(c, seed=n + first, noise=90),
        )
        for color, other, first in (("blue", "red", 0), ("red", "blue", 50))
        for n in range(8)
    ]
    dataset = add_files(create_dataset(here, "Own"), files)
    return dataset.with_split(0.5, 1, split_by="folds", num_folds=2).save()


@pytest.fixture
def new_run(here: Workspace, dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch) -> TrainingRun:
    """A run of four epochs in two phases, which saves a checkpoint after each epoch."""
    monkeypatch.setattr(phase_trainer, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    return create(here, dataset)


def create(here: Workspace, dataset: ImageDataset) -> TrainingRun:
    config = TrainingConfig(
        backbone="tiny_random",
        epochs=2,
        fine_tune_epochs=2,
        num_unfrozen_blocks=1,
        batch_size=4,
        dropout=0.5,
        learning_rate=0.003,
        fine_tune_learning_rate=0.01,
        head="auto",
    )
    return TrainingRun.create(here, dataset, config)


def carry_out(
    here: Workspace, run: TrainingRun, *, stop_at: Nth | None = None, cut_off_at: Nth | None = None
) -> list[TrainingEvent]:
    """Let a run begin or go on, and ask it to stop or cut it off at a moment."""
    log = EventLog(run.folder / EVENTS_FILE)
    log.refresh()
    is_stop = stop_at.moment() if stop_at else None
    is_cut_off = cut_off_at.moment() if cut_off_at else None
    events: list[TrainingEvent] = []
    is_stopping = False

    def emit(event: TrainingEvent) -> None:
        nonlocal is_stopping
        log.append(event)
        events.append(event)
        is_stopping = is_stopping or bool(is_stop and is_stop(event))
        if is_cut_off and is_cut_off(event):
            raise CutOffError

    try:
        execute_run_safely(here, run, emit, lambda: is_stopping)
    except CutOffError:
        assert cut_off_at
        assert not any(isinstance(event, RunEnded) for event in events)
    else:
        assert not cut_off_at
        assert isinstance(events[-1], RunEnded)
    return events


def forget_features(here: Workspace) -> None:
    """Let the next features be computed: a stop is heard between two batches of photos."""
    shutil.rmtree(here.cache_dir, ignore_errors=True)


@pytest.fixture(scope="module")
def whole(here: Workspace, dataset: ImageDataset) -> TrainingRun:
    """The run without an interruption."""
    run = create(here, dataset)
    carry_out(here, run)
    assert run_status(run) == "finished"
    return run


@pytest.fixture(scope="module")
def cut_off(here: Workspace, dataset: ImageDataset, whole: TrainingRun) -> TrainingRun:
    """A run whose checkpoint is of the second epoch, although the third and better one had been reported."""
    run = create(here, dataset)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(phase_trainer, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
        carry_out(here, run, cut_off_at=WHILE_LEARNING["epoch of the second phase"])
    losses = [epoch.val_loss for epoch in run.snapshot().epochs]
    assert losses[2] < min(losses[:2]) - 0.002
    return run


@pytest.fixture
def resumable(cut_off: TrainingRun, new_run: TrainingRun) -> TrainingRun:
    """A copy of the run that was cut off."""
    shutil.copytree(cut_off.folder, new_run.folder, dirs_exist_ok=True)
    return new_run


def weights_of(run: TrainingRun) -> list[np.ndarray]:
    import keras

    return keras.saving.load_model(run.folder / "model.keras").get_weights()


def course(run: TrainingRun) -> list[tuple[Any, ...]]:
    return [
        (epoch.epoch, epoch.phase, epoch.loss, epoch.accuracy, epoch.val_loss, epoch.val_accuracy)
        for epoch in run.snapshot().epochs
    ]


def check_same(run: TrainingRun, whole: TrainingRun) -> None:
    """The run ended as if nothing had happened."""
    assert run_status(run) == "finished"
    assert course(run) == course(whole)
    assert run.snapshot().head.head == whole.snapshot().head.head
    assert run.snapshot().fold_accuracies == whole.snapshot().fold_accuracies
    assert run.evaluation() == whole.evaluation()
    for one, other in zip(weights_of(run), weights_of(whole), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not run.has_checkpoint


def check_best_is_kept(run: TrainingRun) -> None:
    """The model is the best that was ever reported."""
    best = min(
        (event for event in run.events() if isinstance(event, EpochEnded)), key=lambda epoch: epoch.val_loss
    )
    evaluation = run.evaluation()
    assert evaluation is not None
    assert evaluation.accuracy == pytest.approx(best.val_accuracy)
    assert evaluation.log_loss == pytest.approx(best.val_loss, abs=0.01)
    assert run.snapshot().best_epoch == best.epoch
    assert not run.has_checkpoint


def check_can_go_on(run: TrainingRun) -> None:
    assert run_status(run) == "interrupted"
    assert run.snapshot().best_epoch == 0
    assert run.has_checkpoint
    assert not run.has_model


class TestNewRun:
    @pytest.mark.parametrize("boundary", BEFORE_LEARNING)
    def test_stopped_before_it_learned_leaves_nothing(self, boundary: str, here, new_run) -> None:
        forget_features(here)
        carry_out(here, new_run, stop_at=BEFORE_LEARNING[boundary])
        assert run_status(new_run) == "stopped"
        assert {path.name for path in new_run.folder.iterdir()} == {
            "config.json",
            "split.json",
            "events.jsonl",
        }

    @pytest.mark.parametrize("boundary", WHILE_LEARNING)
    def test_stopped_later_it_keeps_the_best(self, boundary: str, here, new_run) -> None:
        forget_features(here)
        carry_out(here, new_run, stop_at=WHILE_LEARNING[boundary])
        assert run_status(new_run) == "stopped"
        check_best_is_kept(new_run)

    @pytest.mark.parametrize("boundary", AFTER_LEARNING)
    def test_stopped_when_all_is_learned_it_is_finished(self, boundary: str, here, new_run) -> None:
        carry_out(here, new_run, stop_at=AFTER_LEARNING[boundary])
        assert run_status(new_run) == "finished"
        check_best_is_kept(new_run)
        assert not list(new_run.folder.glob("folds/*/*"))

    def test_cut_off_after_a_stop_it_goes_on_as_if_there_had_been_none(self, here, new_run, whole) -> None:
        """What a stop leaves of an epoch is in no checkpoint."""
        carry_out(
            here,
            new_run,
            stop_at=WHILE_LEARNING["batch of the second phase"],
            cut_off_at=AFTER_LEARNING["evaluation"],
        )
        assert len(new_run.snapshot().epochs) == 3
        carry_out(here, new_run)
        check_same(new_run, whole)

    def test_cut_off_at_every_boundary_ends_with_the_same_weights(
        self, here, new_run, whole, monkeypatch
    ) -> None:
        forget_features(here)
        for moment in (*BEFORE_LEARNING.values(), *WHILE_LEARNING.values(), *AFTER_LEARNING.values()):
            carry_out(here, new_run, cut_off_at=moment)
            assert run_status(new_run) == "interrupted"
        with monkeypatch.context() as context:
            context.setattr("keras.Model.save", save_half)
            carry_out_until_saving(here, new_run)
        carry_out(here, new_run)
        check_same(new_run, whole)


def save_half(_model: Any, path: Path) -> None:
    path.write_bytes(b"half a model")
    raise CutOffError


def carry_out_until_saving(here: Workspace, run: TrainingRun) -> None:
    with pytest.raises(CutOffError):
        execute_run_safely(here, run, EventLog(run.folder / EVENTS_FILE).append, lambda: False)


class TestResumedRun:
    def test_stopped_or_cut_off_before_it_is_back_it_can_go_on(
        self, here, resumable, whole, monkeypatch
    ) -> None:
        for moment in BEFORE_IT_IS_BACK.values():
            forget_features(here)
            carry_out(here, resumable, stop_at=moment)
            check_can_go_on(resumable)
            carry_out(here, resumable, cut_off_at=moment)
            check_can_go_on(resumable)
        with monkeypatch.context() as context:
            context.setattr(execute, "_load_keras_unless", lambda should_stop: False)
            assert len(carry_out(here, resumable)) == 1
        check_can_go_on(resumable)
        events = carry_out(here, resumable)
        assert not any(isinstance(event, HeadChosen) for event in events)
        check_same(resumable, whole)

    def test_stopped_before_it_is_back_in_the_first_epoch_it_can_go_on(
        self, here, new_run, whole, monkeypatch
    ) -> None:
        monkeypatch.setattr(phase_trainer, "_MOST_SECONDS_WITHOUT_CHECKPOINT", 0.0)
        carry_out(here, new_run, cut_off_at=WHILE_LEARNING["first epoch"])
        events = carry_out(here, new_run, stop_at=BEFORE_IT_IS_BACK["before the build"])
        assert [event.epoch for event in events if isinstance(event, RunResumed)] == [0]
        check_can_go_on(new_run)
        carry_out(here, new_run)
        check_same(new_run, whole)

    def test_stopped_in_an_epoch_it_had_reported_better_it_can_go_on(self, here, resumable, whole) -> None:
        carry_out(here, resumable, stop_at=WHILE_LEARNING["batch of the second phase"])
        check_can_go_on(resumable)
        carry_out(here, resumable)
        check_same(resumable, whole)

    def test_stopped_when_it_is_back_it_keeps_the_best(self, here, resumable) -> None:
        carry_out(here, resumable, stop_at=WHILE_LEARNING["epoch of the second phase"])
        assert run_status(resumable) == "stopped"
        check_best_is_kept(resumable)

    def test_numbers_out_of_bounds_keep_the_best(self, here, resumable, monkeypatch) -> None:
        shuffled_batches = LabelledFeatures.shuffled_batches

        def spoiled(self: LabelledFeatures, batch_size: int, seed: int, epoch: int, first: int) -> Any:
            for features, targets in shuffled_batches(self, batch_size, seed, epoch, first):
                yield (features * np.nan if epoch == 4 else features), targets

        monkeypatch.setattr(LabelledFeatures, "shuffled_batches", spoiled)
        carry_out(here, resumable)
        assert run_status(resumable) == "stopped"
        check_best_is_kept(resumable)

    def test_stopped_without_a_checkpoint_it_can_begin_again(self, here, resumable) -> None:
        shutil.rmtree(resumable.folder / "checkpoints")
        for moment in BEFORE_LEARNING.values():
            forget_features(here)
            carry_out(here, resumable, stop_at=moment)
            assert run_status(resumable) == "interrupted"

    @pytest.mark.parametrize(
        "error",
        [
            WorkspaceError("The disk is full."),
            UnreadableImageError("A photo is damaged."),
            WeightsError("The weights are missing."),
            NotFoundError("The teacher is gone."),
            TrainingError("This cannot be trained."),
            ZeroDivisionError(),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_error_before_it_is_back_leaves_the_checkpoint(
        self, error: Exception, here, resumable, monkeypatch
    ) -> None:
        def fail(*_arguments: Any) -> None:
            raise error

        monkeypatch.setattr("transfer_core.training.trainer.build_classifier", fail)
        carry_out(here, resumable)
        check_can_go_on(resumable)


@pytest.mark.parametrize("kind", ["new_run", "resumable"])
def test_paused_at_every_boundary_nothing_changes(kind: str, here, whole, request) -> None:
    run: TrainingRun = request.getfixturevalue(kind)
    live = LiveRun(run)
    append = live.log.append

    def append_and_go_on(event: TrainingEvent) -> None:
        append(event)
        if isinstance(event, RunPaused):
            live.go_on()
        else:
            live.pause()

    live.log.append = append_and_go_on  # type: ignore[method-assign]
    live.pause()
    execute_run_safely(here, run, append_and_go_on, live.should_stop)
    live.release()
    assert sum(isinstance(event, RunPaused) for event in run.events()) >= 15
    check_same(run, whole)


def test_too_little_room_for_a_new_run_is_no_failure(here, new_run, monkeypatch) -> None:
    monkeypatch.setattr("transfer_core.training.resources.free_disk", lambda folder: 5_000_000)
    monkeypatch.setattr(Workspace, "cache_dir", property(lambda self: new_run.folder / "cache"))
    ended = carry_out(here, new_run)[-1]
    assert run_status(new_run) == "interrupted"
    assert "Another 200 MB must stay free" in said(ended.message)
