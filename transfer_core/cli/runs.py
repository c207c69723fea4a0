"""The commands about one run: list, stop, evaluate, predict, export."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, get_args

import click

from transfer_core.cli.options import (
    common_options,
    layout_options,
    open_workspace,
)
from transfer_core.cli.output import (
    damaged_run_facts,
    left_out_facts,
    prediction_facts,
    prediction_line,
    print_download,
    print_note,
    report,
    run_facts,
)
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import LeftOut, Split
from transfer_core.data.sources.layout_choice import LayoutChoice
from transfer_core.errors import IngestError, TrainingError, TransferStudioError
from transfer_core.evaluation.evaluation import measured_sentence, seen_in_training_sentence
from transfer_core.evaluation.labelled_folder import labelled_folder
from transfer_core.export.bundle import export_run
from transfer_core.export.formats import list_formats
from transfer_core.export.preparation import prepare
from transfer_core.inference.certainty import Certainty
from transfer_core.inference.predictor import Predictor
from transfer_core.language import _, percent, percent_range, said, significant
from transfer_core.runs.corrections import dataset_of
from transfer_core.runs.run_evaluation import evaluate_new_images, evaluate_split
from transfer_core.runs.run_status import ACTIVE, run_status
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.live_run import request_stop_elsewhere

_POLL_SECONDS = 0.1


@click.command()
@click.argument("run_id", metavar="RUN")
@common_options
def stop(run_id: str, root: Path | None, as_json: bool) -> None:
    """Stop a run, whichever program trains it, and wait until it has kept its best."""
    run = TrainingRun.load(open_workspace(root), run_id)
    if run_status(run) not in ACTIVE:
        raise TrainingError(_("Only a training that is running or waiting can be stopped."))
    request_stop_elsewhere(run)
    while run_status(run) in ACTIVE:
        time.sleep(_POLL_SECONDS)
    facts = run_facts(run)
    report(as_json, facts, [_("Run {run_id}: {status}").format(**facts)])


@click.command()
@common_options
def runs(root: Path | None, as_json: bool) -> None:
    """List the runs, newest first."""
    workspace = open_workspace(root)
    facts = []
    for run_id in workspace.run_ids():
        try:
            facts.append(run_facts(TrainingRun.load(workspace, run_id)))
        except TransferStudioError as error:
            facts.append(damaged_run_facts(run_id, error))
    report(as_json, {"runs": facts}, [_line(fact) for fact in facts])


def _line(fact: dict[str, Any]) -> str:
    if fact["status"] == "damaged":
        return "{run_id}  {status}  {message}".format(**fact)
    line = "{run_id}  {status}  {dataset}  {backbone}".format(**fact)
    return f"{line}  {', '.join(fact['computers'])}" if fact["computers"] else line


@click.command("evaluate")
@click.argument("run_id", metavar="RUN")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option(
    "--split",
    type=click.Choice(get_args(Split)),
    default="validation",
    show_default=True,
    help="Which of its own images, without a folder.",
)
@layout_options
@common_options
def evaluate_run(
    run_id: str,
    folder: Path | None,
    split: Split,
    layout: LayoutChoice | None,
    root: Path | None,
    as_json: bool,
) -> None:
    """Score a run on images new to it, or on a folder of class folders."""
    workspace = open_workspace(root)
    run = TrainingRun.load(workspace, run_id)
    left_out: list[LeftOut] = []
    if folder is None:
        dataset = ImageDataset.load(workspace, run.dataset_id)
        evaluation = evaluate_split(run, dataset, split, workspace.cache_dir)
        for notice in Certainty.load(run.folder).notices:
            print_note(notice)
    else:
        predictor = _predictor(run)
        images, left_out = labelled_folder(folder, predictor.class_names, layout, predictor.grey_ranges)
        evaluation = evaluate_new_images(run, dataset_of(workspace, run), predictor, images)
    line = _("Accuracy {accuracy} on {count} photos; expect {range} correct on photos like these").format(
        accuracy=percent(evaluation.accuracy, 1),
        count=evaluation.num_images,
        range=percent_range(*evaluation.accuracy_interval),
    )
    for file in left_out:
        print_note(_("Skipped: {name} ({reason})").format(name=file.name, reason=said(file.reason)))
    facts = {
        "run_id": run.id,
        "left_out": left_out_facts(left_out),
        "trained_on_all": run.is_trained_on_all,
        **evaluation.to_dict(),
    }
    notes = (measured_sentence(evaluation), seen_in_training_sentence(evaluation))
    report(as_json, facts, [line, *filter(None, notes)])


@click.command()
@click.argument("run_id", metavar="RUN")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@common_options
def predict(run_id: str, images: tuple[str, ...], root: Path | None, as_json: bool) -> None:
    """Say what a run makes of one or more images."""
    predictor = _predictor(TrainingRun.load(open_workspace(root), run_id))
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
        raise IngestError(_("Some photos could not be read. {problems}").format(problems="; ".join(problems)))


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option(
    "--format",
    "format_name",
    type=click.Choice([export_format.name for export_format in list_formats()]),
    required=True,
    help="What it is to be written as.",
)
@click.option(
    "--out",
    "output_dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the zip; that of the run, if not given.",
)
@common_options
def export(run_id: str, format_name: str, output_dir: Path | None, root: Path | None, as_json: bool) -> None:
    """Write a run in another format, and prove that it gives the same answers."""
    workspace = open_workspace(root)
    run = TrainingRun.load(workspace, run_id)
    prepare(workspace, format_name, on_progress=print_download("ONNX Runtime Web"))
    bundle = export_run(workspace, run, format_name, output_dir, on_step=lambda step: print_note(said(step)))
    line = _(
        "{variant}: {num_same} of {num_images} photos have the same top class, largest difference "
        "{difference}"
    )
    lines = [str(bundle.path)]
    for parity in bundle.parities:
        lines.append(line.format(**parity.to_dict(), difference=significant(parity.max_difference, 1)))
    report(as_json, bundle.to_dict(), lines)


def _predictor(run: TrainingRun) -> Predictor:
    predictor = Predictor.load(run.folder)
    for notice in predictor.notices:
        print_note(notice)
    return predictor


RUN_COMMANDS = (stop, runs, evaluate_run, predict, export)
