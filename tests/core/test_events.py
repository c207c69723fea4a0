"""The fold of the events of a run: pure, and everything a chart shows can be derived from it."""

import copy
import json
import math
from typing import Any

import pytest

from transfer_core.events import (
    BatchEnded,
    BatchLoss,
    EpochEnded,
    HeadChosen,
    ImagesSeen,
    PhaseStarted,
    PhotosLeftOut,
    RunContinued,
    RunEnded,
    RunPaused,
    RunResumed,
    RunSnapshot,
    RunStarted,
    TrainingEvent,
    event_from_dict,
    event_to_dict,
    reduce,
    snapshot_of,
)

STORY: list[TrainingEvent] = [
    RunStarted(100.0, num_train_images=80, num_validation_images=20, num_epochs=3),
    PhaseStarted(101.0, "features", num_steps=100),
    ImagesSeen(103.0, num_done=40),
    ImagesSeen(106.0, num_done=100),
    PhaseStarted(106.0, "head", num_steps=6),
    BatchEnded(107.0, epoch=1, step=1, loss=1.5, accuracy=0.25, num_images=32),
    BatchEnded(108.0, epoch=1, step=3, loss=1.2, accuracy=0.5, num_images=80),
    EpochEnded(108.5, 1, "head", loss=1.2, accuracy=0.5, val_loss=0.9, val_accuracy=0.6),
    BatchEnded(110.0, epoch=2, step=6, loss=0.8, accuracy=0.75, num_images=160),
    EpochEnded(110.5, 2, "head", loss=0.8, accuracy=0.75, val_loss=0.7, val_accuracy=0.8),
    RunEnded(112.0, "finished", "", best_epoch=2),
]


def epoch_ended(epoch: int, val_loss: float) -> EpochEnded:
    return EpochEnded(float(epoch), epoch, "head", 0.5, 0.5, val_loss, 0.5)


OTHER_EVENTS = [
    RunStarted(1.0, 8, 2, 3, assumed_seconds=(1.0, 2.0)),
    RunResumed(1.0, epoch=2, assumed_seconds=(1.0,)),
    RunPaused(1.0),
    RunContinued(2.0),
    PhaseStarted(1.0, "fine_tune", 10, first_step=3),
    HeadChosen(1.0, "hidden", {"linear": 0.5, "hidden": 0.75}),
    PhotosLeftOut(1.0, ("a1", "b2"), ("rose.jpg", "tulip.png"), ("roses", "tulips")),
]


@pytest.mark.parametrize("event", [*STORY, *OTHER_EVENTS], ids=lambda event: type(event).__name__)
def test_round_trip_through_json(event: TrainingEvent) -> None:
    assert event_from_dict(json.loads(json.dumps(event_to_dict(event)))) == event


