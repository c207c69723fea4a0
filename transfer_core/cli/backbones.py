"""The commands about backbones: list, download, save and bring one's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.families import family_words
from transfer_core.backbones.own.exchange import export_source, import_source, import_weights
from transfer_core.backbones.published.zoo_weights import ZooWeights, download_weights
from transfer_core.backbones.registry import get_backbone, list_backbones
from transfer_core.cli.datasets import dataset_from
from transfer_core.cli.options import common_options, layout_options, open_workspace
from transfer_core.cli.output import print_download, print_note, report
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.sources.layout_choice import LayoutChoice
from transfer_core.errors import NotFoundError, TransferStudioError
from transfer_core.evaluation.audition import audition, best_trade_off
from transfer_core.language import _, compact_number, percent
from transfer_core.runs.own_models import make_source
from transfer_core.workspace import Workspace


@click.command()
@common_options
def backbones(root: Path | None, as_json: bool) -> None:
    """List the pretrained networks, published ones and your own."""
    workspace = open_workspace(root)
    facts = [backbone_facts(backbone) for backbone in (*list_backbones(), *own_backbones(workspace))]
    line = _("{name}: {megabytes} MB, {parameters} parameters, {image_size} × {image_size} pixels")
    lines = [line.format(parameters=compact_number(fact["num_parameters"]), **fact) for fact in facts]
    report(as_json, {"backbones": facts}, lines)


@click.command()
@click.argument("name", metavar="BACKBONE")
@common_options
def download(name: str, root: Path | None, as_json: bool) -> None:
    """Get the weights of a published network onto this computer."""
    backbone = get_backbone(name, open_workspace(root))
    _download(backbone)
    report(as_json, backbone_facts(backbone), [_("The weights of {name} are here.").format(name=name)])


@click.command("export-source")
@click.argument("run_id", metavar="RUN")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@common_options
def export_one(run_id: str, path: Path, root: Path | None, as_json: bool) -> None:
    """Save the model of a run as a source that another computer can build on."""
    workspace = open_workspace(root)
    backbone = make_source(workspace, run_id)
    export_source(workspace, run_id, path)
    facts = {"path": str(path.resolve()), **backbone_facts(backbone)}
    report(as_json, facts, [_("Saved {lineage}").format(lineage=backbone.weights_source)])


@click.command("import-source")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--weights-of", help="The file is a weights file (.h5) of this published network.")
@common_options
def import_one(path: Path, weights_of: str | None, root: Path | None, as_json: bool) -> None:
    """Take in a model to build on: saved as a source, exported for Keras, or its weights."""
    workspace = open_workspace(root)
    with path.open("rb") as content:
        if weights_of:
            source_id = import_weights(workspace, weights_of, content, path.name)
        else:
            source_id = import_source(workspace, content)
    facts = backbone_facts(get_backbone(source_id, workspace))
    report(as_json, facts, [_("Build on it with: train --backbone {id}").format(id=source_id)])


@click.command("audition")
@click.argument("source", metavar="FOLDER_OR_DATASET")
@click.option("--backbone", "names", multiple=True, help="Try these; those that are available, if not given.")
@layout_options
@common_options
def audition_command(
    source: str, names: tuple[str, ...], layout: LayoutChoice | None, root: Path | None, as_json: bool
) -> None:
    """Try pretrained networks on images: how often each is right, how long it takes, how large it is."""
    workspace = open_workspace(root)
    dataset = dataset_from(workspace, source, TrainingConfig().seed, layout=layout)
    facts = audition_facts(workspace, dataset, names)
    line = _(
        "{name}: accuracy {accuracy} ± {spread}, {seconds_per_100_images:.1f} s for 100 photos, "
        "{megabytes} MB"
    )
    lines = [
        line.format(
            **{**score, "accuracy": percent(score["accuracy"], 1), "spread": percent(score["spread"], 1)}
        )
        for score in facts["scores"]
    ]
    lines.append(_("Best trade-off: {name}").format(name=facts["best_trade_off"]))
    report(as_json, facts, lines)


MODEL_COMMANDS = (backbones, download, export_one, import_one, audition_command)


def backbone_facts(backbone: Backbone) -> dict[str, Any]:
    """Return the facts of a backbone, ready for JSON."""
    return {
        "name": backbone.name,
        "title": backbone.title,
        "family": family_words(backbone.family).title,
        "image_size": backbone.image_size,
        "smallest_image_size": backbone.smallest_image_size,
        "preprocessing": backbone.preprocessing,
        "num_parameters": backbone.num_parameters,
        "num_multiplications": backbone.num_multiplications,
        "num_blocks": len(backbone.blocks),
        "blocks": [vars(block) for block in backbone.blocks],
        "megabytes": backbone.megabytes,
        "imagenet_accuracy": backbone.imagenet_accuracy,
        "accuracy_source": backbone.accuracy_source,
        "licence": backbone.licence,
        "weights_source": backbone.weights_source,
        "lineage": list(backbone.lineage),
        "works_offline": backbone.weights.are_available,
    }


def own_backbones(workspace: Workspace) -> list[Backbone]:
    """Return a person's own models that are sources already; damaged ones are reported and left out."""
    found = []
    for source_id in workspace.source_ids():
        try:
            found.append(get_backbone(source_id, workspace))
        except TransferStudioError as error:
            print_note(_("The own model {id} is damaged: {reason}").format(id=source_id, reason=error))
    return found


