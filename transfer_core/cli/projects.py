"""The commands about projects: save one, open one."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from transfer_core.cli.chosen_language import Group
from transfer_core.cli.options import common_options, open_workspace
from transfer_core.cli.output import print_note, report
from transfer_core.language import _
from transfer_core.projects.open import open_project
from transfer_core.projects.plan import plan_project
from transfer_core.projects.save import save_project


@click.group(cls=Group)
def project() -> None:
    """Take images with all their runs to another computer, as one file."""


@project.command()
@click.argument("dataset_id", metavar="DATASET")
@click.option(
    "--out",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The file to write, a zip.",
)
@click.option(
    "--run", "run_ids", multiple=True, help="Only this run; several times. All that are over, if not given."
)
@common_options
def save(dataset_id: str, path: Path, run_ids: tuple[str, ...], root: Path | None, as_json: bool) -> None:
    """Save images, the runs on them and their settings as one file."""
    workspace = open_workspace(root)
    plan = plan_project(workspace, dataset_id, run_ids)
    print_note(_("About {megabytes:.1f} MB").format(megabytes=plan.num_bytes / 1e6))
    for run in plan.left_out:
        print_note(_("Not included: the run {id}: {reason}").format(id=run.id, reason=run.reason))
    save_project(workspace, plan, path)
    facts = {
        "path": str(path.resolve()),
        "num_bytes": path.stat().st_size,
        "dataset_id": dataset_id,
        "num_images": len(plan.dataset.images),
        "run_ids": [run.id for run in plan.runs],
        "source_ids": list(plan.source_ids),
        "left_out": [asdict(run) for run in plan.left_out],
    }
    report(
        as_json,
        facts,
        [
            _("Saved {num_images} photos and {num_runs} models: {path}").format(
                num_runs=len(plan.runs), **facts
            )
        ],
    )


@project.command("open")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@common_options
def open_one(path: Path, root: Path | None, as_json: bool) -> None:
    """Take in what `project save` wrote, here or on another computer."""
    workspace = open_workspace(root)
    with path.open("rb") as content:
        opened = open_project(workspace, content)
    facts = {
        "dataset_id": opened.dataset_id,
        "run_ids": list(opened.run_ids),
        "new_ids": list(opened.new_ids),
        "is_copy": opened.is_copy,
    }
    lines = [_("Photos {id}").format(id=opened.dataset_id)]
    lines += [_("  run {id}").format(id=run_id) for run_id in opened.run_ids]
    if opened.is_copy:
        lines.append(_("It was opened as a copy: the same ids exist here, with other content."))
    elif not opened.new_ids:
        lines.append(_("Everything in it was here already."))
    report(as_json, facts, lines)
