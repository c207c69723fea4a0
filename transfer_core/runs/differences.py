"""Describe in words which choices differ between runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transfer_core.config import TrainingConfig
from transfer_core.language import _, names_list
from transfer_core.runs.training_run import TrainingRun

# Without anything unfrozen these change nothing.
_FINE_TUNING_ALONE = ("fine_tune_epochs", "fine_tune_learning_rate", "layer_decay")


@dataclass(frozen=True)
class Difference:
    """A choice that is not the same in all runs.

    Args:
        choice: Its name in the config, or `"dataset"`.
        title: Its name within a sentence.
        values: The value in each run.
    """

    choice: str
    title: str
    values: tuple[Any, ...]


def differences(runs: Sequence[TrainingRun]) -> list[Difference]:
    """Return the choices that are not the same in all runs, leaving out those that changed nothing.

    Args:
        runs: Two or more.
    """
    found = []
    images = tuple(
        _("{name}, version {version}").format(name=run.dataset_name, version=run.dataset_version)
        for run in runs
    )
    if len({(run.dataset_id, run.dataset_version) for run in runs}) > 1:
        found.append(Difference("dataset", _("the photos"), images))
    titles = _titles()
    for choice in TrainingConfig.__struct_fields__:
        values = tuple(getattr(run.config, choice) for run in runs)
        if len(set(values)) > 1 and any(_counts(choice, run.config) for run in runs):
            found.append(Difference(choice, titles[choice], values))
    return found


def difference_sentence(found: Sequence[Difference]) -> str:
    """Return a sentence that names the differences.

    Args:
        found: What `differences` returned.
    """
    if not found:
        return _("Nothing differs: the same choices on the same photos.")
    *others, last = [difference.title for difference in found]
    if not others:
        return _("The only difference is {what}.").format(what=last)
    return _("Only {others} and {last} differ.").format(others=names_list(others), last=last)


def _counts(choice: str, config: TrainingConfig) -> bool:
    """Whether a choice has any effect beside the others."""
    if choice in _FINE_TUNING_ALONE:
        return config.unfreezes
    if choice in ("augmentation_kinds", "num_views", "live_augmentation"):
        return config.has_augmentation
    needs = {
        "teacher_share": bool(config.teacher),
        "teacher_temperature": bool(config.teacher),
        "hidden_units": config.head in ("hidden", "auto"),
        "momentum": config.optimizer == "sgd",
        "weight_decay": config.optimizer != "adam",
    }
    return needs.get(choice, True)


def _titles() -> dict[str, str]:
    return {
        "backbone": _("the pretrained model"),
        "num_unfrozen_blocks": _("the depth of fine-tuning"),
        "epochs": _("the number of epochs"),
        "fine_tune_epochs": _("the number of fine-tuning epochs"),
        "learning_rate": _("the learning rate"),
        "fine_tune_learning_rate": _("the fine-tuning learning rate"),
        "batch_size": _("the batch size"),
        "dropout": _("the dropout"),
        "seed": _("the seed"),
        "schedule": _("the schedule"),
        "unfrozen_layers": _("the single trainable layers"),
        "weights": _("the source of the weights"),
        "optimizer": _("the optimizer"),
        "momentum": _("the momentum"),
        "weight_decay": _("the weight decay"),
        "label_smoothing": _("the label smoothing"),
        "class_weights": _("the class weights"),
        "oversampling": _("oversampling"),
        "head": _("the type of last layer"),
        "hidden_units": _("the size of the hidden layer"),
        "early_stopping_patience": _("the patience of early stopping"),
        "layer_decay": _("the layer decay"),
        "augmentation": _("the strength of augmentation"),
        "augmentation_kinds": _("the kinds of augmentation"),
        "num_views": _("the number of views"),
        "live_augmentation": _("live augmentation"),
        "cache_dtype": _("the precision of the cache"),
        "teacher": _("the teacher"),
        "teacher_share": _("the weight of the teacher"),
        "teacher_temperature": _("the temperature of the teacher"),
        "train_on_all": _("training on all photos at the end"),
        "mixed_precision": _("mixed precision"),
    }