def make_ready(workspace: Workspace, config: TrainingConfig) -> Backbone:
    """Return the backbone of a training with its weights: make a run a source model, download missing weights.

    Raises:
        NotFoundError: If there is no such backbone and no such run.
        TrainingError: If the run has no model.
        WeightsError: If the weights are missing and cannot be downloaded.
        WorkspaceError: If writing fails.
    """
    try:
        backbone = get_backbone(config.backbone, workspace)
    except NotFoundError as error:
        # `run_ids` would create the folder of a mistyped workspace.
        if not workspace.root.is_dir() or config.backbone not in workspace.run_ids():
            raise error
        backbone = make_source(workspace, config.backbone)
    if config.weights != "random":
        _download(backbone)
    return backbone


def audition_facts(workspace: Workspace, dataset: ImageDataset, names: Sequence[str]) -> dict[str, Any]:
    """Try backbones on a dataset and return the scores, the most accurate first, ready for JSON.

    Args:
        workspace: Its cache keeps the features; its own models are candidates, too.
        dataset: The images.
        names: Of the backbones; all that are available, if empty.

    Raises:
        TransferStudioError: As `audition` does.
    """
    tried = [get_backbone(name, workspace) for name in names]
    tried = tried or [
        backbone
        for backbone in (*list_backbones(), *own_backbones(workspace))
        if backbone.weights.are_available
    ]
    printed: set[str] = set()

    def print_title(backbone: Backbone, num_images: int) -> None:
        if backbone.name not in printed:
            printed.add(backbone.name)
            print_note(backbone.title)

    titles = {backbone.name: backbone.title for backbone in tried}
    scores = audition(dataset, tried, workspace.cache_dir, on_progress=print_title)
    facts = [
        {
            "name": score.backbone_name,
            "title": titles[score.backbone_name],
            "accuracy": score.accuracy,
            "spread": score.spread,
            "fold_accuracies": list(score.accuracies),
            "seconds_per_100_images": score.seconds_per_100_images,
            "megabytes": score.megabytes,
        }
        for score in sorted(scores, key=lambda score: -score.accuracy)
    ]
    return {
        "dataset_id": dataset.id,
        "num_images": len(dataset.images),
        "best_trade_off": best_trade_off(scores).backbone_name,
        "scores": facts,
    }


def _download(backbone: Backbone) -> None:
    weights = backbone.weights
    if weights.are_available or not isinstance(weights, ZooWeights):
        return
    download_weights(weights.download, on_progress=print_download(backbone.title))
