"""Checkpoints: the complete state of a training in one atomically written file, so that it can resume bit for bit."""

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
# Increase it when the same config trains differently: an old checkpoint would lead to other weights.
_FORMAT_VERSION = 2

Arrays = list[Array]


class Progress(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far a training is.

    Args:
        phase: Index of the present phase; the number of phases when all are done.
        epoch: Whole epochs done in this phase.
        step: Batches done in the present epoch.
        num_images: Images in these batches.
        loss: Mean loss of these images.
        accuracy: Mean accuracy of these images.
        best_loss: Lowest validation loss so far.
        phase_best_loss: Lowest validation loss of this phase.
        num_worse_epochs: Epochs of this phase since `phase_best_loss`.
        epochs: Every epoch that ended.
        phase_ends: Last epoch of each finished phase, counted over all phases.
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
    phase_ends: tuple[Count, ...] = ()

    @property
    def last_epoch(self) -> int:
        """The last epoch that ended, counted over all phases; 0 before the first."""
        return self.epochs[-1].epoch if self.epochs else 0


@dataclass(frozen=True)
class Checkpoint:
    """State of a training.

    Args:
        progress: How far it is.
        weights: Weights of the tail in this phase.
        best_weights: Weights of the tail at the kept epoch, that with the lowest validation loss so far.
        optimizer: Variables of the optimizer.
        random_states: States of the seed generators of dropout.
        loss_scale: State of the loss scaling of mixed precision; empty without it.
        head: The head that a comparison chose; None if the config names one.
    """

    progress: Progress
    weights: Arrays = field(default_factory=list)
    best_weights: Arrays = field(default_factory=list)
    optimizer: Arrays = field(default_factory=list)
    random_states: Arrays = field(default_factory=list)
    loss_scale: Arrays = field(default_factory=list)
    head: HeadChosen | None = None


_GROUPS = ("weights", "best_weights", "optimizer", "random_states", "loss_scale")
_DAMAGED = (*NOT_ARRAYS, AttributeError, RecursionError, RuntimeError)


def training_key(dataset: ImageDataset, config: TrainingConfig) -> str:
    """Return a hash of config, images, labels and split. A checkpoint resumes only a training of the same key."""
    images = [(image.id, image.class_name, image.split) for image in dataset.images]
    choices = config.to_dict()
    if not config.train_on_all:
        # Checkpoints of earlier versions, which lacked this choice, must keep their key.
        del choices["train_on_all"]
    # Weights are float32 in any precision, and a run may go on where mixed precision is not available.
    del choices["mixed_precision"]
    facts = (_FORMAT_VERSION, choices, dataset.class_names, images)
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def save_checkpoint(output_dir: Path, key: str, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint of a run.

    Args:
        output_dir: Folder of the run.
        key: The `training_key`.
        checkpoint: The new state.

    Raises:
        WorkspaceError: If writing fails; the previous checkpoint is then unchanged.
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
    """Return the checkpoint of a training; None if it is missing, damaged or has another key.

    Args:
        output_dir: Folder of the run.
        key: The `training_key`.

    Raises:
        WorkspaceError: If the file exists but cannot be opened: starting over would overwrite it.
    """
    try:
        opened = (output_dir / CHECKPOINTS_DIR / _FILE).open("rb")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WorkspaceError(
            _("The checkpoint cannot be opened: {reason}. It was kept. Try again.").format(reason=error)
        ) from error
    # Open it here, because NumPy does not close a damaged file.
    with opened:
        try:
            return _read(opened, key)
        except _DAMAGED as error:
            check_shortage(error)
            # The training starts from the beginning, which costs only time.
            return None


def _read(opened: BinaryIO, key: str) -> Checkpoint | None:
    with np.load(opened, allow_pickle=False) as file:
        facts = json.loads(file["facts"].tobytes())
        if facts["key"] != key:
            return None
        # Earlier versions had no loss scale.
        counts = {"loss_scale": 0, **facts["num_arrays"]}
        groups = {group: _arrays(file, group, counts[group]) for group in _GROUPS}
        head = decoded(facts["head"], HeadChosen) if facts["head"] else None
        return Checkpoint(decoded(facts["progress"], Progress), **groups, head=head)


def _arrays(file: Any, group: str, count: int) -> Arrays:
    return [file[f"{group}-{number}"] for number in range(count)]


def save_left_out(output_dir: Path, image_ids: Collection[str]) -> None:
    """Save which damaged photos a training leaves out, so that a resumed training leaves out the same.

    Args:
        output_dir: Folder of the run.
        image_ids: Ids of the photos.

    Raises:
        WorkspaceError: If writing fails.
    """
    write_json(output_dir / LEFT_OUT_FILE, {"image_ids": sorted(image_ids)})


def left_out_ids(output_dir: Path) -> list[str]:
    """Return the ids of the damaged photos that a training has left out; none where they are not known.

    Args:
        output_dir: Folder of the run.
    """
    try:
        image_ids: list[str] = read_json(output_dir / LEFT_OUT_FILE)["image_ids"]
        return [*image_ids]
    except (WorkspaceError, KeyError, TypeError):
        return []


def resumed_dataset(dataset: ImageDataset, output_dir: Path) -> ImageDataset:
    """Return the dataset without the damaged photos that a checkpoint has left out.

    Args:
        dataset: The images.
        output_dir: Folder of the run. Without a checkpoint in it every photo is tried again.
    """
    if not (output_dir / CHECKPOINTS_DIR / _FILE).is_file():
        return dataset
    image_ids = left_out_ids(output_dir)
    return without_photos(dataset, image_ids) if image_ids else dataset


def delete_checkpoints(output_dir: Path) -> None:
    """Delete the checkpoints of a run. Errors are ignored."""
    with suppress(OSError):
        shutil.rmtree(output_dir / CHECKPOINTS_DIR)


def outcome_of_stop(
    reached: Progress, reported: Sequence[EpochEnded], *, has_checkpoint: bool
) -> tuple[Outcome, str]:
    """Return the outcome of a stopped training and a sentence on screen.

    The model is kept if no better epoch was ever reported. Otherwise the training counts as interrupted, because
    resuming can reach that epoch again: a stop may come before the weights of the checkpoint are restored, and a
    checkpoint may be older than the last epoch reported before a crash.

    Args:
        reached: Progress of the weights in the model.
        reported: All epochs that were reported before the interruption, repeated ones included.
        has_checkpoint: Whether a checkpoint is on disk.
    """
    num_epochs = len(reached.epochs)
    is_behind = any(epoch.val_loss < reached.best_loss for epoch in reported if epoch.epoch >= num_epochs)
    has_model = math.isfinite(reached.best_loss)
    if is_behind or (has_checkpoint and not has_model):
        return "interrupted", _("Stopped before it had caught up. It can still continue.")
    if not has_model:
        return "stopped", _("Stopped before the new layer had learned anything, so there is no model.")
    return "stopped", _("Stopped on request. The best model so far was kept.")
