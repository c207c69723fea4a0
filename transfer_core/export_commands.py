"""The command that takes a model away."""

from __future__ import annotations

from pathlib import Path

import click

from transfer_core.console import note, noted, report
from transfer_core.export.bundle import export_run
from transfer_core.export.formats import list_formats
from transfer_core.export.preparation import prepare
from transfer_core.language import _
from transfer_core.options import common_options, open_workspace
from transfer_core.runs.training_run import TrainingRun


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
    prepare(workspace, format_name, on_progress=noted("ONNX Runtime Web"))
    bundle = export_run(workspace, run, format_name, output_dir, on_step=note)
    line = _(
        "{variant}: {num_same} of {num_images} photos have the same top class, largest difference "
        "{max_difference:.1g}"
    )
    lines = [str(bundle.path), *(line.format(**parity.to_dict()) for parity in bundle.parities)]
    report(as_json, bundle.to_dict(), lines)
