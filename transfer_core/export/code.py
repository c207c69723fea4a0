"""A plain Keras script, and the same as a notebook, that trains the model of a run again."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

from transfer_core.backbones.registry import get_backbone
from transfer_core.config import TrainingConfig
from transfer_core.data import image_path
from transfer_core.data.dataset import ImageDataset
from transfer_core.language import _
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.class_balance import class_weights
from transfer_core.training.freezing import FreezePlan
from transfer_core.training.layer_facts import layers_by_block

SCRIPT = Path(__file__).with_name("bundle_files") / "train.py"
_CELL_MARK = "# %%"
_MARKDOWN_MARK = "# %% [markdown]"


def write_code(run: TrainingRun, dataset: ImageDataset | None, folder: Path) -> None:
    """Write script, notebook, pretrained network and the list of validation photos.

    Args:
        run: Whose choices are written into the script.
        dataset: Its images, where they are still there.
        folder: Where the files go.

    Raises:
        NotFoundError: If the backbone is gone.
        WeightsError: If its weights are missing or damaged.
    """
    backbone = get_backbone(run.config.backbone)
    body = backbone.build(pretrained=run.config.weights != "random")
    body.save(folder / "backbone.keras")
    by_block = layers_by_block(body, backbone)
    plan = FreezePlan.of(run.config)
    unfrozen = [name for block in plan.unfrozen_blocks for name in by_block[block]]
    choices = _choices(run, dataset, [*unfrozen, *run.config.unfrozen_layers])
    script = _with_choices(SCRIPT.read_text("utf-8"), choices)
    for sentence in _left_out(run.config):
        script = script.replace("\n# %%\nimport csv", f"\n# {sentence}\n\n# %%\nimport csv", 1)
    (folder / "train.py").write_text(script, encoding="utf-8")
    notebook = json.dumps(_notebook(script), indent=1, ensure_ascii=False)
    (folder / "train.ipynb").write_text(notebook, encoding="utf-8")
    shutil.copyfile(image_path.__file__, folder / "image_path.py")
    kept_aside = run.validation_ids() if dataset else frozenset()
    with (folder / "validation.txt").open("w", encoding="utf-8", newline="") as file:
        images = dataset.images if dataset else ()
        csv.writer(file).writerows(
            (image.class_name, Path(image.name).name) for image in images if image.id in kept_aside
        )


def _choices(run: TrainingRun, dataset: ImageDataset | None, unfrozen: list[str]) -> dict[str, Any]:
    config, head = run.config, run.snapshot().head
    fine_tunes = config.schedule != "head_only"
    return {
        "IMAGE_SIZE": get_backbone(config.backbone).image_size,
        "HEAD": head.head if head else config.head,
        "HIDDEN_UNITS": config.hidden_units,
        "DROPOUT": config.dropout,
        "OPTIMIZER": config.optimizer,
        "WEIGHT_DECAY": config.weight_decay,
        "MOMENTUM": config.momentum,
        "LEARNING_RATE": config.learning_rate,
        "EPOCHS": config.epochs,
        "UNFROZEN_LAYERS": tuple(unfrozen) if fine_tunes else (),
        "FINE_TUNE_LEARNING_RATE": config.fine_tune_learning_rate,
        "FINE_TUNE_EPOCHS": config.fine_tune_epochs,
        "BATCH_SIZE": config.batch_size,
        "LABEL_SMOOTHING": config.label_smoothing,
        "WEIGH_CLASSES": dataset is not None and class_weights(dataset, config) is not None,
        "PATIENCE": config.early_stopping_patience,
        "SEED": config.seed,
    }


def _with_choices(script: str, choices: dict[str, Any]) -> str:
    for name, value in choices.items():
        line = f"{name} = {value!r}".replace("\\", r"\\")
        script = re.sub(rf"^{name} = [^#\n]*?(?=  #|$)", line, script, count=1, flags=re.M)
    return script


def _left_out(config: TrainingConfig) -> list[str]:
    """Say which choices of the run the script goes without, to stay readable."""
    sentences = []
    if config.schedule in ("one_phase", "gradual") and config.unfreezes:
        sentences.append(_("The app trained in another order; this script trains the new layers first."))
    if config.has_augmentation:
        sentences.append(_("The app also varied the photos; this script does not."))
    if config.oversampling:
        sentences.append(_("The app showed photos of small classes more often; this script does not."))
    if config.layer_decay < 1:
        sentences.append(_("The app gave each block a learning rate of its own; this script does not."))
    if config.teacher:
        sentences.append(_("The app also learned from a larger model's answers; this script does not."))
    if config.weights == "random":
        sentences.append(_("The app started from random weights; this script starts from pretrained ones."))
    return sentences


def _notebook(script: str) -> dict[str, Any]:
    """Return the cells of a script that marks them with `# %%`, as Jupyter's format 4.5 has it."""
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
