"""The fold of the events of a run: pure, and everything a chart shows can be derived from it."""

import copy
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from transfer_core.events import (
    BatchEnded,
    BatchLoss,
    EpochEnded,
    HeadChosen,
    ImagesSeen,
    MeasuredStage,
    PhaseStarted,
    PhotosLeftOut,
    PlaceLost,
    PrecisionChosen,
    RunContinued,
    RunEnded,
    RunPaused,
    RunPlaced,
    RunResumed,
    RunSnapshot,
    RunStarted,
    StartScored,
    StepsDone,
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
    RunStarted(1.0, 8, 2, 3, stages=(("features", 1.0, True), ("head", 2.5, False))),
    PhaseStarted(1.0, "features", 10, stages=(("features", 1.0, True),)),
    RunPaused(1.0),
    RunContinued(2.0),
    PhaseStarted(1.0, "fine_tune", 10, first_step=3),
    HeadChosen(1.0, "hidden", {"linear": 0.5, "hidden": 0.75}),
    PrecisionChosen(1.0, "float32", "no_gpu"),
    PhotosLeftOut(1.0, ("a1", "b2"), ("rose.jpg", "tulip.png"), ("roses", "tulips")),
    RunStarted(1.0, 8, 2, 3, scored_ids=("a1", "b2")),
    StartScored(1.0, 1.1, 0.5, 1.1, 0.5, "01"),
    EpochEnded(1.0, 1, "head", 1.1, 0.5, 1.1, 0.5, val_correct="11"),
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
        {"event": "RunResumed", "time": 1.0, "epoch": 1, "stages": [["head", -1.0, True]]},
        {"event": "RunResumed", "time": 1.0, "epoch": 1, "stages": [["lunch", 1.0, True]]},
        {"event": "RunResumed", "time": 1.0, "epoch": 1, "stages": [["head", 1.0]]},
        {"event": "HeadChosen", "time": 1.0, "head": "linear", "accuracies": {"linear": 1.5}},
        {
            "event": "StartScored",
            "time": 1.0,
            "loss": 1,
            "accuracy": 1,
            "val_loss": 1,
            "val_accuracy": 1,
            "val_correct": "12",
        },
        {
            "event": "RunStarted",
            "time": 1.0,
            "num_train_images": 1,
            "num_validation_images": 1,
            "num_epochs": 1,
            "scored_ids": ["a"] * 201,
        },
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
    assert (snapshot.step, snapshot.phase_seconds, snapshot.seconds) == (0, 0.0, 0.0)


def test_the_start_is_kept() -> None:
    snapshot = snapshot_of(STORY[:1])
    assert (snapshot.started_at, snapshot.updated_at, snapshot.ended_at) == (100.0, 100.0, None)
    assert (snapshot.num_train_images, snapshot.num_validation_images, snapshot.num_epochs) == (80, 20, 3)


def test_outcomes_of_the_start_and_of_each_epoch_are_kept() -> None:
    events: list[TrainingEvent] = [
        RunStarted(1.0, 8, 2, 3, scored_ids=("a1", "b2")),
        StartScored(1.0, 1.1, 0.5, 1.1, 0.5, "01"),
        EpochEnded(1.0, 1, "head", 1.1, 0.5, 1.1, 0.5, val_correct="11"),
        EpochEnded(1.0, 2, "head", 1.1, 0.5, 1.1, 0.5, val_correct="10"),
    ]
    snapshot = snapshot_of(events)
    assert snapshot.scored_ids == ("a1", "b2")
    assert snapshot.outcomes == [(0, "01"), (1, "11"), (2, "10")]
    resumed = reduce(snapshot, RunResumed(9.0, epoch=1))
    assert (resumed.scored_ids, resumed.outcomes) == (("a1", "b2"), [(0, "01"), (1, "11")])
    # Logs of earlier versions have none.
    assert snapshot_of(STORY).outcomes == []


def test_the_first_guess_is_that_of_the_chosen_head() -> None:
    assert snapshot_of(STORY).first_guess is None
    chosen = HeadChosen(1.0, "lda", {"lda": 0.75, "average": 0.5})
    assert reduce(snapshot_of(STORY[:4]), chosen).first_guess == 0.75
    assert reduce(snapshot_of(STORY[:4]), HeadChosen(1.0, "linear", {})).first_guess is None


def test_while_frozen_layers_look_at_the_images() -> None:
    snapshot = snapshot_of(STORY[:3])
    assert snapshot.phase == "features"
    assert snapshot.step / snapshot.num_steps == 0.4
    assert snapshot.phase_seconds == 2.0
    assert snapshot.images_per_second == 20.0


def test_a_phase_begins_at_nothing() -> None:
    snapshot = snapshot_of(STORY[:5])
    assert (snapshot.phase, snapshot.num_steps, snapshot.step, snapshot.num_images) == ("head", 6, 0, 0)
    assert snapshot.images_per_second is None
    assert snapshot.seconds_left is None


def test_in_the_middle_of_an_epoch() -> None:
    snapshot = snapshot_of(STORY[:7])
    assert (snapshot.epoch, snapshot.batch_loss, snapshot.batch_accuracy) == (1, 1.2, 0.5)
    assert snapshot.step / snapshot.num_steps == 0.5
    assert snapshot.images_per_second == 40.0


def test_at_the_end() -> None:
    snapshot = snapshot_of(STORY)
    assert snapshot.epochs == (STORY[7], STORY[9])
    assert (snapshot.outcome, snapshot.message, snapshot.best_epoch) == ("finished", "", 2)
    assert snapshot.best == STORY[9]
    assert snapshot.seconds == 12.0


def test_seconds_run_while_the_training_runs() -> None:
    assert snapshot_of(STORY[:7]).seconds == 8.0


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


def test_the_precision_is_the_last_that_was_chosen() -> None:
    mixed, plain = PrecisionChosen(1.0, "mixed_float16"), PrecisionChosen(2.0, "float32", "no_gpu")
    assert snapshot_of([STORY[0], mixed]).precision == mixed
    assert snapshot_of([STORY[0], mixed, RunResumed(1.5, epoch=0), plain]).precision == plain


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
        snapshot = snapshot_of([*STORY[:7], RunContinued(110.0)])
        assert (snapshot.images_per_second, snapshot.idle_seconds) == (40.0, 0.0)


class TestResumed:
    RESUMED = (
        *STORY[:9],
        EpochEnded(110.5, 2, "head", loss=0.8, accuracy=0.75, val_loss=0.7, val_accuracy=0.8),
        RunResumed(500.0, epoch=1, stages=(("features", 1.0, True), ("head", 9.0, True))),
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
        assert (snapshot.step, snapshot.num_steps) == (6, 6)

    def test_rates_count_only_what_was_done_since(self) -> None:
        again = [PhaseStarted(500.0, "head", 9, first_step=3), BatchEnded(504.0, 2, 5, 0.8, 0.75, 64, 0.8)]
        assert snapshot_of([*self.RESUMED, *again]).images_per_second == 16.0

    def test_an_ended_run_runs_again(self) -> None:
        snapshot = snapshot_of([*STORY[:9], RunEnded(111.0, "failed", "no space"), self.RESUMED[-1]])
        assert (snapshot.outcome, snapshot.message, snapshot.ended_at) == (None, "", None)

    def test_a_second_start_clears_the_snapshot(self) -> None:
        assert snapshot_of([*STORY[:9], STORY[0]]) == snapshot_of(STORY[:1])


class TestProgress:
    STAGES = (
        ("features", 10.0, True),
        ("head", 20.0, True),
        ("saving", 2.0, True),
        ("evaluation", 4.0, True),
    )
    STARTED = RunStarted(100.0, 80, 20, 3, stages=STAGES)

    def test_is_the_plan_at_the_very_start(self) -> None:
        snapshot = snapshot_of([self.STARTED, PhaseStarted(100.0, "features", 100)])
        assert (snapshot.share, snapshot.seconds_left) == (0.0, 36.0)

    def test_assumed_times_are_shown_once_enough_was_measured(self) -> None:
        started = RunStarted(100.0, 80, 20, 3, stages=(("features", 10.0, False),))
        events = [started, PhaseStarted(100.0, "features", 100), ImagesSeen(101.0, 50)]
        assert snapshot_of(events).seconds_left is None
        assert snapshot_of([*events, ImagesSeen(102.5, 90)]).seconds_left is not None

    def test_a_run_that_goes_as_planned_counts_down(self) -> None:
        events = [
            self.STARTED,
            PhaseStarted(100.0, "features", 100),
            ImagesSeen(105.0, 50),
            ImagesSeen(110.0, 100),
            PhaseStarted(110.0, "head", 10),
            BatchEnded(120.0, 1, 5, 1.0, 0.5, 80),
            BatchEnded(130.0, 1, 10, 1.0, 0.5, 80),
            PhaseStarted(130.0, "saving", 0),
            PhaseStarted(132.0, "evaluation", 20),
        ]
        for number, event in enumerate(events, 1):
            snapshot = snapshot_of(events[:number])
            assert snapshot.seconds_left == pytest.approx(136.0 - event.time)
            assert snapshot.share == pytest.approx((event.time - 100) / 36)
        ended = snapshot_of([*events, RunEnded(136.0, "finished")])
        assert (ended.share, ended.seconds_left) == (1.0, None)

    def test_what_was_measured_corrects_what_is_planned(self) -> None:
        events = [self.STARTED, PhaseStarted(100.0, "features", 100), ImagesSeen(102.5, 50)]
        # Twice as quick as planned.
        assert 20.0 < snapshot_of(events).seconds_left < 32.0

    def test_counts_down_without_events_but_not_into_later_stages(self) -> None:
        snapshot = snapshot_of([self.STARTED, PhaseStarted(100.0, "saving", 0)])
        assert [snapshot.at(now).seconds_left for now in (101.0, 102.0, 130.0)] == [5.0, 4.0, 4.0]
        assert snapshot.at(130.0).share > snapshot.at(101.0).share > snapshot.share

    def test_stands_still_in_a_pause(self) -> None:
        snapshot = snapshot_of([self.STARTED, PhaseStarted(100.0, "head", 10), RunPaused(101.0)])
        assert snapshot.at(1000.0) == snapshot

    def test_stages_may_be_skipped_and_others_may_come_between(self) -> None:
        events = [self.STARTED, PhaseStarted(100.0, "teacher", 10), PhaseStarted(100.0, "saving", 0)]
        assert [snapshot_of(events[:n]).seconds_left for n in (2, 3)] == [36.0, 6.0]

    def test_features_that_were_cached_take_no_time(self) -> None:
        events = [self.STARTED, PhaseStarted(100.0, "features", 100, first_step=100)]
        assert snapshot_of(events).seconds_left == 26.0

    def test_reading_before_the_start_is_part_of_the_bar(self) -> None:
        reading = PhaseStarted(100.0, "features", 10, stages=self.STAGES)
        before = snapshot_of([reading, ImagesSeen(109.0, 9)])
        after = reduce(before, RunStarted(99.0, 80, 20, 3, stages=self.STAGES[1:]))
        assert after.share >= before.share > 0.2
        assert snapshot_of([reading, ImagesSeen(109.0, 9), RunStarted(150.0, 80, 20, 3)]).share == 0.0

    def test_finished_stages_are_kept_with_the_part_that_was_done(self) -> None:
        events = [
            self.STARTED,
            PhaseStarted(100.0, "features", 100, first_step=50),
            ImagesSeen(106.0, 100),
            PhaseStarted(106.0, "head", 10),
            BatchEnded(108.0, 1, 5, 1.0, 0.5, 80),
            PhaseStarted(108.0, "saving", 0),
            RunEnded(109.0, "finished"),
        ]
        assert snapshot_of(events).progress.measured == (
            MeasuredStage("features", 5.0, 6.0, 1.0),
            MeasuredStage("head", 10.0, 2.0, 0.5),
            MeasuredStage("saving", 2.0, 1.0, 1.0),
        )


LAB_3 = RunPlaced(99.0, "lab-3", "10.0.0.3", "Xeon", 1)
LAB_4 = RunPlaced(150.0, "lab-4", "10.0.0.4", "Ryzen", 1)
LOST = PlaceLost(120.0, "node")
HEAD = [PhaseStarted(100.0, "head", num_steps=10), BatchEnded(108.0, 1, 2, 1.0, 0.5, 64)]


class TestPlaces:
    def test_a_run_on_the_computer_of_the_app_has_none(self) -> None:
        snapshot = snapshot_of(STORY)
        assert (snapshot.places, snapshot.place, snapshot.losses) == ((), None, ())
        assert not snapshot.is_lost
        assert not snapshot.has_unequal_places

    def test_the_place_is_known_from_before_the_start_to_after_the_end(self) -> None:
        for count in range(len(STORY) + 1):
            snapshot = snapshot_of([LAB_3, *STORY[:count]])
            assert (snapshot.places, snapshot.place) == ((LAB_3,), LAB_3)

    def test_while_lost_it_has_no_place_and_does_no_work(self) -> None:
        lost = snapshot_of([LAB_3, STORY[0], *HEAD, LOST])
        assert (lost.place, lost.places, lost.losses, lost.is_lost) == (None, (LAB_3,), (LOST,), True)
        # The node was silent since the last batch.
        assert (lost.seconds, lost.phase_seconds) == (8.0, 8.0)
        assert lost.at(1000.0).seconds == 8.0

    def test_a_run_that_goes_on_elsewhere_counts_only_its_work(self) -> None:
        moved = snapshot_of([LAB_3, STORY[0], *HEAD, LOST, LAB_4, RunResumed(152.0, 1)])
        assert (moved.place, moved.places, moved.losses) == (LAB_4, (LAB_3, LAB_4), (LOST,))
        assert not moved.is_lost
        assert moved.seconds == 8.0
        assert moved.at(160.0).seconds == 16.0

    def test_a_pause_and_a_loss_at_once_are_counted_once(self) -> None:
        events = [RunPaused(110.0), LOST, RunPaused(130.0), LAB_4, RunContinued(160.0)]
        snapshot = snapshot_of([LAB_3, STORY[0], *HEAD, *events])
        assert not snapshot.is_paused
        assert snapshot.seconds == 10.0

    def test_a_run_that_ends_while_it_has_no_place_keeps_its_history(self) -> None:
        ended = snapshot_of([LAB_3, STORY[0], *HEAD, LOST, RunEnded(400.0, "interrupted", "No computer.")])
        assert (ended.is_lost, ended.places, ended.seconds) == (False, (LAB_3,), 8.0)

    @pytest.mark.parametrize("changes", [{"processor": "Ryzen"}, {"num_threads": 2}, {"gpu": "A100"}])
    def test_numbers_may_differ_between_unequal_computers(self, changes: dict[str, Any]) -> None:
        twin = structs.replace(LAB_3, node="lab-4", address="10.0.0.4", time=150.0)
        before = [LAB_3, STORY[0], *HEAD, LOST]
        assert not snapshot_of([*before, twin, RunResumed(152.0, 1)]).has_unequal_places
        other = structs.replace(twin, **changes)
        assert snapshot_of([*before, other, RunResumed(152.0, 1)]).has_unequal_places

    def test_a_run_that_began_again_owes_nothing_to_the_computers_before(self) -> None:
        again = structs.replace(STORY[0], time=152.0)
        snapshot = snapshot_of([LAB_3, STORY[0], *HEAD, LOST, LAB_4, again])
        assert (snapshot.places, snapshot.place, snapshot.losses) == ((LAB_3, LAB_4), LAB_4, (LOST,))
        assert not snapshot.has_unequal_places
        assert snapshot.seconds == 0.0


PHASES = ("teacher", "features", "head", "fine_tune", "out_of_fold", "saving", "evaluation")
STAGES = st.lists(st.tuples(st.sampled_from(PHASES), st.floats(0, 100), st.booleans()), max_size=6)
PROGRESS_EVENTS = st.one_of(
    st.builds(
        PhaseStarted,
        st.just(0.0),
        st.sampled_from(PHASES),
        st.integers(0, 50),
        st.integers(0, 50),
    ),
    st.builds(ImagesSeen, st.just(0.0), st.integers(0, 60)),
    st.builds(StepsDone, st.just(0.0), st.integers(0, 60)),
    st.builds(
        BatchEnded, st.just(0.0), st.just(1), st.integers(0, 60), st.just(1.0), st.just(0.5), st.just(9)
    ),
    st.builds(RunPaused, st.just(0.0)),
    st.builds(RunContinued, st.just(0.0)),
    st.just(PlaceLost(0.0, "node")),
    st.just(RunPlaced(0.0, "lab-3", "10.0.0.3", "x86_64", 1)),
    # The page is drawn again without an event.
    st.none(),
)


@settings(deadline=None)
@given(STAGES, st.lists(st.tuples(PROGRESS_EVENTS, st.floats(0, 30)), max_size=30))
def test_the_bar_never_falls_and_the_time_left_never_rises_by_more_than_a_fifth(
    stages: list[Any], steps: list[tuple[TrainingEvent | None, float]]
) -> None:
    now = 100.0
    snapshot = snapshot_of([RunStarted(now, 80, 20, 3, stages=tuple(stages))])
    shown = [snapshot]
    for event, seconds in steps:
        now += seconds
        # As the page asks: just before the event, and after it.
        shown.append(snapshot.at(now))
        if event is not None:
            snapshot = reduce(snapshot, structs.replace(event, time=now))
            shown.append(snapshot.at(now))
    shares = [one.share for one in shown]
    assert shares == sorted(shares)
    assert all(0 <= share <= 1 for share in shares)
    assert all(one.seconds_left is None for one in shown if one.is_lost)
    left = [one.seconds_left for one in shown if not one.is_lost]
    known = [seconds for seconds in left if seconds is not None]
    # Once shown, it does not disappear.
    assert left[len(left) - len(known) :] == known
    for number, seconds in enumerate(known):
        assert 0 <= seconds <= 1.2 * min(known[: number + 1]) + 1e-9
    assert reduce(snapshot, RunEnded(now, "finished")).share == 1.0


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
