"""Plan the stages of a run with their times, from what earlier runs on this machine took."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from transfer_core.backbones.backbone import Backbone, Block
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import WorkspaceError
from transfer_core.events import MeasuredStage, Phase, Stage
from transfer_core.files import file_version, read_json, write_json
from transfer_core.schema import decoded
from transfer_core.training.all_photos import trains_on_all
from transfer_core.training.schedule import PlannedPhase, planned_phases
from transfer_core.workspace import Workspace

RATES_FILE = "rates.json"
# Of a small laptop, until a run was measured: multiplications per second, and seconds for each thing.
_ASSUMED_RATE = 30e9
_ASSUMED_SECONDS_A_BATCH = 0.006
_ASSUMED_SECONDS_TO_BUILD = 1.0
_ASSUMED_SECONDS_OF_HEAD_CHOICE = 1.0
_ASSUMED_SECONDS_OF_TEACHER = 5.0
_ASSUMED_SECONDS_TO_SAVE = 1.0
_ASSUMED_SECONDS_OF_CHECK = 2.0
_MOST_FACTORS = 300
_MOST_FACTOR = 1000.0
# Shorter work, or a small part of a phase, says little about a rate.
_FEWEST_SECONDS = 0.05
_FEWEST_SHARE = 0.5
# Key of the rates of whole runs, beside those of the phases.
_WHOLE_RUN = "run"


class _Rates(Struct, forbid_unknown_fields=True):
    factors: dict[str, Annotated[float, Meta(ge=1 / _MOST_FACTOR, le=_MOST_FACTOR)]]


def planned_stages(
    phases: Sequence[PlannedPhase],
    config: TrainingConfig,
    dataset: ImageDataset,
    num_extracted: Sequence[int],
    num_compared: int,
    cache_dir: Path,
    *,
    is_trained_on_all: bool,
) -> tuple[Stage, ...]:
    """Return every stage of a run with its estimated time.

    Args:
        phases: The phases with curves that are left.
        config: Every choice of the run.
        dataset: Labelled images with their split.
        num_extracted: Images and views in each feature extraction before a phase.
        num_compared: Images in the choice of the head; 0 without one.
        cache_dir: Where the rates of earlier runs are.
        is_trained_on_all: Whether folds are measured and all photos are trained on at the end.
    """
    counts = [len(dataset.images_in(split)) for split in ("train", "validation")]
    stages: list[tuple[Phase, float]] = []
    if config.teacher:
        # The features of these images are usually cached from the teacher's own training.
        stages.append(("teacher", _ASSUMED_SECONDS_OF_TEACHER))
    whole = _multiplications(phases[0].plan.backbone.blocks) if phases else 0
    if num_compared:
        seconds = num_compared * whole / _ASSUMED_RATE
        stages += [("features", seconds), ("head_choice", _ASSUMED_SECONDS_OF_HEAD_CHOICE)]
        # The features of the later phases come out of the same forward pass.
        num_extracted = [max(count - num_compared, 0) for count in num_extracted]
    learning = 0.0
    for phase in phases:
        extractions, seconds = _seconds_of(phase, config, num_extracted, *counts)
        stages += [("features", extraction) for extraction in extractions]
        stages.append((phase.name, seconds))
        learning += seconds
    if is_trained_on_all:
        stages += [("out_of_fold", learning), ("all_photos", learning * sum(counts) / max(counts[0], 1))]
    stages += [
        ("saving", _ASSUMED_SECONDS_TO_SAVE),
        ("evaluation", _ASSUMED_SECONDS_OF_CHECK + sum(counts) * whole / _ASSUMED_RATE),
    ]
    if dataset.split_by == "folds":
        stages.append(("cross_validation", learning * (len(dataset.folds()) - 1)))
    factors = _read_factors(cache_dir)
    return tuple(
        (
            phase,
            seconds * _factor(phase, config.backbone, factors),
            f"{phase} {config.backbone}" in factors or not seconds,
        )
        for phase, seconds in stages
    )


def estimated_seconds(
    config: TrainingConfig,
    dataset: ImageDataset,
    backbone: Backbone,
    cache_dir: Path,
    num_read: int = 0,
) -> float:
    """Estimate how long a whole run will take, its final check included.

    Args:
        config: Every choice of the run.
        dataset: Labelled images with their split.
        backbone: The backbone that the config names.
        cache_dir: Where the rates of earlier runs are.
        num_read: Images whose pooled features are cached. That saves time only where all blocks are frozen.

    Raises:
        InvalidConfigError: If the backbone has no such blocks or layers.
    """
    phases = planned_phases(config, backbone)
    is_frozen = phases[-1].plan.is_all_frozen
    num_images = len(dataset.images)
    stages = planned_stages(
        phases,
        config,
        dataset,
        (),
        0 if config.weights == "random" else num_images,
        cache_dir,
        is_trained_on_all=trains_on_all(config),
    )
    share_unread = 1 - num_read / max(num_images, 1) if is_frozen else 1.0
    return sum(
        seconds * (share_unread if phase == "features" else 1.0) for phase, seconds, _is_measured in stages
    )


def measured_seconds(
    config: TrainingConfig, dataset: ImageDataset, backbone: Backbone, cache_dir: Path
) -> float | None:
    """Estimate how long a whole run will take, from whole runs that were measured on this machine.

    Many runs end before their last epoch, so that the sum of the stages is too long.

    Args:
        config: Every choice of the run.
        dataset: Labelled images with their split.
        backbone: The backbone that the config names.
        cache_dir: Where the rates of earlier runs are.

    Returns:
        The seconds, or None if no run was measured yet.

    Raises:
        InvalidConfigError: If the backbone has no such blocks or layers.
    """
    factors = _read_factors(cache_dir)
    factor = factors.get(f"{_WHOLE_RUN} {backbone.name}", factors.get(_WHOLE_RUN))
    return factor * estimated_seconds(config, dataset, backbone, cache_dir) if factor else None


def remember_run(cache_dir: Path, backbone_id: str, planned_seconds: float, seconds: float) -> None:
    """Keep how long a whole run took, beside the sum of its stages, for `measured_seconds`.

    Args:
        cache_dir: The file is there; it may be deleted at any time.
        backbone_id: Runs of other backbones take other times.
        planned_seconds: What `estimated_seconds` returns.
        seconds: How long it took, without pauses.
    """
    factors = _read_factors(cache_dir)
    ratio = min(max(seconds / max(planned_seconds, _FEWEST_SECONDS), 1 / _MOST_FACTOR), _MOST_FACTOR)
    for key in (f"{_WHOLE_RUN} {backbone_id}", _WHOLE_RUN):
        before = factors.pop(key, ratio)
        # A busy machine makes a single run slow.
        factors[key] = (before * ratio) ** 0.5
    _write_factors(cache_dir, factors)


def rates_version(cache_dir: Path) -> tuple[int, int]:
    """Return numbers that change with the rates of earlier runs."""
    return file_version(_rates_path(cache_dir))


def remember_rates(cache_dir: Path, backbone_id: str, measured: Iterable[MeasuredStage]) -> None:
    """Keep how long the stages of a run took, beside their estimates, for the estimates of later runs.

    Args:
        cache_dir: The file is there; it may be deleted at any time.
        backbone_id: Stages of other backbones take other times.
        measured: The stages of the run that are over.
    """
    factors = _read_factors(cache_dir)
    changed: dict[str, float] = {}
    totals: dict[Phase, tuple[float, float]] = {}
    for stage in measured:
        if stage.planned_seconds >= _FEWEST_SECONDS and stage.share >= _FEWEST_SHARE:
            planned, taken = totals.get(stage.phase, (0.0, 0.0))
            totals[stage.phase] = (planned + stage.planned_seconds, taken + stage.seconds)
    if not totals:
        return
    for phase, (planned, taken) in totals.items():
        for key in (f"{phase} {backbone_id}", phase):
            is_first = key not in factors
            before = _factor(phase, backbone_id, factors)
            # A busy machine makes a single run slow: later runs change the factor by half of the way.
            factor = before * (taken / planned) ** (1.0 if is_first else 0.5)
            factors.pop(key, None)
            changed[key] = min(max(factor, 1 / _MOST_FACTOR), _MOST_FACTOR)
    _write_factors(cache_dir, {**factors, **changed})


def _seconds_of(
    phase: PlannedPhase,
    config: TrainingConfig,
    num_extracted: Sequence[int],
    num_train: int,
    num_validation: int,
) -> tuple[list[float], float]:
    """Estimate the seconds of each feature extraction before a phase, and of the phase, with assumed rates."""
    whole = _multiplications(phase.plan.backbone.blocks)
    tail = _multiplications(phase.plan.unfrozen_blocks)
    # The backward pass costs twice as much as the forward pass.
    num_multiplications = (3 * num_train + num_validation) * tail
    if config.has_augmentation and config.live_augmentation:
        num_multiplications += num_train * (whole - tail)
    steps = -(-num_train // config.batch_size) + 1
    epoch = num_multiplications / _ASSUMED_RATE + steps * _ASSUMED_SECONDS_A_BATCH
    extractions = [num_rows * (whole - tail) / _ASSUMED_RATE for num_rows in num_extracted]
    return extractions, _ASSUMED_SECONDS_TO_BUILD + phase.num_epochs * epoch


def _multiplications(blocks: Sequence[Block]) -> int:
    """Return the multiplications for one image."""
    return sum(block.num_multiplications for block in blocks)


def _read_factors(cache_dir: Path) -> dict[str, float]:
    """Return the measured seconds for an assumed second, by phase and backbone and by phase alone."""
    try:
        return decoded(read_json(_rates_path(cache_dir)), _Rates).factors
    except (WorkspaceError, ValueError):
        return {}


def _write_factors(cache_dir: Path, factors: dict[str, float]) -> None:
    kept = list(factors.items())[-_MOST_FACTORS:]
    with suppress(WorkspaceError):
        write_json(_rates_path(cache_dir), {"factors": dict(kept)})


def _rates_path(cache_dir: Path) -> Path:
    """Return the file of the rates. All people of a server share it: their trainings run on the same machine."""
    pupil = Workspace.of_pupil(cache_dir)
    return (pupil.server.cache_dir if pupil else cache_dir) / RATES_FILE


def _factor(phase: Phase, backbone_id: str, factors: dict[str, float]) -> float:
    return factors.get(f"{phase} {backbone_id}", factors.get(phase, 1.0))
