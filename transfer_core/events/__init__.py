"""What happens during a training, as immutable events, and the fold of them that a chart draws."""

from transfer_core.events.kinds import (
    BatchEnded,
    EpochEnded,
    FoldEnded,
    HeadChosen,
    ImagesSeen,
    Outcome,
    Phase,
    PhaseStarted,
    RunContinued,
    RunEnded,
    RunPaused,
    RunResumed,
    RunStarted,
    TrainingEvent,
    event_from_dict,
    event_to_dict,
)
from transfer_core.events.snapshot import BatchLoss, RunSnapshot, reduce, snapshot_of

__all__ = [
    "BatchEnded",
    "BatchLoss",
    "EpochEnded",
    "FoldEnded",
    "HeadChosen",
    "ImagesSeen",
    "Outcome",
    "Phase",
    "PhaseStarted",
    "RunContinued",
    "RunEnded",
    "RunPaused",
    "RunResumed",
    "RunSnapshot",
    "RunStarted",
    "TrainingEvent",
    "event_from_dict",
    "event_to_dict",
    "reduce",
    "snapshot_of",
]
