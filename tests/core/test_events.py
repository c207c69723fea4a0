"""The fold of the events of a run: pure, and everything a chart shows can be derived from it."""

import copy
import dataclasses
import json
import math
from typing import Any

import pytest

from transfer_core.events import (
    BatchEnded,
    EpochEnded,
    ImagesSeen,
    PhaseStarted,
    RunEnded,
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


@pytest.mark.parametrize("event", STORY, ids=lambda event: type(event).__name__)
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
    ],
)
def test_what_is_no_event_is_refused(values: dict[str, Any]) -> None:
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
        with pytest.raises(dataclasses.FrozenInstanceError):
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
