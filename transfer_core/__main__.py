"""The command line on the same engine as the app: `python -m transfer_core --help`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, get_args

import click

from transfer_core.command_parts import carry_out, dataset_from
from transfer_core.config import TrainingConfig
from transfer_core.console import (
    damaged_run_facts,
    dataset_facts,
    error_message,
    left_out_facts,
    note,
    prediction_facts,
    prediction_line,
    report,
    run_facts,
    training_facts,
)
from transfer_core.data.checks.photo_check import examine
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import LeftOut, Split, SplitBy
from transfer_core.errors import IngestError, TrainingError, TransferStudioError
from transfer_core.evaluation.evaluation import met_sentence
from transfer_core.evaluation.label_suspicion import suspicious_labels
from transfer_core.evaluation.labelled_folder import labelled_folder
from transfer_core.export_commands import export
from transfer_core.inference.certainty import Certainty
from transfer_core.inference.predictor import Predictor
from transfer_core.language import _
from transfer_core.model_commands import MODEL_COMMANDS, audition_facts, make_ready
from transfer_core.options import (
    common_options as _common_options,
)
from transfer_core.options import (
    config_from,
    recommended_config,
    training_options,
)
from transfer_core.options import (
    open_workspace as _workspace,
)
from transfer_core.project_commands import project
from transfer_core.run_commands import RUN_COMMANDS
from transfer_core.runs.assess import evaluate_new_images, evaluate_split
from transfer_core.runs.corrections import images_of as run_images
from transfer_core.runs.run_status import ACTIVE, resumable_run, run_status
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.freezing import FreezePlan
from transfer_core.work.live_run import ask_to_stop
from transfer_core.workspace import Workspace

_SECONDS_BETWEEN_LOOKS = 0.1


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Teach a pretrained network your own classes, from the command line."""


@cli.command()
@click.argument("source")
@click.option("--seed", default=1, show_default=True, help="Fixes which images are kept for validation.")
@click.option(
    "--validation-split",
    default=ImageDataset.validation_split,
    show_default=True,
    help="Share kept to check with.",
)
@click.option("--folds", type=int, help="Part the images into this many parts that take turns, 2-10.")
@click.option(
    "--ignore-own-split", is_flag=True, help="Do not keep the split of folders train, val and test."
)
@click.option(
    "--check-labels", is_flag=True, help="Look for labels that are likely wrong; takes a look at each image."
)
@_common_options
def ingest(
    source: str,
    seed: int,
    validation_split: float,
    folds: int | None,
    ignore_own_split: bool,
    check_labels: bool,
    root: Path | None,
    as_json: bool,
) -> None:
    """Turn a folder of class folders, a zip or tar of one, a table of path,label or sample:NAME into a dataset."""
    workspace = _workspace(root)
    dataset = dataset_from(workspace, source, seed, validation_split)
    if folds or (ignore_own_split and dataset.split_by == "folders"):
        split_by: SplitBy = "folds" if folds else "share"
        dataset = dataset.with_split(validation_split, seed, split_by=split_by, num_folds=folds).save()
    suspicions = suspicious_labels(dataset, workspace.cache_dir) if check_labels else ()
    problems = examine(dataset, suspicions)
    lines = [_("Dataset {id}").format(id=dataset.id)]
    lines += [f"  {name}: {count:,}" for name, count in dataset.counts().items()]
    lines += [f"  {problem.title}. {problem.sentence}" for problem in problems]
    lines += [
        _("  left out: {name} ({reason})").format(name=file.name, reason=file.reason)
        for file in dataset.left_out
    ]
    report(as_json, dataset_facts(dataset, problems), lines)
    dataset.check_trainable()


@cli.command()
@click.argument("source", metavar="FOLDER_OR_DATASET")
@training_options
@_common_options
def train(source: str, recommended: bool, root: Path | None, as_json: bool, **choices: Any) -> None:
    """Train a classifier on a folder, a zip, a sample or a dataset that is there already."""
    workspace = _workspace(root)
    config = config_from(choices)
    make_ready(workspace, config)
    FreezePlan.of(config)  # complains before a thousand images are read
    dataset = dataset_from(workspace, source, config.seed)
    dataset.check_trainable()
    if recommended:
        config, reasons = recommended_config(choices, dataset)
        for reason in reasons:
            note(reason)
    _train_and_report(workspace, TrainingRun.create(workspace, dataset, config), as_json)


@cli.command()
@click.argument("source", metavar="FOLDER_OR_DATASET")
@click.option("--backbone", "names", multiple=True, help="Try these; those that are at hand, if not given.")
@_common_options
def audition(source: str, names: tuple[str, ...], root: Path | None, as_json: bool) -> None:
    """Try pretrained networks on images: how often each is right, how long it takes, how large it is."""
    workspace = _workspace(root)
    facts = audition_facts(workspace, dataset_from(workspace, source, TrainingConfig.seed), names)
    line = _(
        "{name}: {accuracy:.1%} ± {spread:.1%} right, {seconds_per_100_images:.1f} s for 100 images, {megabytes} MB"
    )
    lines = [line.format(**score) for score in facts["scores"]]
    lines.append(_("Best trade-off: {name}").format(name=facts["best_trade_off"]))
    report(as_json, facts, lines)


