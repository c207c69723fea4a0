"""Finished runs as the source of new ones: flowers ← EfficientNet-Lite0 ← ImageNet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from transfer_core.backbones.backbone import RANDOM_WEIGHTS, Backbone
from transfer_core.backbones.families import origin_name
from transfer_core.backbones.own.source_model import FACTS_FILE, write_source_model
from transfer_core.backbones.registry import get_backbone
from transfer_core.data.quota import check_space
from transfer_core.errors import TrainingError, TransferStudioError, WorkspaceError
from transfer_core.files import damaged_file, move, remove
from transfer_core.inference.predictor import load_model
from transfer_core.language import _, names_list, plural
from transfer_core.runs.run_status import ACTIVE, run_status
from transfer_core.runs.training_run import TrainingRun, runs_of
from transfer_core.runs.trash import move_to_trash
from transfer_core.training.train import MODEL_FILE
from transfer_core.workspace import Workspace

# In a sentence for a person.
_MOST_NAMED = 3


def make_source(workspace: Workspace, run_id: str) -> Backbone:
    """Make the model of a run a backbone for new runs, unless it is one already.

    The body of the model is copied, so that the backbone outlives the run.

    Args:
        workspace: Where the run is.
        run_id: Its id, which is also the name of the backbone.

    Raises:
        IngestError: If the person's part of the disk is full.
        NotFoundError: If there is no such run.
        TrainingError: If it is not over, or has no model.
        WorkspaceError: If its model is damaged, or writing fails.
    """
    if not (workspace.source_dir(run_id) / FACTS_FILE).is_file():
        run = TrainingRun.load(workspace, run_id)
        if run_status(run) in ACTIVE or not run.has_model:
            raise TrainingError(_("Only a finished model can be built on. Let its training end first."))
        check_space(workspace)
        network = get_backbone(run.backbone.network)
        model = load_model(run.folder)
        facts = {
            "architecture": network.name,
            "title": title_of(run),
            "class_names": run.class_names,
            "lineage": lineage_of(run),
        }
        try:
            with workspace.scratch_folder() as scratch:
                write_source_model(scratch, model, network, facts)
                _move_in(workspace, scratch, workspace.sources_dir / run_id)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise damaged_file(run.folder / MODEL_FILE, _("its layers do not match its choices")) from error
    return get_backbone(run_id, workspace)


def _move_in(workspace: Workspace, made: Path, folder: Path) -> None:
    """Move a complete source into its place, unless another window was first."""
    with workspace.moving():
        if (folder / FACTS_FILE).is_file():
            return
        try:
            remove(folder)
            move(made, folder)
        except OSError as error:
            raise WorkspaceError(
                _("The model could not be saved: {reason}. Free some space, then try again.").format(
                    reason=error
                )
            ) from error


def delete_source(workspace: Workspace, source_id: str) -> None:
    """Move an own model to the trash; `take_from_trash` restores it for some days.

    Args:
        workspace: Where it is.
        source_id: Its id.

    Raises:
        NotFoundError: If there is no such model.
        TrainingError: If there are runs that build on it, which could not be repeated without it.
        WorkspaceError: If writing fails.
    """
    names = []
    for run in runs_of(workspace):
        if run.config.backbone == source_id:
            names.append(f"{run.dataset_name} · {run.created_at:%Y-%m-%d %H:%M}")
    if names:
        raise TrainingError(
            plural(
                "{count} other model builds on this one: {names}. Delete that model first.",
                "{count} other models build on this one: {names}. Delete those models first.",
                len(names),
                names=names_list(names[:_MOST_NAMED]),
            )
        )
    move_to_trash(workspace, "source", source_id)


def title_of(run: TrainingRun) -> str:
    """Return the title of a run's model as a source: the name of its dataset."""
    return run.dataset_name[:100] or _("Without a name")


def lineage_of(run: TrainingRun) -> tuple[str, ...]:
    """Return what the backbone of a run was trained on before the run, the latest first, in English.

    Raises:
        NotFoundError: If its backbone was deleted before its facts were recorded.
    """
    backbone = run.backbone
    before = (RANDOM_WEIGHTS,) if run.config.weights == "random" else backbone.lineage
    return origin_name(backbone.name, backbone.title), *before


def runs_to_build_on(workspace: Workspace) -> Iterator[TrainingRun]:
    """Yield the runs whose model could become a source but is not one yet, newest first."""
    known = set(workspace.source_ids())
    for run in runs_of(workspace):
        # A damaged run is no reason not to show the others.
        with suppress(TransferStudioError):
            if run.id not in known and run.has_model and run_status(run) not in ACTIVE:
                lineage_of(run)
                yield run
