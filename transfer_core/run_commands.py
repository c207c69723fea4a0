"""What the commands `compare` and `sweep` do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from transfer_core.config import TrainingConfig
from transfer_core.console import note, report
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import NotFoundError, TrainingError, TransferStudioError
from transfer_core.evaluation.comparison import compare
from transfer_core.evaluation.evaluation import Evaluation
from transfer_core.events import RunSnapshot
from transfer_core.language import _
from transfer_core.runs.differences import difference_sentence, differences
from transfer_core.runs.run_status import resumable_run, run_status
from transfer_core.runs.sweep import Sweep, SweepPlan, best_trade_off, load_sweep
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace

CarryOut = Callable[[Workspace, TrainingRun], RunSnapshot]


def compare_runs(workspace: Workspace, run_ids: Sequence[str], as_json: bool) -> None:
    """Print what differs between two runs, and whether one is better.

    Args:
        workspace: Where they are.
        run_ids: The first and the second.
        as_json: Print one JSON object.

    Raises:
        NotFoundError: If a run is missing, or has not been checked on photos.
        WorkspaceError: If a file is damaged.
    """
    runs = [TrainingRun.load(workspace, run_id) for run_id in run_ids]
    found = differences(runs)
    comparison = compare(*(_evaluation(run) for run in runs))
    facts = {
        "run_ids": [run.id for run in runs],
        "differences": [
            {"choice": one.choice, "title": one.title, "values": list(one.values)} for one in found
        ],
        "difference": difference_sentence(found),
        **comparison.to_dict(),
    }
    lines = [
        facts["difference"],
        *(
            _("  {name}: {before} of {count} right, then {after}").format(
                name=change.class_name,
                before=change.num_right_before,
                after=change.num_right_after,
                count=change.num_images,
            )
            for change in comparison.per_class
        ),
        facts["verdict"],
    ]
    report(as_json, facts, lines)


def _evaluation(run: TrainingRun) -> Evaluation:
    evaluation = run.evaluation()
    if evaluation is None:
        raise NotFoundError(
            _("The run {id} has not been checked on photos: it was stopped or failed before.").format(
                id=run.id
            )
        )
    return evaluation


def sweep_depths(
    workspace: Workspace,
    dataset: ImageDataset,
    config: TrainingConfig,
    plan: SweepPlan,
    carry_out: CarryOut,
    as_json: bool,
) -> None:
    """Train what a plan still lacks, one run after the other, and print what came of each depth.

    Args:
        workspace: Where everything is.
        dataset: The images.
        config: All choices but depth and seed.
        plan: Depths and seeds.
        carry_out: Trains a run to its end, and tells its progress.
        as_json: Print one JSON object.

    Raises:
        TrainingError: If not one run could be finished.
        WorkspaceError: If the disk refuses.
    """
    note(_("Series {id}; if it breaks off, go on with --resume {id}").format(id=plan.id))
    for depth, seed, choices in plan.configs(config):
        run = _run_to_carry_out(workspace, dataset, plan, choices)
        if run is None:
            continue
        note(_("{depth} blocks learn along, seed {seed}: run {id}").format(depth=depth, seed=seed, id=run.id))
        try:
            carry_out(workspace, run)
        except TransferStudioError as error:
            note(_("The run {id} failed: {reason}").format(id=run.id, reason=error))
    sweep = load_sweep(workspace, plan.id)
    report(as_json, _sweep_facts(workspace, sweep), _sweep_lines(workspace, sweep))


def _run_to_carry_out(
    workspace: Workspace, dataset: ImageDataset, plan: SweepPlan, choices: TrainingConfig
) -> TrainingRun | None:
    try:
        sweep = load_sweep(workspace, plan.id)
    except NotFoundError:
        sweep = Sweep(plan, ())
    run = sweep.run_at(choices.num_unfrozen_blocks, choices.seed, _snapshot_of(workspace))
    status = run_status(run) if run else None
    if run and status == "interrupted":
        return resumable_run(workspace, run.id)
    if status in ("finished", "running", "paused", "queued"):
        return None
    run = TrainingRun.create(workspace, dataset, choices)
    plan.mark(run)
    return run


def _snapshot_of(workspace: Workspace) -> Callable[[str], RunSnapshot]:
    return lambda run_id: TrainingRun.load(workspace, run_id).snapshot()


def _sweep_facts(workspace: Workspace, sweep: Sweep) -> dict[str, Any]:
    points = sweep.points(_snapshot_of(workspace))
    best = best_trade_off(points)
    if best is None:
        raise TrainingError(_("Not one of the trainings was finished, so there is nothing to compare."))
    return {
        "sweep_id": sweep.plan.id,
        "dataset_id": sweep.runs[0].dataset_id,
        "backbone": sweep.backbone.name,
        "run_ids": [run.id for run in sweep.runs],
        "seeds": list(sweep.plan.seeds),
        "points": [point.to_dict() for point in points],
        "best_num_unfrozen_blocks": best.num_unfrozen_blocks,
    }


def _sweep_lines(workspace: Workspace, sweep: Sweep) -> list[str]:
    points = sweep.points(_snapshot_of(workspace))
    best = best_trade_off(points)
    line = _(
        "{depth} blocks: {accuracy:.1%} right (spread {spread:.1%}), {seconds:.0f} s, {count:,} numbers learn{mark}"
    )
    return [
        line.format(
            depth=point.num_unfrozen_blocks,
            accuracy=point.accuracy,
            spread=point.spread,
            seconds=point.seconds,
            count=point.num_trainable_parameters,
            mark=_("  <- best trade-off") if point == best else "",
        )
        for point in points
        if point.accuracies
    ]
