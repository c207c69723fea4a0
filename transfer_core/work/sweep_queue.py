"""Start, stop and continue a freeze sweep."""

from __future__ import annotations

from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.runs.run_status import ACTIVE
from transfer_core.runs.sweep import Sweep, SweepPlan, check_unchanged
from transfer_core.work.trainings import Trainings


def start_sweep(trainings: Trainings, dataset: ImageDataset, config: TrainingConfig, plan: SweepPlan) -> None:
    """Submit all runs of a plan.

    Args:
        trainings: Trains them one after the other.
        dataset: The images.
        config: All choices but depth and seed.
        plan: Depths and seeds.

    Raises:
        IngestError: If the dataset cannot be learned from.
        TrainingError: If the worker cannot start.
        WorkspaceError: If writing fails.
    """
    for _depth, _seed, choices in plan.configs(config):
        trainings.submit(dataset, choices, plan.marks)


def stop_sweep(trainings: Trainings, sweep: Sweep) -> None:
    """Stop the run that is being trained, and take the others out of the queue.

    Raises:
        WorkspaceError: If writing fails.
    """
    # The last in the queue leaves first, or each would have its turn for a moment.
    for run in sorted(sweep.runs, key=lambda run: trainings.place(run.id), reverse=True):
        trainings.request_stop(run.id)


def continue_sweep(trainings: Trainings, sweep: Sweep) -> None:
    """Let the runs of a sweep go on that are not finished, from where they were.

    Args:
        trainings: Trains them.
        sweep: Interrupted or stopped.

    Raises:
        NotFoundError: If the images are gone.
        TrainingError: If the images have changed since it began, or the worker cannot start.
        WorkspaceError: If writing fails.
    """
    dataset = check_unchanged(trainings.workspace, sweep)
    for depth, seed, choices in sweep.plan.configs(sweep.runs[0].config):
        run = sweep.run_at(depth, seed, trainings.snapshot)
        status = trainings.status(run.id) if run else None
        if run and status == "interrupted":
            trainings.resume(run.id)
        elif status not in (*ACTIVE, "finished"):
            trainings.submit(dataset, choices, sweep.plan.marks)
