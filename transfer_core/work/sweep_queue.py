"""Start, stop and continue a freeze sweep."""

from __future__ import annotations

from collections.abc import Iterable

from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.runs.run_status import ACTIVE
from transfer_core.runs.sweep import Sweep, check_unchanged
from transfer_core.runs.sweep_plan import SweepPlan
from transfer_core.work.trainings import Trainings


def start_sweep(trainings: Trainings, dataset: ImageDataset, config: TrainingConfig, plan: SweepPlan) -> None:
    """Submit all runs of a plan.

    Args:
        trainings: Trains them one after the other.
        dataset: The images.
        config: All choices but depth and seed.
        plan: Depths and seeds.

    Raises:
        IngestError: If the dataset cannot be trained on.
        TrainingError: If the person may not have as many models or waiting trainings, or no thread can be started.
        WorkspaceError: If writing fails.
    """
    configs = _in_order(trainings, plan.configs(config))
    trainings.check_quota(len(configs))
    for _depth, _seed, choices in configs:
        trainings.submit(dataset, choices, plan.marks)


def stop_sweep(trainings: Trainings, sweep: Sweep) -> None:
    """Stop the run that is being trained, and remove the others from the queue.

    Raises:
        WorkspaceError: If writing fails.
    """
    # Last first: else each run would start for a moment when the run before it ends.
    for run in sorted(sweep.runs, key=lambda run: trainings.place(run.id), reverse=True):
        trainings.request_stop(run.id)


def continue_sweep(trainings: Trainings, sweep: Sweep) -> None:
    """Resume or submit the runs of a sweep that are not finished.

    Args:
        trainings: Trains them.
        sweep: Interrupted or stopped.

    Raises:
        NotFoundError: If the images were deleted.
        TrainingError: If the images have changed since it began, the person may not have as many models or waiting
            trainings, or no thread can be started.
        WorkspaceError: If writing fails.
    """
    dataset = check_unchanged(trainings.workspace, sweep)
    to_do: list[tuple[str | None, TrainingConfig]] = []
    for depth, seed, choices in _in_order(trainings, sweep.plan.configs(sweep.runs[0].config)):
        run = sweep.run_at(depth, seed, trainings.snapshot)
        status = trainings.status(run.id) if run else None
        if status not in (*ACTIVE, "finished"):
            to_do.append((run.id if run and status == "interrupted" else None, choices))
    trainings.check_quota(sum(run_id is None for run_id, _choices in to_do))
    for run_id, choices in to_do:
        if run_id:
            trainings.resume(run_id)
        else:
            trainings.submit(dataset, choices, sweep.plan.marks)


def _in_order(
    trainings: Trainings, configs: Iterable[tuple[int, int, TrainingConfig]]
) -> list[tuple[int, int, TrainingConfig]]:
    """Return the runs in the order in which they are submitted.

    On one computer the quickest come first, so that there is something to see. Several computers are all busy to the
    end when the longest runs do not come last (Graham, 1969, "Bounds on multiprocessing timing anomalies").
    """
    return (
        sorted(configs, key=lambda config: config[0], reverse=True) if trainings.is_remote else list(configs)
    )