@cli.command()
@click.argument("run_id", metavar="RUN")
@_common_options
def resume(run_id: str, root: Path | None, as_json: bool) -> None:
    """Let a run that was interrupted go on from its last checkpoint."""
    workspace = _workspace(root)
    _train_and_report(workspace, resumable_run(workspace, run_id), as_json)


@cli.command()
@click.argument("run_id", metavar="RUN")
@_common_options
def stop(run_id: str, root: Path | None, as_json: bool) -> None:
    """Stop a run, whichever program trains it, and wait until it has kept its best."""
    run = TrainingRun.load(_workspace(root), run_id)
    if run_status(run) not in ACTIVE:
        raise TrainingError(_("Only a run that is being trained, or waits for it, can be stopped."))
    ask_to_stop(run)
    while run_status(run) in ACTIVE:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    facts = run_facts(run)
    report(as_json, facts, [_("Run {run_id}: {status}").format(**facts)])


@cli.command()
@_common_options
def runs(root: Path | None, as_json: bool) -> None:
    """List the runs, newest first."""
    workspace = _workspace(root)
    facts = []
    for run_id in workspace.run_ids():
        try:
            facts.append(run_facts(TrainingRun.load(workspace, run_id)))
        except TransferStudioError as error:
            facts.append(damaged_run_facts(run_id, error))
    lines = [
        "{run_id}  {status}  {message}".format(**fact)
        if fact["status"] == "damaged"
        else "{run_id}  {status}  {dataset}  {backbone}".format(**fact)
        for fact in facts
    ]
    report(as_json, {"runs": facts}, lines)


@cli.command("evaluate")
@click.argument("run_id", metavar="RUN")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option(
    "--split",
    type=click.Choice(get_args(Split)),
    default="validation",
    show_default=True,
    help="Which of its own images, without a folder.",
)
@_common_options
def evaluate_run(run_id: str, folder: Path | None, split: Split, root: Path | None, as_json: bool) -> None:
    """Score a run on its validation images, or on a folder of class folders."""
    workspace = _workspace(root)
    run = TrainingRun.load(workspace, run_id)
    left_out: list[LeftOut] = []
    if folder is None:
        dataset = ImageDataset.load(workspace, run.dataset_id)
        evaluation = evaluate_split(run, dataset, split, workspace.cache_dir)
        for notice in Certainty.load(run.folder).notices:
            note(notice)
    else:
        predictor = _predictor(run)
        images, left_out = labelled_folder(folder, predictor.class_names)
        evaluation = evaluate_new_images(run, run_images(workspace, run), predictor, images)
    lowest, highest = evaluation.accuracy_interval
    line = _(
        "{accuracy:.1%} of {count} images right, probably {lowest:.0%} to {highest:.0%} of new ones"
    ).format(accuracy=evaluation.accuracy, count=evaluation.num_images, lowest=lowest, highest=highest)
    for file in left_out:
        note(_("Left out: {name} ({reason})").format(name=file.name, reason=file.reason))
    facts = {"run_id": run.id, "left_out": left_out_facts(left_out), **evaluation.to_dict()}
    report(as_json, facts, [line, *filter(None, [met_sentence(evaluation)])])


@cli.command()
@click.argument("run_id", metavar="RUN")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@_common_options
def predict(run_id: str, images: tuple[str, ...], root: Path | None, as_json: bool) -> None:
    """Say what a run makes of one or more images."""
    predictor = _predictor(TrainingRun.load(_workspace(root), run_id))
    facts = {}
    lines = []
    problems = []
    for image in images:
        try:
            prediction = predictor.predict(Path(image).read_bytes())
        except OSError as error:
            problems.append(f"{image}: {error.strerror}")
        except TransferStudioError as error:
            problems.append(f"{image}: {error}")
        else:
            facts[image] = prediction_facts(prediction)
            lines.append(prediction_line(image, prediction))
    report(as_json, facts, lines)
    if problems:
        raise IngestError(_("Not every image could be read. {problems}").format(problems="; ".join(problems)))


def _predictor(run: TrainingRun) -> Predictor:
    predictor = Predictor.load(run.folder)
    for notice in predictor.notices:
        note(notice)
    return predictor


def _train_and_report(workspace: Workspace, run: TrainingRun, as_json: bool) -> None:
    snapshot = carry_out(workspace, run)
    facts = training_facts(run, snapshot)
    line = _(
        "Run {run_id}: {val_accuracy:.1%} of {num_validation_images} validation images right, in {seconds:.0f} s"
    )
    report(as_json, facts, [line.format(**facts)])


for command in (*MODEL_COMMANDS, *RUN_COMMANDS, export, project):
    cli.add_command(command)


def main() -> int:
    """Run the command line; every error is one clear line on standard error.

    Returns:
        The exit code: 0 when all went well.
    """
    try:
        cli(prog_name="python -m transfer_core", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
    except (click.Abort, KeyboardInterrupt) as error:
        # Click takes the end of any file that is read for the end of the input, which means to stop.
        if isinstance(error.__cause__, EOFError):
            note(_("Error: {message}").format(message=error_message(error.__cause__)))
            return 1
        note(_("Stopped."))
        return 130
    except Exception as error:  # noqa: BLE001  (the last resort: a traceback says nothing to a person)
        note(_("Error: {message}").format(message=error_message(error)))
        return error.exit_code if isinstance(error, click.ClickException) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
