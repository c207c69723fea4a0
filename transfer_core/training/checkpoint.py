"""Everything a training needs to go on as if it had never been interrupted, in one file that is whole or not there."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np

from transfer_core.backbones.own.source_model import NOT_ARRAYS
from transfer_core.config import TrainingConfig
from transfer_core.data.damage import without_photos
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import WorkspaceError
from transfer_core.events import EpochEnded, HeadChosen, Outcome
from transfer_core.events.kinds import Loss
from transfer_core.files import check_shortage, read_json, replacing, write_json
from transfer_core.language import _
from transfer_core.schema import Count, Share, decoded
from transfer_core.types import Array

CHECKPOINTS_DIR = "checkpoints"
LEFT_OUT_FILE = "left_out.json"
_FILE = "checkpoint.npz"
# Raise it when the same choices train in another way: a checkpoint of before would end with other weights.
_FORMAT_VERSION = 2

Arrays = list[Array]


class Progress(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far a training is.

    Args:
        phase: Position of the present phase in the schedule; its length when all are done.
        epoch: Whole epochs done in this phase.
        step: Batches done of the epoch that is under way.
        num_images: Images in these batches.
        loss: Their mean loss.
        accuracy: Their mean accuracy.
        best_loss: Lowest validation loss so far, of any phase.
        phase_best_loss: The same, of this phase.
        num_worse_epochs: Epochs since then in this phase.
        epochs: Every epoch that ended.
    """

    phase: Count = 0
    epoch: Count = 0
    step: Count = 0
    num_images: Count = 0
    loss: Loss = 0.0
    accuracy: Share = 0.0
    best_loss: Loss = math.inf
    phase_best_loss: Loss = math.inf
    num_worse_epochs: Count = 0
    epochs: tuple[EpochEnded, ...] = ()


@dataclass(frozen=True)
class Checkpoint:
    """A training at one moment.

    Args:
        progress: How far it is.
        weights: Of the part that learns in this phase.
        best_weights: Of the same part, at the best epoch so far.
        optimizer: The optimizer's own variables.
        random_states: Of the generators behind dropout.
        head: The head that a comparison chose; None where the config names one.
    """

    progress: Progress
    weights: Arrays = field(default_factory=list)
    best_weights: Arrays = field(default_factory=list)
    optimizer: Arrays = field(default_factory=list)
    random_states: Arrays = field(default_factory=list)
    head: HeadChosen | None = None


_GROUPS = ("weights", "best_weights", "optimizer", "random_states")
_DAMAGED = (*NOT_ARRAYS, AttributeError, RecursionError, RuntimeError)


def training_key(dataset: ImageDataset, config: TrainingConfig) -> str:
    """Return a name for what is trained: another config, image, label or split gives another.

    Args:
        dataset: The images with their labels and split.
        config: The choices.
    """
    images = [(image.id, image.class_name, image.split) for image in dataset.images]
    facts = (_FORMAT_VERSION, config.to_dict(), dataset.class_names, images)
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def save_checkpoint(output_dir: Path, key: str, checkpoint: Checkpoint) -> None:
    """Write a checkpoint in place of the one before.

    Args:
        output_dir: The folder of the run.
        key: What `training_key` returned.
        checkpoint: What to keep.

    Raises:
        WorkspaceError: If writing fails; the one before is then as it was.
    """
    counts = {group: len(getattr(checkpoint, group)) for group in _GROUPS}
    facts = json.dumps(
        {
            "key": key,
            "progress": msgspec.to_builtins(checkpoint.progress),
            "head": msgspec.to_builtins(checkpoint.head),
            "num_arrays": counts,
        }
    )
    arrays = {
        f"{group}-{number}": array
        for group in _GROUPS
        for number, array in enumerate(getattr(checkpoint, group))
    }
    with replacing(output_dir / CHECKPOINTS_DIR / _FILE) as beside:
        np.savez(beside, allow_pickle=False, facts=np.frombuffer(facts.encode(), np.uint8), **arrays)


