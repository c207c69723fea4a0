"""The commands that train: `train` and `resume`."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from transfer_core.cli.backbones import make_ready
from transfer_core.cli.datasets import brightness_option, dataset_from
from transfer_core.cli.options import (
    common_options,
    config_from,
    layout_options,
    open_workspace,
    recommended_config,
    training_options,
)
from transfer_core.cli.output import (
    print_event,
    print_note,
    report,
    training_facts,
)
from transfer_core.data.checks.notices import read_as_sentence
from transfer_core.data.checks.series_check import check_series
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.images.grey_ranges import Brightness
from transfer_core.data.sources.layout_choice import LayoutChoice
from transfer_core.errors import InvalidConfigError, NotFoundError
from transfer_core.events import RunEnded, RunSnapshot, TrainingEvent
from transfer_core.language import _, percent
from transfer_core.runs.run_status import resumable_run
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.freezing import FreezePlan
from transfer_core.training.head_choice import reason_against_head
from transfer_core.training.variants import recommended_variant
from transfer_core.work.execute import ended_by, execute_run
from transfer_core.work.live_run import LiveRun
from transfer_core.workspace import Workspace


@click.command()
@click.argument("source", metavar="FOLDER_OR_DATASET")
@brightness_option
@training_options
@layout_options
@common_options
def train(
    source: str,
    recommended: bool,
    layout: LayoutChoice | None,
    brightness: Brightness,
    root: Path | None,
    as_json: bool,
    **choices: Any,
) -> None:
    """Train a classifier on a folder, a zip, a sample or a dataset that exists."""
    workspace = open_workspace(root)
    config = config_from(choices)
    backbone = make_ready(workspace, config)
    FreezePlan.of(config, backbone)  # raises before a thousand images are read
    if reason := reason_against_head(config):
        raise InvalidConfigError(reason)
    dataset = dataset_from(workspace, source, config.seed, layout=layout, brightness=brightness)
    dataset.check_trainable()
    if dataset.read_as:
        print_note(read_as_sentence(dataset.read_as))
    if recommended:
        variant, careful_reason = backbone, ""
        if not config.unfreezes and choices["backbone"] is None:
            variant, careful_reason = recommended_variant(dataset, backbone, workspace.cache_dir)
        config, reasons = recommended_config(choices, dataset, variant)
        for reason in (*reasons, careful_reason):
            if reason:
                print_note(reason)
    _train_and_report(workspace, TrainingRun.create(workspace, dataset, config), as_json)


@click.command()
@click.argument("run_id", metavar="RUN")
@common_options
def resume(run_id: str, root: Path | None, as_json: bool) -> None:
    """Let a run that was interrupted go on from its last checkpoint."""
    workspace = open_workspace(root)
    _train_and_report(workspace, resumable_run(workspace, run_id), as_json)


def carry_out(workspace: Workspace, run: TrainingRun) -> RunSnapshot:
    """Train a run to its end in this process, and print its progress.

    Args:
        workspace: Where its images and the cache are.
        run: New or interrupted.

    Raises:
        TransferStudioError: Whatever `execute_run` raises.
    """
    live = LiveRun(run)
    is_over = False

    def emit(event: TrainingEvent) -> None:
        nonlocal is_over
        live.log.append(event)
        is_over = isinstance(event, RunEnded)
        print_event(event)

    try:
        execute_run(workspace, run, emit, live.should_stop)
    except BaseException as error:
        if not is_over:
            live.log.append(ended_by(error, has_checkpoint=run.has_checkpoint))
        raise
    finally:
        live.release()
    return live.log.snapshot


def _train_and_report(workspace: Workspace, run: TrainingRun, as_json: bool) -> None:
    snapshot = carry_out(workspace, run)
    with suppress(NotFoundError):
        for problem in check_series(ImageDataset.load(workspace, run.dataset_id)):
            print_note(problem.sentence)
    facts = training_facts(run, snapshot)
    line = _(
        "Run {run_id}: accuracy {val_accuracy} on {num_validation_images} validation photos, in "
        "{seconds:.0f} s"
    )
    report(as_json, facts, [line.format(**{**facts, "val_accuracy": percent(facts["val_accuracy"], 1)})])


TRAINING_COMMANDS = (train, resume)
