"""The freeze sweep: the same dataset trained at several freeze depths, as ordinary runs that share a plan.

Only the plan is stored, in the folder of each run: progress is derived from the runs themselves, so a sweep can be
resumed after any interruption.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import mean, stdev
from typing import Any, cast

from transfer_core.backbones.backbone import Backbone
from transfer_core.config import Head
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import NotFoundError, TrainingError
from transfer_core.evaluation.intervals import wilson_standard_error
from transfer_core.events import RunSnapshot
from transfer_core.language import _
from transfer_core.runs.sweep_plan import SweepPlan
from transfer_core.runs.training_run import TrainingRun, runs_of
from transfer_core.training.freezing import FreezePlan
from transfer_core.training.head_choice import with_head
from transfer_core.workspace import Workspace

NUM_REPEATS = 3
_USUAL_DEPTHS = (0, 1, 2, 3)

SnapshotOf = Callable[[str], RunSnapshot]


@dataclass(frozen=True)
class SweepPoint:
    """The results of one depth.

    Args:
        num_unfrozen_blocks: The depth.
        num_trainable_parameters: With the new layers.
        accuracies: Validation accuracy, 0-1, of each finished run or fold.
        seconds: Of its longest finished run, since the others found its features in the cache. None before one is
            finished.
        num_images: Photos that each accuracy was measured on; of all folds together.
        num_planned: Runs in the plan.
        num_finished: Runs that are finished.
    """

    num_unfrozen_blocks: int
    num_trainable_parameters: int
    accuracies: tuple[float, ...]
    seconds: float | None
    num_images: int
    num_planned: int
    num_finished: int

    @property
    def accuracy(self) -> float | None:
        """The mean, 0-1."""
        return mean(self.accuracies) if self.accuracies else None

    @property
    def spread(self) -> float:
        """Standard deviation of the accuracies; 0 for a single one."""
        return stdev(self.accuracies) if len(self.accuracies) > 1 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain values, ready for JSON."""
        return {**asdict(self), "accuracy": self.accuracy, "spread": self.spread}


@dataclass(frozen=True)
class Sweep:
    """A sweep on disk."""

    plan: SweepPlan
    runs: tuple[TrainingRun, ...]

    @property
    def backbone(self) -> Backbone:
        """The network of all its runs."""
        return self.runs[0].backbone

    def run_at(self, depth: int, seed: int, snapshot_of: SnapshotOf) -> TrainingRun | None:
        """Return the run of a depth and a seed: a finished one, else one that is or can be trained, else any.

        Args:
            depth: Number of unfrozen blocks.
            seed: Its seed.
            snapshot_of: Returns the snapshot of a run by its id.
        """

        def rank(run: TrainingRun) -> int:
            outcome = snapshot_of(run.id).outcome
            return 0 if outcome == "finished" else 1 if outcome in (None, "interrupted") else 2

        wanted = (depth, seed)
        found = [run for run in self.runs if (run.config.num_unfrozen_blocks, run.config.seed) == wanted]
        return min(found, key=rank, default=None)

    def points(self, snapshot_of: SnapshotOf) -> list[SweepPoint]:
        """Return the results of each depth so far, from the shallowest.

        Args:
            snapshot_of: Returns the snapshot of a run by its id.
        """
        return [self._point(depth, snapshot_of) for depth in self.plan.depths]

    def _point(self, depth: int, snapshot_of: SnapshotOf) -> SweepPoint:
        runs = [self.run_at(depth, seed, snapshot_of) for seed in self.plan.seeds]
        snapshots = [snapshot_of(run.id) for run in runs if run]
        finished = [one for one in snapshots if one.outcome == "finished" and one.best]
        choices = self.runs[0].config.with_changes(num_unfrozen_blocks=depth)
        chosen = next((one.head for one in snapshots if one.head), None)
        if chosen:
            choices = with_head(choices, cast(Head, chosen.head))
        accuracies: list[float] = []
        for one in finished:
            assert one.best is not None
            accuracies += one.fold_accuracies or (one.best.val_accuracy,)
        return SweepPoint(
            depth,
            FreezePlan.of(choices, self.backbone).num_trainable_parameters(len(self.runs[0].class_names)),
            tuple(accuracies),
            max((one.seconds for one in finished), default=None),
            max(
                (one.num_validation_images * max(len(one.fold_accuracies), 1) for one in finished), default=0
            ),
            len(runs),
            len(finished),
        )


def best_trade_off(points: Sequence[SweepPoint]) -> SweepPoint | None:
    """Return the shallowest depth whose accuracy is within one standard error of the best.

    The one-standard-error rule (Breiman et al., "Classification and Regression Trees", 1984): a smaller difference may
    be chance, and of equals the simplest is best.

    Args:
        points: All depths; those without a finished run do not count.
    """
    known = [point for point in points if point.accuracies]
    if not known:
        return None
    best = max(known, key=lambda point: mean(point.accuracies))
    highest = mean(best.accuracies)
    # The standard error of a share is 0 where all are right, as if one photo more could not be wrong.
    by_count = math.sqrt(highest * (1 - highest) / best.num_images)
    margin = max(by_count, wilson_standard_error(highest, best.num_images))
    close = [point for point in known if mean(point.accuracies) >= highest - margin]
    return min(close, key=lambda point: point.num_unfrozen_blocks)


def list_sweeps(workspace: Workspace) -> list[Sweep]:
    """Return all sweeps, the newest first, without damaged runs."""
    plans: dict[str, SweepPlan] = {}
    runs: dict[str, list[TrainingRun]] = {}
    for run in runs_of(workspace):
        plan = run.files.sweep_plan()
        if plan:
            plans[plan.id] = plan
            runs.setdefault(plan.id, []).append(run)
    return [Sweep(plans[sweep_id], tuple(runs[sweep_id])) for sweep_id in sorted(plans, reverse=True)]


def load_sweep(workspace: Workspace, sweep_id: str) -> Sweep:
    """Return one sweep.

    Raises:
        NotFoundError: If none of its runs is left.
    """
    for sweep in list_sweeps(workspace):
        if sweep.plan.id == sweep_id:
            return sweep
    raise NotFoundError(_("There is no series of trainings with the id {id}.").format(id=sweep_id[:60]))


def check_unchanged(workspace: Workspace, sweep: Sweep) -> ImageDataset:
    """Return the dataset of a sweep, unchanged since it began.

    Raises:
        NotFoundError: If it was deleted.
        TrainingError: If it has changed, so that further runs could not be compared with the earlier ones.
    """
    dataset = ImageDataset.load(workspace, sweep.runs[0].dataset_id)
    if any(not _goes_with(run, dataset) for run in sweep.runs):
        raise TrainingError(
            _(
                "The photos have changed since these trainings began. New ones could not be compared with "
                "them. Start again with the present photos."
            )
        )
    return dataset


def _goes_with(run: TrainingRun, dataset: ImageDataset) -> bool:
    # The first run may have added series; those that have not begun take the split with them.
    has_begun = run.has_model or run.has_checkpoint
    return run.dataset_version == dataset.version if has_begun else dataset.has_photos_of(run.dataset_version)


def usual_depths(num_blocks: int) -> list[int]:
    """Return the default depths: none, one, two and three blocks.

    Args:
        num_blocks: Of the backbone.
    """
    return [depth for depth in _USUAL_DEPTHS if depth <= num_blocks]
