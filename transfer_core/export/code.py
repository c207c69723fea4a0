"""Export of a run as a plain Keras script and notebook that train the same model again."""

from __future__ import annotations

import csv
import json
import pprint
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.registry import get_backbone
from transfer_core.config import Head, TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.images import augmentation, image_path
from transfer_core.language import _
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training import class_balance, heads, layer_rates
from transfer_core.training.all_photos import trains_on_all
from transfer_core.training.class_balance import class_weights
from transfer_core.training.classifier import build_classifier
from transfer_core.training.head_choice import recipe_of, with_head
from transfer_core.training.heads import LINEAR_HEADS, HeadRecipe
from transfer_core.training.optimizers import layer_rate_shares
from transfer_core.training.schedule import PlannedPhase, planned_phases
from transfer_core.workspace import Workspace

if TYPE_CHECKING:
    import keras

SCRIPT = Path(__file__).with_name("bundle_files") / "train.py"
_CELL_MARK = "# %%"
_MARKDOWN_MARK = "# %% [markdown]"


def write_code(run: TrainingRun, dataset: ImageDataset | None, folder: Path) -> None:
    """Write the training script, the notebook, the initial backbone, its modules, and the split.

    Args:
        run: Run whose configuration is written into the script.
        dataset: Dataset of the run; None leaves the split empty.
        folder: Existing output folder.

    Raises:
        NotFoundError: If the backbone is no longer registered.
        WeightsError: If its weights are missing or damaged.
    """
    config = _as_trained(run)
    backbone = get_backbone(config.backbone, Workspace.of_run(run.folder))
    phases = planned_phases(config, backbone)
    plan = phases[-1].plan
    body = backbone.build(pretrained=not plan.is_from_scratch)
    model = build_classifier(plan, len(run.class_names), config, body)
    body.save(folder / "backbone.keras")
    choices = _choices(
        config, _recipe(run, config), backbone, [_phase_facts(phase, config, model, body) for phase in phases]
    )
    choices["WEIGH_CLASSES"] = dataset is not None and class_weights(dataset, config) is not None
    choices["GREY_RANGES"] = tuple(dataset.grey_ranges) if dataset else (None, None)
    script = _with_choices(SCRIPT.read_text("utf-8"), choices)
    for sentence in _remarks(run, config):
        script = script.replace("\n# %%\nimport csv", f"\n#\n# {sentence}\n\n# %%\nimport csv", 1)
    (folder / "train.py").write_text(script, encoding="utf-8")
    notebook = json.dumps(_notebook(script), indent=1, ensure_ascii=False)
    (folder / "train.ipynb").write_text(notebook, encoding="utf-8")
    for module in (image_path, augmentation, class_balance, heads, layer_rates):
        shutil.copy(str(module.__file__), folder)
    _write_split(run, dataset, folder / "split.csv")


def _as_trained(run: TrainingRun) -> TrainingConfig:
    """Return the configuration with "auto" replaced by the head that the training chose, and its learning rate."""
    if run.config.head != "auto":
        return run.config
    chosen = run.snapshot().head
    # Training from random weights compares no heads and uses the linear one.
    return with_head(run.config, cast(Head, chosen.head) if chosen else "linear")


def _recipe(run: TrainingRun, config: TrainingConfig) -> HeadRecipe | None:
    if config.head not in LINEAR_HEADS:
        return None
    chosen = run.snapshot().head
    return (recipe_of(chosen) if chosen else None) or HeadRecipe(config.head)


def _phase_facts(
    phase: PlannedPhase, config: TrainingConfig, model: keras.Model, body: keras.Model
) -> dict[str, Any]:
    phase.plan.apply(model)
    shares = layer_rate_shares(phase, config, model)
    return {
        "epochs": phase.num_epochs,
        "learning_rate": phase.learning_rate,
        "frozen_up_to": phase.plan.boundary_layer,
        "layers": {
            layer.name: shares[layer.name] for layer in body.layers if layer.trainable and layer.weights
        },
    }


