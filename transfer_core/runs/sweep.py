"""The freeze sweep: the same images at several freeze depths, as ordinary runs that know they belong together.

Nothing about a sweep is stored but its plan, in the folder of each of its runs: what is done and what is left is read
from the runs themselves, so it goes on after any interruption.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from statistics import mean, stdev
from typing import Any

from transfer_core.backbones.backbone import Backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import NotFoundError, TrainingError, TransferStudioError
from transfer_core.evaluation.intervals import wilson_standard_error
from transfer_core.events import RunSnapshot
from transfer_core.files import read_json
from transfer_core.language import _
from transfer_core.runs.training_run import TrainingRun, runs_of
from transfer_core.schema import fits
from transfer_core.training.freezing import FreezePlan
from transfer_core.workspace import ID_PATTERN, Workspace, new_id

SWEEP_FILE = "sweep.json"
NUM_REPEATS = 3
_MOST_VALUES = 100
_USUAL_DEPTHS = (0, 1, 2, 3)

SnapshotOf = Callable[[str], RunSnapshot]


@dataclass(frozen=True)
class SweepPlan:
    """What a sweep tries.

    Args:
        id: Common to all its runs.
        depths: How many blocks learn along, from the shallowest.
        seeds: Each depth is trained once with each of them.
    """

    id: str
    depths: tuple[int, ...]
    seeds: tuple[int, ...]

    @classmethod
    def of(
        cls,
        dataset: ImageDataset,
        config: TrainingConfig,
        depths: Sequence[int],
        num_repeats: int,
        backbone: Backbone | None = None,
    ) -> SweepPlan:
        """Return a new plan.

        Args:
            dataset: The images. Where their parts take turns, each run checks itself on all of them, and is not
                repeated.
            config: Gives the first seed, and the network, which has to have as many blocks.
            depths: How many blocks are to learn along; any order.
            num_repeats: Seeds for each depth, 1-10.
            backbone: The network; the published one that the config names, if not given.

        Raises:
            InvalidConfigError: If the network has fewer blocks.
            TrainingError: If there is nothing to compare.
        """
        if len(set(depths)) < 2:
            raise TrainingError(_("Choose at least two depths: one alone has nothing to be compared with."))
        num_seeds = 1 if dataset.split_by == "folds" else num_repeats
        plan = cls(new_id(), tuple(sorted(set(depths))), tuple(range(config.seed, config.seed + num_seeds)))
        for _depth, _seed, choices in plan.configs(config):
            FreezePlan.of(choices, backbone)
        return plan

    def configs(self, config: TrainingConfig) -> Iterator[tuple[int, int, TrainingConfig]]:
        """Yield depth, seed and choices of each run: first all depths once, so that there is soon something to see.

        Args:
            config: All other choices. What would make depth mean nothing is replaced: training from scratch, single
                layers, and a schedule without fine-tuning.
        """
        schedule = "head_then_fine_tune" if config.schedule == "head_only" else config.schedule
        for seed in self.seeds:
            for depth in self.depths:
                choices = config.with_changes(
                    seed=seed,
                    num_unfrozen_blocks=depth,
                    weights="imagenet",
                    unfrozen_layers=(),
                    schedule=schedule,
                )
                yield depth, seed, choices

    @property
    def marks(self) -> dict[str, dict[str, Any]]:
        """The file in the folder of a run that says it belongs here, for `TrainingRun.create`."""
        return {SWEEP_FILE: asdict(self)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> SweepPlan:
        """Rebuild what `marks` holds.

        Raises:
            ValueError: If it is not what this app writes.
        """
        try:
            plan = cls(values["id"], tuple(values["depths"]), tuple(values["seeds"]))
        except (KeyError, TypeError) as error:
            raise ValueError("not the plan of a series") from error
        lists = (plan.depths, plan.seeds)
        is_sound = (
            fits(plan, cls)
            and ID_PATTERN.fullmatch(plan.id)
            and all(1 <= len(values) <= _MOST_VALUES and min(values) >= 0 for values in lists)
        )
        if not is_sound:
            raise ValueError("not the plan of a series")
        return plan


@dataclass(frozen=True)
class SweepPoint:
    """One depth.

    Args:
        num_unfrozen_blocks: How many blocks learn along.
        num_trainable_parameters: Weights that learn, the new layers included.
        accuracies: On validation, 0-1, of each run or part that is finished.
        seconds: The longest of its finished runs: the others found its features in the cache. None before one is
            finished.
        num_images: Photos that each accuracy was measured on, taken together where parts take turns.
        num_planned: Runs that this depth is to have.
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
        """Standard deviation between the accuracies; 0 where there is one alone."""
        return stdev(self.accuracies) if len(self.accuracies) > 1 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain values, ready for JSON."""
        return {**asdict(self), "accuracy": self.accuracy, "spread": self.spread}


@dataclass(frozen=True)
class Sweep:
    """A sweep as it is on disk.

    Args:
        plan: What it tries.
        runs: Its runs.
    """

    plan: SweepPlan
    runs: tuple[TrainingRun, ...]

    @property
    def backbone(self) -> Backbone:
        """The network of all its runs."""
        return self.runs[0].backbone

    def run_at(self, depth: int, seed: int, snapshot_of: SnapshotOf) -> TrainingRun | None:
        """Return the run of a depth and a seed: the finished one, else one that is or can be trained, else any.

        Args:
            depth: How many blocks learn along.
            seed: Its seed.
            snapshot_of: Tells how a run is, by its id.
        """

        def rank(run: TrainingRun) -> int:
            outcome = snapshot_of(run.id).outcome
            return 0 if outcome == "finished" else 1 if outcome in (None, "interrupted") else 2

        wanted = (depth, seed)
        found = [run for run in self.runs if (run.config.num_unfrozen_blocks, run.config.seed) == wanted]
        return min(found, key=rank, default=None)

    def points(self, snapshot_of: SnapshotOf) -> list[SweepPoint]:
        """Return what each depth has come to so far, from the shallowest.

        Args:
            snapshot_of: Tells how a run is, by its id.
        """
        return [self._point(depth, snapshot_of) for depth in self.plan.depths]

    def _point(self, depth: int, snapshot_of: SnapshotOf) -> SweepPoint:
        runs = [self.run_at(depth, seed, snapshot_of) for seed in self.plan.seeds]
        snapshots = [snapshot_of(run.id) for run in runs if run]
        finished = [one for one in snapshots if one.outcome == "finished" and one.best]
        choices = self.runs[0].config.with_changes(num_unfrozen_blocks=depth)
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
    """Return the shallowest depth that is as good as the best, as far as these photos can tell.

    The one-standard-error rule (Breiman et al., "Classification and Regression Trees", 1984): what is less than one
    standard error of the best accuracy below it is taken for equal, and of equals the simplest is taken.

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
    """Return all sweeps, the newest first. Runs that are damaged are passed over."""
    plans: dict[str, SweepPlan] = {}
    runs: dict[str, list[TrainingRun]] = {}
    for run in runs_of(workspace):
        path = run.folder / SWEEP_FILE
        if not path.is_file():
            continue
        with suppress(TransferStudioError, ValueError):
            plan = SweepPlan.from_dict(read_json(path))
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
    """Return the images of a sweep, as they were when it began.

    Raises:
        NotFoundError: If they are gone.
        TrainingError: If they have changed: its runs could not be compared with each other.
    """
    dataset = ImageDataset.load(workspace, sweep.runs[0].dataset_id)
    if any(run.dataset_version != dataset.version for run in sweep.runs):
        raise TrainingError(
            _(
                "The photos have changed since these trainings began, so the others could not be compared with them. "
                "Start again with the photos as they are now."
            )
        )
    return dataset


def usual_depths(num_blocks: int) -> list[int]:
    """Return the depths that are tried when nothing else is asked for: none, one, two and three blocks.

    Args:
        num_blocks: How many the network has.
    """
    return [depth for depth in _USUAL_DEPTHS if depth <= num_blocks]