def test_nan_survives_the_log() -> None:
    event = event_from_dict(json.loads(json.dumps(event_to_dict(epoch_ended(1, math.nan)))))
    assert isinstance(event, EpochEnded)
    assert math.isnan(event.val_loss)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"time": 1.0},
        {"event": "Exploded", "time": 1.0},
        {"event": "TrainingEvent", "time": 1.0},
        {"event": "ImagesSeen", "time": 1.0},
        {"event": "ImagesSeen", "time": 1.0, "num_done": 1, "more": 2},
        {"event": ["ImagesSeen"], "time": 1.0},
        {"event": "ImagesSeen", "time": 1.0, "num_done": -1},
        {"event": "ImagesSeen", "time": 1.0, "num_done": 1.0},
        {"event": "ImagesSeen", "time": 1.0, "num_done": True},
        {"event": "ImagesSeen", "time": 1.0, "num_done": 2**53 + 1},
        {"event": "ImagesSeen", "time": -1.0, "num_done": 1},
        {"event": "ImagesSeen", "time": 1e11, "num_done": 1},
        {"event": "ImagesSeen", "time": math.nan, "num_done": 1},
        {"event": "RunEnded", "time": 1.0, "outcome": "lost"},
        {"event": "RunResumed", "time": 1.0, "epoch": 1, "assumed_seconds": [math.inf]},
        {"event": "HeadChosen", "time": 1.0, "head": "linear", "accuracies": {"linear": 1.5}},
        {"event": "FoldEnded", "time": 1.0, "fold": 0, "num_folds": 5, "val_accuracy": 1},
        {"event": "FoldEnded", "time": 1.0, "fold": 3, "num_folds": 2, "val_accuracy": 1},
        {"event": "FoldEnded", "time": 1.0, "fold": 3, "num_folds": 11, "val_accuracy": 1},
        [],
        None,
    ],
    ids=str,
)
def test_a_damaged_event_is_refused(values: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        event_from_dict(values)


def test_reading_an_event_leaves_the_dictionary_as_it_was() -> None:
    values = event_to_dict(STORY[0])
    before = dict(values)
    event_from_dict(values)
    assert values == before


def test_the_fold_is_pure() -> None:
    snapshot = snapshot_of(STORY[:7])
    before = copy.deepcopy(snapshot)
    first, second = reduce(snapshot, STORY[7]), reduce(snapshot, STORY[7])
    assert first == second != snapshot
    assert snapshot == before
    assert snapshot_of(STORY) == snapshot_of(list(STORY))


def test_events_and_snapshots_cannot_be_changed() -> None:
    for value, field in ((STORY[0], "time"), (snapshot_of(STORY), "step")):
        with pytest.raises(AttributeError):
            setattr(value, field, 0)


def test_before_anything_happened() -> None:
    snapshot = snapshot_of([])
    assert snapshot == RunSnapshot()
    assert snapshot.best is None
    assert snapshot.images_per_second is None
    assert snapshot.seconds_left is None
    assert (snapshot.phase_share, snapshot.phase_seconds, snapshot.seconds) == (0.0, 0.0, 0.0)


def test_the_start_is_kept() -> None:
    snapshot = snapshot_of(STORY[:1])
    assert (snapshot.started_at, snapshot.updated_at, snapshot.ended_at) == (100.0, 100.0, None)
    assert (snapshot.num_train_images, snapshot.num_validation_images, snapshot.num_epochs) == (80, 20, 3)


def test_while_frozen_layers_look_at_the_images() -> None:
    snapshot = snapshot_of(STORY[:3])
    assert snapshot.phase == "features"
    assert snapshot.phase_share == 0.4
    assert snapshot.phase_seconds == 2.0
    assert snapshot.images_per_second == 20.0
    assert snapshot.seconds_left == 3.0


def test_a_phase_begins_at_nothing() -> None:
    snapshot = snapshot_of(STORY[:5])
    assert (snapshot.phase, snapshot.num_steps, snapshot.step, snapshot.num_images) == ("head", 6, 0, 0)
    assert snapshot.phase_share == 0.0
    assert snapshot.images_per_second is None
    assert snapshot.seconds_left is None


def test_in_the_middle_of_an_epoch() -> None:
    snapshot = snapshot_of(STORY[:7])
    assert (snapshot.epoch, snapshot.batch_loss, snapshot.batch_accuracy) == (1, 1.2, 0.5)
    assert snapshot.phase_share == 0.5
    assert snapshot.images_per_second == 40.0
    assert snapshot.seconds_left == 2.0


def test_at_the_end() -> None:
    snapshot = snapshot_of(STORY)
    assert snapshot.epochs == (STORY[7], STORY[9])
    assert (snapshot.outcome, snapshot.message, snapshot.best_epoch) == ("finished", "", 2)
    assert snapshot.best == STORY[9]
    assert snapshot.seconds == 12.0


def test_seconds_run_while_the_training_runs() -> None:
    assert snapshot_of(STORY[:7]).seconds == 8.0


def test_a_share_is_never_above_one_and_time_left_never_negative() -> None:
    events = [PhaseStarted(0.0, "head", 2), BatchEnded(1.0, 1, 5, 0.1, 1.0, 9)]
    snapshot = snapshot_of(events)
    assert snapshot.phase_share == 1.0
    assert snapshot.seconds_left == 0.0


def test_a_clock_that_was_set_back_gives_no_negative_times() -> None:
    events = [RunStarted(100.0, 1, 1, 1), PhaseStarted(100.0, "head", 2), BatchEnded(90.0, 1, 1, 0.1, 1.0, 9)]
    snapshot = snapshot_of(events)
    assert (snapshot.phase_seconds, snapshot.seconds) == (0.0, 0.0)
    assert snapshot.images_per_second is None
    assert snapshot.seconds_left is None


@pytest.mark.parametrize(
    ("val_losses", "best_epoch"),
    [
        ([0.9, 0.5, 0.7], 2),
        ([math.nan, 0.9, math.nan], 2),
        ([0.5, math.nan, 0.5], 1),
        ([math.inf, 2.0], 2),
        ([-math.inf, 2.0], 2),
        ([math.nan, math.inf], None),
    ],
)
def test_the_best_epoch_has_the_lowest_validation_loss_that_is_a_number(
    val_losses: list[float], best_epoch: int | None
) -> None:
    best = snapshot_of(epoch_ended(epoch, loss) for epoch, loss in enumerate(val_losses, 1)).best
    assert (best.epoch if best else None) == best_epoch


def test_photos_that_were_left_out_are_kept_once_and_forgotten_when_it_starts_again() -> None:
    left_out = PhotosLeftOut(1.0, ("a1",), ("rose.jpg",), ("roses",))
    more = PhotosLeftOut(2.0, ("a1", "b2"), ("rose.jpg", "tulip.png"), ("roses", "tulips"))
    snapshot = snapshot_of([STORY[0], left_out, RunResumed(3.0, epoch=0), more])
    assert snapshot.left_out == (("rose.jpg", "roses"), ("tulip.png", "tulips"))
    assert reduce(snapshot, STORY[0]).left_out == ()


def test_the_head_that_was_chosen_is_kept() -> None:
    chosen = HeadChosen(1.0, "hidden", {"linear": 0.5, "hidden": 0.75})
    assert snapshot_of([*STORY[:4], chosen, *STORY[4:]]).head == chosen


class TestPauses:
    def test_paused_time_is_no_work(self) -> None:
        events = [
            RunStarted(100.0, 80, 20, 3),
            PhaseStarted(100.0, "head", num_steps=10),
            BatchEnded(102.0, 1, 2, 1.0, 0.5, 64),
            RunPaused(102.0),
            RunContinued(202.0),
            BatchEnded(204.0, 1, 4, 1.0, 0.5, 128),
        ]
        assert snapshot_of(events[:4]).is_paused
        snapshot = snapshot_of(events)
        assert not snapshot.is_paused
        assert (snapshot.phase_seconds, snapshot.seconds) == (4.0, 4.0)
        assert snapshot.images_per_second == 32.0
        assert snapshot.seconds_left == 6.0

    def test_a_pause_before_the_phase_does_not_count_in_it(self) -> None:
        events = [
            RunStarted(0.0, 80, 20, 3),
            RunPaused(1.0),
            RunContinued(11.0),
            PhaseStarted(12.0, "head", num_steps=10),
            BatchEnded(14.0, 1, 2, 1.0, 0.5, 64),
        ]
        snapshot = snapshot_of(events)
        assert (snapshot.phase_seconds, snapshot.seconds) == (2.0, 4.0)

    @pytest.mark.parametrize("last", [RunEnded(202.0, "interrupted"), RunResumed(202.0, 0)])
    def test_a_pause_that_nobody_ended_is_no_work(self, last: TrainingEvent) -> None:
        """The process died while the run was paused."""
        events = [RunStarted(100.0, 80, 20, 3), PhaseStarted(100.0, "head", num_steps=10), RunPaused(102.0)]
        snapshot = snapshot_of([*events, last])
        assert not snapshot.is_paused
        assert snapshot.seconds == 2.0

    def test_to_go_on_without_a_pause_changes_nothing(self) -> None:
        assert snapshot_of([*STORY[:7], RunContinued(110.0)]).seconds_left == 10 / 3 * 1.2


class TestResumed:
    RESUMED = (
        *STORY[:9],
        EpochEnded(110.5, 2, "head", loss=0.8, accuracy=0.75, val_loss=0.7, val_accuracy=0.8),
        RunResumed(500.0, epoch=1, assumed_seconds=(1.0, 9.0)),
    )

    def test_what_came_after_the_checkpoint_is_void(self) -> None:
        snapshot = snapshot_of(self.RESUMED)
        assert snapshot.epochs == (STORY[7],)
        assert (snapshot.epoch, snapshot.step, snapshot.phase) == (1, 0, None)

    def test_the_time_in_which_nothing_ran_does_not_count(self) -> None:
        assert snapshot_of(self.RESUMED).seconds == 10.5

    def test_repeated_epochs_count_once(self) -> None:
        again = [
            PhaseStarted(501.0, "features", 100),
            ImagesSeen(501.0, 100),
            PhaseStarted(502.0, "head", 6, first_step=3),
            BatchEnded(503.0, 2, 6, 0.8, 0.75, 80, 0.8),
            EpochEnded(503.5, 2, "head", 0.8, 0.75, 0.7, 0.8),
        ]
        snapshot = snapshot_of([*self.RESUMED, *again])
        assert [epoch.epoch for epoch in snapshot.epochs] == [1, 2]
        assert (snapshot.step, snapshot.phase_share) == (6, 1.0)

    def test_rates_count_only_what_was_done_since(self) -> None:
        resumed = RunResumed(500.0, epoch=1, assumed_seconds=(9.0, 5.0))
        again = [PhaseStarted(500.0, "head", 9, first_step=3), BatchEnded(504.0, 2, 5, 0.8, 0.75, 64, 0.8)]
        snapshot = snapshot_of([*self.RESUMED[:-1], resumed, *again])
        assert snapshot.images_per_second == 16.0
        # Two of nine steps took 4 seconds where 2 were assumed.
        assert snapshot.seconds_left == 8.0 + 10.0

    def test_an_ended_run_runs_again(self) -> None:
        snapshot = snapshot_of([*STORY[:9], RunEnded(111.0, "failed", "no space"), self.RESUMED[-1]])
        assert (snapshot.outcome, snapshot.message, snapshot.ended_at) == (None, "", None)

    def test_a_second_start_clears_the_snapshot(self) -> None:
        assert snapshot_of([*STORY[:9], STORY[0]]) == snapshot_of(STORY[:1])


class TestTimeLeft:
    STARTED = RunStarted(100.0, 80, 20, 3, assumed_seconds=(10.0, 20.0))

    def test_is_a_guess_at_the_very_start(self) -> None:
        assert snapshot_of([self.STARTED]).seconds_left == 30.0
        assert snapshot_of([self.STARTED, PhaseStarted(100.0, "features", 100)]).seconds_left == 30.0

    def test_guesses_are_corrected_by_what_was_seen(self) -> None:
        events = [self.STARTED, PhaseStarted(100.0, "features", 100), ImagesSeen(110.0, 50)]
        # Half of an assumed 10 seconds took 10: twice as long as assumed.
        assert snapshot_of(events).seconds_left == 10.0 + 40.0

    def test_covers_the_phases_to_come_and_ends_at_nothing(self) -> None:
        events = [
            self.STARTED,
            PhaseStarted(100.0, "features", 100),
            ImagesSeen(110.0, 100),
            PhaseStarted(110.0, "head", 10),
        ]
        assert snapshot_of(events).seconds_left == 20.0
        events.append(BatchEnded(111.0, 1, 5, 1.0, 0.5, 80))
        assert snapshot_of(events).seconds_left == 1.0
        events.append(RunEnded(112.0, "finished"))
        assert snapshot_of(events).seconds_left is None


class TestLossCurve:
    def test_has_every_batch_at_its_place_in_epochs(self) -> None:
        events = [
            BatchEnded(1.0, 1, 1, 0.9, 0.5, 32, batch_loss=0.9, learning_rate=0.1, epoch_share=0.5),
            BatchEnded(2.0, 1, 2, 0.8, 0.5, 64, batch_loss=0.7, learning_rate=0.2, epoch_share=1.0),
        ]
        snapshot = snapshot_of(events)
        assert snapshot.batch_losses == (BatchLoss(0.5, 0.9), BatchLoss(1.0, 0.7))
        assert snapshot.learning_rate == 0.2

    def test_is_short_and_in_order_however_long_the_training(self) -> None:
        snapshot = snapshot_of(BatchEnded(1.0, n, n, 0.9, 0.5, 32, batch_loss=1.0) for n in range(1, 5001))
        positions = [point.position for point in snapshot.batch_losses]
        assert len(positions) <= 800
        assert positions == sorted(positions)
        assert (positions[0], positions[-1]) == (1.0, 5000.0)

    def test_memory_is_that_of_the_last_epoch(self) -> None:
        epochs = [EpochEnded(float(n), n, "head", 1, 1, 1, 1, memory_bytes=n * 10) for n in (1, 2)]
        assert snapshot_of(epochs).memory_bytes == 20