def load_checkpoint(output_dir: Path, key: str) -> Checkpoint | None:
    """Return the checkpoint of a training, or None when there is none, or only a damaged one or that of another.

    Args:
        output_dir: The folder of the run.
        key: What `training_key` returned.

    Raises:
        WorkspaceError: If the system does not let it be opened now: beginning again would overwrite it.
    """
    try:
        opened = (output_dir / CHECKPOINTS_DIR / _FILE).open("rb")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WorkspaceError(
            _("The checkpoint cannot be opened: {reason}. It was kept. Try again.").format(
                reason=error.strerror or error
            )
        ) from error
    # Opened here: NumPy leaves a damaged file open.
    with opened:
        try:
            return _read(opened, key)
        except _DAMAGED as error:
            check_shortage(error)
            # Nothing is lost by it but time: the training starts from the beginning.
            return None


def _read(opened: BinaryIO, key: str) -> Checkpoint | None:
    with np.load(opened, allow_pickle=False) as file:
        facts = json.loads(file["facts"].tobytes())
        if facts["key"] != key:
            return None
        groups = {group: _arrays(file, group, facts["num_arrays"][group]) for group in _GROUPS}
        head = decoded(facts["head"], HeadChosen) if facts["head"] else None
        return Checkpoint(decoded(facts["progress"], Progress), **groups, head=head)


def _arrays(file: Any, group: str, count: int) -> Arrays:
    return [file[f"{group}-{number}"] for number in range(count)]


def save_left_out(output_dir: Path, image_ids: Collection[str]) -> None:
    """Write down which photos a training leaves out because they are damaged, for when it is resumed.

    Args:
        output_dir: The folder of the run.
        image_ids: Their ids.

    Raises:
        WorkspaceError: If writing fails.
    """
    write_json(output_dir / LEFT_OUT_FILE, {"image_ids": sorted(image_ids)})


def resumed_dataset(dataset: ImageDataset, output_dir: Path) -> ImageDataset:
    """Return the dataset without the photos that the checkpoint in a folder has left out because they were damaged.

    Args:
        dataset: The images.
        output_dir: The folder of the run. Without a checkpoint in it every photo is tried again.
    """
    path = output_dir / LEFT_OUT_FILE
    if not (output_dir / CHECKPOINTS_DIR / _FILE).is_file() or not path.is_file():
        return dataset
    try:
        return without_photos(dataset, read_json(path)["image_ids"])
    except (WorkspaceError, KeyError, TypeError):
        return dataset


def delete_checkpoints(output_dir: Path) -> None:
    """Delete what a finished training no longer needs."""
    with suppress(OSError):
        shutil.rmtree(output_dir / CHECKPOINTS_DIR)


def outcome_of_stop(
    reached: Progress, reported: Sequence[EpochEnded], *, has_checkpoint: bool
) -> tuple[Outcome, str]:
    """Return how a training ends that was asked to stop, and a sentence for the person.

    A model is kept if no better one was ever reported. Otherwise the training is interrupted: it may stop before
    the weights of its checkpoint are back, and a checkpoint may be older than the last epoch that was reported
    before a process died. Going on reaches that epoch again.

    Args:
        reached: What the weights in the model stand for.
        reported: The epochs that were reported before the training was interrupted, with those that are void.
        has_checkpoint: Whether one is on disk.
    """
    num_epochs = len(reached.epochs)
    is_behind = any(epoch.val_loss < reached.best_loss for epoch in reported if epoch.epoch >= num_epochs)
    has_model = math.isfinite(reached.best_loss)
    if is_behind or (has_checkpoint and not has_model):
        return "interrupted", _("Stopped before it was back where it had been. It can still go on.")
    if not has_model:
        return "stopped", _("Stopped before the new layer had learned anything: there is no model to keep.")
    return "stopped", _("Stopped on request. The best model so far was kept.")
