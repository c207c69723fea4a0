"""The race: the same photos and epochs, once from pretrained weights and once from random ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from transfer_core.backbones.backbone import Backbone
from transfer_core.config import TrainingConfig
from transfer_core.runs.training_run import TrainingRun

# More would take minutes: from scratch, each epoch of 100 photos takes about three seconds on a small laptop.
MOST_PHOTOS = 100
_NUM_EPOCHS = 10
# A whole network that learns from 32 large photos at once would need 2 GB.
_BATCH_SIZE = 16
# That of a new head would be too high for a whole network.
_SCRATCH_LEARNING_RATE = 0.001


@dataclass(frozen=True)
class Race:
    """Two runs on the same photos with the same network."""

    pretrained: TrainingRun
    scratch: TrainingRun


def find_race(runs: Iterable[TrainingRun], dataset_id: str | None = None) -> Race | None:
    """Return the newest race among runs, or None if there is none.

    Args:
        runs: Newest first.
        dataset_id: Prefer a race on these photos.
    """
    newest: dict[tuple[tuple[str, str], bool], TrainingRun] = {}
    races: list[Race] = []
    for run in runs:
        is_scratch = run.config.weights == "random"
        where = (run.dataset_id, run.config.backbone)
        if (where, is_scratch) in newest:
            continue
        newest[where, is_scratch] = run
        if other := newest.get((where, not is_scratch)):
            races.append(Race(other, run) if is_scratch else Race(run, other))
    races.sort(key=lambda race: race.scratch.dataset_id != dataset_id)
    return next(iter(races), None)


def race_configs(backbone: Backbone) -> tuple[TrainingConfig, TrainingConfig]:
    """Return the configs of a new race: from pretrained weights, and from scratch."""
    pretrained = TrainingConfig(backbone=backbone.name, epochs=_NUM_EPOCHS, batch_size=_BATCH_SIZE)
    scratch = pretrained.with_changes(
        weights="random", num_unfrozen_blocks=len(backbone.blocks), learning_rate=_SCRATCH_LEARNING_RATE
    )
    return pretrained, scratch