def _choices(
    config: TrainingConfig, recipe: HeadRecipe | None, backbone: Backbone, phases: list[dict[str, Any]]
) -> dict[str, Any]:
    is_live = config.has_augmentation and config.live_augmentation
    return {
        "IMAGE_SIZE": backbone.image_size,
        "HEAD": config.head,
        "HEAD_STRENGTH": recipe.strength if recipe else None,
        "LDA_SCALE": recipe.lda_scale if recipe else None,
        "HIDDEN_UNITS": config.hidden_units,
        "TRAIN_ON_ALL": trains_on_all(config),
        "DROPOUT": config.dropout,
        "OPTIMIZER": config.optimizer,
        "WEIGHT_DECAY": config.weight_decay,
        "MOMENTUM": config.momentum,
        "BATCH_SIZE": config.batch_size,
        "LABEL_SMOOTHING": config.label_smoothing,
        "OVERSAMPLE": config.oversampling,
        "AUGMENTATION": config.augmentation,
        "AUGMENTATION_KINDS": config.augmentation_kinds,
        "NUM_VIEWS": config.num_views if config.has_augmentation and not is_live else 1,
        "LIVE_AUGMENTATION": is_live,
        "PATIENCE": config.early_stopping_patience,
        "SEED": config.seed,
        "PHASES": phases,
    }


def _with_choices(script: str, choices: dict[str, Any]) -> str:
    for name, value in choices.items():
        line = f"{name} = {pprint.pformat(value, sort_dicts=False, width=100)}".replace("\\", r"\\")
        script = re.sub(rf"^{name} = [^#\n]*?(?=  #|$)", line, script, count=1, flags=re.M)
    return script


def _remarks(run: TrainingRun, config: TrainingConfig) -> list[str]:
    """Return sentences on the differences of the script from the app's training."""
    sentences = []
    if config.teacher:
        sentences.append(_("The app also learned from a larger model's answers; this script does not."))
    if trains_on_all(config) and (config.head not in LINEAR_HEADS or config.unfreezes):
        sentences.append(
            _("The app then trained its model on all photos; this script keeps some for validation.")
        )
    precision = run.snapshot().precision
    if precision and not precision.reason:
        sentences.append(_("The app trained in mixed precision; this script computes in float32."))
    if config.weights == "random":
        sentences.append(_("The training began with random weights: those in backbone.keras."))
    return sentences


def _write_split(run: TrainingRun, dataset: ImageDataset | None, path: Path) -> None:
    """Write class, file name, split and id of each photo of the run as CSV, in the order of the dataset."""
    images = dataset.images if dataset else ()
    splits = {"train": run.train_ids(), "validation": run.validation_ids()} if dataset else {}
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(
            (image.class_name, Path(image.name).name, split, image.id)
            for image in images
            for split, ids in splits.items()
            if image.id in ids
        )


def _notebook(script: str) -> dict[str, Any]:
    """Return a Jupyter notebook (format 4.5) of a script whose cells begin with `# %%`."""
    cells: list[dict[str, Any]] = []
    for number, part in enumerate(re.split(rf"^(?={_CELL_MARK})", script, flags=re.M)):
        if not part.strip():
            continue
        mark, _newline, text = part.partition("\n")
        text = text.strip("\n")
        if mark.startswith(_MARKDOWN_MARK):
            text = re.sub(r"^# ?", "", text, flags=re.M)
            cells.append({"cell_type": "markdown", "source": text})
        else:
            if text.startswith("if __name__"):
                text = 'model = main("photos")  # the folder that holds a folder for each class'
            cells.append({"cell_type": "code", "source": text, "outputs": [], "execution_count": None})
        cells[-1] |= {"id": f"cell-{number}", "metadata": {}}
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"language_info": {"name": "python"}},
        "cells": cells,
    }
