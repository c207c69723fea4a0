"""The commands about several runs: compare, sweep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from transfer_core.backbones.registry import get_backbone
from transfer_core.cli.datasets import dataset_from
from transfer_core.cli.options import (
    common_options,
    config_from,
    layout_options,
    open_workspace,
    recommended_config,
    training_options,
)
from transfer_core.cli.output import print_note, report
from transfer_core.cli.training import carry_out
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.sources.layout_choice import LayoutChoice
from transfer_core.errors import NotFoundError, TrainingError, TransferStudioError
from transfer_core.evaluation.comparison import compare as compare_evaluations
from transfer_core.evaluation.evaluation import Evaluation
from transfer_core.events import RunSnapshot
from transfer_core.language import _, percent
from transfer_core.runs.differences import difference_sentence, differences
from transfer_core.runs.run_status import resumable_run, run_status
from transfer_core.runs.sweep import (
    NUM_REPEATS,
    Sweep,
    best_trade_off,
    check_unchanged,
    load_sweep,
    usual_depths,
)
from transfer_core.runs.sweep_plan import SweepPlan
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.freezing import FreezePlan
from transfer_core.workspace import Workspace


@click.command()
@click.argument("run_ids", metavar="RUN RUN", nargs=2)
@common_options
def compare(run_ids: tuple[str, str], root: Path | None, as_json: bool) -> None:
    """Say what differs between two runs, and whether the second is better."""
    _compare_runs(open_workspace(root), run_ids, as_json)


@click.command()
@click.argument("source", metavar="FOLDER_OR_DATASET")
@click.option("--depth", "depths", multiple=True, type=int, help="Blocks to fine-tune; several times.")
@click.option(
    "--repeats", default=NUM_REPEATS, show_default=True, type=click.IntRange(1, 10), help="Seeds for each."
)
@click.option("--resume", "sweep_id", help="Go on with a series that broke off.")
@training_options
@layout_options
@common_options
def sweep(
    source: str,
    layout: LayoutChoice | None,
    depths: tuple[int, ...],
    repeats: int,
    sweep_id: str | None,
    recommended: bool,
    root: Path | None,
    as_json: bool,
    **choices: Any,
) -> None:
    """Train on the same images at several freeze depths, and name the best trade-off."""
    workspace = open_workspace(root)
    if sweep_id:
        begun = load_sweep(workspace, sweep_id)
        plan, config = begun.plan, begun.runs[0].config
        dataset = check_unchanged(workspace, begun)
    else:
        config = config_from(choices)
        dataset = dataset_from(workspace, source, config.seed, layout=layout)
        backbone = get_backbone(config.backbone, workspace)
        if recommended:
            config, _reasons = recommended_config(choices, dataset, backbone)
        usual = usual_depths(FreezePlan.of(config, backbone).backbone.max_unfrozen_blocks)
        plan = SweepPlan.of(dataset, config, depths or usual, repeats, backbone)
    _sweep_depths(workspace, dataset, config, plan, as_json)


def _compare_runs(workspace: Workspace, run_ids: Sequence[str], as_json: bool) -> None:
    """Print the differences between two runs, and whether the second is better.

    Raises:
        NotFoundError: If a run is missing or has no evaluation.
        WorkspaceError: If a file is damaged.
    """
    runs = [TrainingRun.load(workspace, run_id) for run_id in run_ids]
    found = differences(runs)
    comparison = compare_evaluations(*(_evaluation(run) for run in runs))
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
            _("  {name}: {before} of {count} correct, then {after}").format(
                name=change.class_name,
                before=change.num_right_before,
                after=change.num_right_after,
                count=change.num_images,
            )
            for change in comparison.per_class
        ),
        facts["verdict"],
        *filter(None, [facts["reasoning"]]),
    ]
    report(as_json, facts, lines)


def _evaluation(run: TrainingRun) -> Evaluation:
    evaluation = run.evaluation()
    if evaluation is None:
        raise NotFoundError(
            _("The run {id} has no accuracy: it was stopped or failed before its final check.").format(
                id=run.id
            )
        )
    return evaluation


def _sweep_depths(
    workspace: Workspace,
    dataset: ImageDataset,
    config: TrainingConfig,
    plan: SweepPlan,
    as_json: bool,
) -> None:
    """Train the missing runs of a plan, one after the other, and print the result of each depth.

    Raises:
        TrainingError: If not one run could be finished.
        WorkspaceError: If writing fails.
    """
    print_note(_("Series {id}; if it is interrupted, continue with --resume {id}").format(id=plan.id))
    for depth, seed, choices in plan.configs(config):
        run = _run_to_carry_out(workspace, dataset, plan, choices)
        if run is None:
            continue
        print_note(_("{depth} blocks learn, seed {seed}: run {id}").format(depth=depth, seed=seed, id=run.id))
        try:
            carry_out(workspace, run)
        except TransferStudioError as error:
            print_note(_("The run {id} failed: {reason}").format(id=run.id, reason=error))
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
    return TrainingRun.create(workspace, dataset, choices, plan.marks)


def _snapshot_of(workspace: Workspace) -> Callable[[str], RunSnapshot]:
    return lambda run_id: TrainingRun.load(workspace, run_id).snapshot()


def _sweep_facts(workspace: Workspace, sweep: Sweep) -> dict[str, Any]:
    points = sweep.points(_snapshot_of(workspace))
    best = best_trade_off(points)
    if best is None:
        raise TrainingError(_("None of the trainings finished, so there is nothing to compare."))
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
        "{depth} blocks: accuracy {accuracy} (spread {spread}), {seconds:.0f} s, {count:,} values learn{mark}"
    )
    return [
        line.format(
            depth=point.num_unfrozen_blocks,
            accuracy=percent(point.accuracy, 1),
            spread=percent(point.spread, 1),
            seconds=point.seconds,
            count=point.num_trainable_parameters,
            mark=_("  <- best trade-off") if point == best else "",
        )
        for point in points
        if point.accuracy is not None
    ]


COMPARE_COMMANDS = (compare, sweep)
