"""The options of `train` on the command line: one for each choice of a `TrainingConfig`."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import click

from transfer_core.backbones.backbone import Backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.sources.layout_choice import LAYOUTS, LayoutChoice, LayoutName
from transfer_core.language import N_, _
from transfer_core.runs.leftovers import remove_leftovers
from transfer_core.workspace import Workspace, default_workspace_root

Command = TypeVar("Command", bound=Callable[..., Any])

# The choices whose option is not simply their name.
_NAMES = {
    "num_unfrozen_blocks": "--unfreeze-blocks",
    "unfrozen_layers": "--unfreeze-layer",
    "early_stopping_patience": "--patience",
    "augmentation_kinds": "--augmentation-kind",
    "num_views": "--views",
}
_HELP = {
    "backbone": N_("Pretrained network; the command backbones lists them. Or the id of a run to build on."),
    "num_unfrozen_blocks": N_("How many of the last blocks to fine-tune."),
    "unfrozen_layers": N_("A single layer to fine-tune; may be given several times."),
    "epochs": N_("Times the new layer sees every training image."),
    "fine_tune_epochs": N_(
        "Times the unfrozen blocks see them afterwards; never more than the epochs by default."
    ),
    "learning_rate": N_("Largest step size for the new layer."),
    "fine_tune_learning_rate": N_("Largest step size while fine-tuning."),
    "batch_size": N_("Images in one step."),
    "dropout": N_("Share of the features hidden in each step."),
    "seed": N_("Fixes everything random, the split of new images too."),
    "schedule": N_("What learns when."),
    "weights": N_("Where training starts: pretrained, or from scratch."),
    "optimizer": N_("Rule by which the weights are changed."),
    "momentum": N_("Of sgd."),
    "weight_decay": N_("Of adamw and sgd: pulls weights towards zero."),
    "label_smoothing": N_("Share of the certainty taken from the right class."),
    "class_weights": N_("Let small classes weigh more: always, never, or where classes are uneven."),
    "oversampling": N_("Show images of small classes more often."),
    "head": N_("The new layers."),
    "hidden_units": N_("Size of the hidden layer of the head."),
    "early_stopping_patience": N_("Epochs without progress after which a phase ends; 0 never."),
    "layer_decay": N_("Each block learns at this multiple of the rate of the block behind it."),
    "augmentation": N_("How strongly training images are varied."),
    "augmentation_kinds": N_("One kind of change; may be given several times, all of them if not given."),
    "num_views": N_("Views kept of each training image when it is varied."),
    "live_augmentation": N_("Vary images again in every epoch, without the feature cache."),
    "cache_dtype": N_("Precision of the cached features."),
    "teacher": N_(
        "Id of a run, usually a larger one, whose answers are learned beside the labels. "
        "Where it has learned from all photos, the accuracy may be slightly too high."
    ),
    "teacher_share": N_("How much its answers count beside the labels."),
    "teacher_temperature": N_("How much its answers are softened."),
    "train_on_all": N_("Measure by cross-validation, then train the kept model on all photos."),
    "mixed_precision": N_("Compute the backbone in float16 where a GPU has it; otherwise in float32."),
}


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def common_options(command: Command) -> Command:
    """Give a command the options that every command has: `root` and `as_json`."""
    command = click.option(
        "--workspace",
        "root",
        type=click.Path(path_type=Path, file_okay=False),
        help="Folder that holds datasets and runs.",
    )(command)
    return json_option(command)


def layout_options(command: Command) -> Command:
    """Give a command the options that say what the folders mean; it gets them as `layout`, a choice or None."""

    @wraps(command)
    def with_choice(
        layout_name: LayoutName | None, only_folder: str, label_column: str, **options: Any
    ) -> Any:
        chosen = {layout_name, "folder" if only_folder else None, "table" if label_column else None} - {None}
        if len(chosen) > 1:
            raise click.UsageError(
                _("--layout, --only-folder and --label-column mean different things. Give only one of them.")
            )
        layouts = [name for name in LAYOUTS if name in chosen]
        choice = LayoutChoice(layouts[0], only_folder, label_column) if layouts else None
        return command(layout=choice, **options)

    names = click.Choice([name for name in LAYOUTS if name != "folder"])
    for option in (
        click.option("--label-column", default="", help="Column of the table with the classes."),
        click.option("--only-folder", default="", help="Use only this one of the top folders."),
        click.option(
            "--layout", "layout_name", type=names, help="Where the classes are, if that is unclear."
        ),
    ):
        with_choice = option(with_choice)
    return with_choice  # type: ignore[return-value]


def open_workspace(root: Path | None) -> Workspace:
    """Return the workspace in a folder, or the person's own."""
    workspace = Workspace(root or default_workspace_root())
    remove_leftovers(workspace)
    return workspace


def training_options(command: Command) -> Command:
    """Give a command an option for each choice of a training; one that is not given is None or empty."""
    command = click.option(
        "--recommended",
        is_flag=True,
        help="Let the images decide the choices that are not given, and say why.",
    )(command)
    kinds = get_type_hints(TrainingConfig)
    for choice, default in reversed(TrainingConfig().to_dict().items()):
        command = _option(choice, kinds[choice], default)(command)
    return command


def config_from(choices: dict[str, Any]) -> TrainingConfig:
    """Build a config from the options that were given.

    Args:
        choices: The values of the options of `training_options`.

    Raises:
        InvalidConfigError: If a value is out of its range.
    """
    given = _given(choices)
    config = TrainingConfig(**given)
    if "fine_tune_epochs" in given:
        return config
    return config.with_changes(fine_tune_epochs=min(TrainingConfig().fine_tune_epochs, config.epochs))


def recommended_config(
    choices: dict[str, Any], dataset: ImageDataset, backbone: Backbone
) -> tuple[TrainingConfig, list[str]]:
    """Recommend values for the options that were not given.

    Args:
        choices: The values of the options of `training_options`.
        dataset: The images of the training.
        backbone: The backbone of the training.

    Returns:
        The config, and its reasons as sentences for a person.
    """
    from transfer_core.training.advice import recommend

    recommendation = recommend(dataset, backbone)
    return recommendation.config.with_changes(**_given(choices)), list(recommendation.reasons)


def _given(choices: dict[str, Any]) -> dict[str, Any]:
    names = TrainingConfig.__struct_fields__
    return {name: value for name, value in choices.items() if name in names and value not in (None, ())}


def _option(name: str, kind: Any, default: Any) -> Callable[[Command], Command]:
    option = _NAMES.get(name, f"--{name.replace('_', '-')}")
    settings: dict[str, Any] = {"help": _HELP[name], "default": None, "show_default": str(default)}
    if kind is bool:
        return click.option(f"{option}/--no-{option[2:]}", name, **settings)
    if get_origin(kind) is tuple:
        kind, _ellipsis = get_args(kind)
        settings |= {"multiple": True, "show_default": False}
    if get_origin(kind) is Literal:
        kind = click.Choice(get_args(kind))
    return click.option(option, name, type=kind, **settings)
