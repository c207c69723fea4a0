"""Estimate a run's memory and disk needs up front; reject runs that do not fit and say what would."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import InsufficientResourcesError
from transfer_core.language import _, number
from transfer_core.training.freezing import FreezePlan
from transfer_core.training.layer_facts import layer_facts
from transfer_core.training.machine import free_disk, free_memory

_FLOAT_BYTES = 4
_MEGABYTE = 10**6
# Disk space for the system and the results of the run.
DISK_RESERVE_BYTES = 200 * _MEGABYTE
# With less, the system begins to swap and everything on the computer slows down.
_MEMORY_RESERVE_BYTES = 200 * _MEGABYTE
# TensorFlow's own buffers and graphs, as measured with small trainings.
_FIXED_BYTES = 300 * _MEGABYTE
_PREFIX_BATCH_SIZE = 16
# An inverted residual expands its channels by six inside.
_EXPANSION = 6


def check_disk(folder: Path, num_bytes: int, make_room: Callable[[], object]) -> None:
    """Raise unless features fit on the disk.

    Args:
        folder: Where the features will be stored.
        num_bytes: Their size.
        make_room: Deletes other cached features; called only if the space is too small.

    Raises:
        InsufficientResourcesError: If the space is too small even then.
    """
    if not has_room(folder, num_bytes):
        make_room()
    if not has_room(folder, num_bytes):
        raise InsufficientResourcesError(
            _(
                "The features of your photos need {needed} on the disk. Another {reserve} must stay free for results "
                "and the system. Only {free} are free. Free some space, then try again. Fewer views of each photo, "
                "other unfrozen blocks or another workspace folder also help."
            ).format(
                needed=size_text(num_bytes),
                reserve=size_text(DISK_RESERVE_BYTES),
                free=size_text(free_disk(folder), math.floor),
            )
        )


def has_room(folder: Path, num_bytes: int) -> bool:
    """Return whether features of this size fit on the disk without taking space from results and the system."""
    return free_disk(folder) >= num_bytes + DISK_RESERVE_BYTES


def estimate_memory(plan: FreezePlan, config: TrainingConfig, dataset: ImageDataset) -> int:
    """Return the peak memory of a training beyond what the app uses already, in bytes.

    Counted are the activations of one batch in the trainable layers, the weights, their gradients, the optimizer's
    variables and the best weights kept. Gradients of activations are short-lived, and features are read from disk.
    docs/benchmarks.md compares the estimate with measurements.

    Args:
        plan: What is trainable.
        config: For the batch size.
        dataset: For the number of classes.

    Raises:
        WeightsError: If the pretrained weights are missing or damaged.
    """
    backbone = plan.backbone
    largest_map = max(block.output_size**2 * block.num_channels for block in backbone.blocks)
    extraction = 2 * _PREFIX_BATCH_SIZE * largest_map * _EXPANSION
    num_numbers = _numbers_in_tail(plan) if not plan.is_all_frozen else backbone.num_features
    training = config.batch_size * num_numbers
    num_classes = len(dataset.class_names)
    # Trainable weights count five times: the weights, gradients, two optimizer variables and the best weights.
    weights = backbone.num_parameters + 5 * plan.num_trainable_parameters(num_classes)
    return _FIXED_BYTES + _FLOAT_BYTES * (max(extraction, training) + weights)


def _numbers_in_tail(plan: FreezePlan) -> int:
    """Count the activations of all layers behind the boundary for one image."""
    layers = layer_facts(plan.backbone)
    boundary = plan.boundary_layer
    position = next((index for index, layer in enumerate(layers) if layer.name == boundary), -1)
    return sum(layer.num_activations for layer in layers[position + 1 :])


def check_memory(plan: FreezePlan, config: TrainingConfig, dataset: ImageDataset) -> None:
    """Raise unless a training fits into the free memory.

    Args:
        plan: What is trainable.
        config: For the batch size.
        dataset: For the number of classes.

    Raises:
        InsufficientResourcesError: If it does not fit; the message says what would.
    """
    free = free_memory()
    needed = estimate_memory(plan, config, dataset)
    usable = free - _MEMORY_RESERVE_BYTES
    if needed <= usable:
        return
    raise InsufficientResourcesError(
        _(
            "This training needs about {needed} of memory. Another {reserve} must stay free for the system. Only "
            "{free} are free. {advice}"
        ).format(
            needed=size_text(needed),
            reserve=size_text(_MEMORY_RESERVE_BYTES),
            free=size_text(free, math.floor),
            advice=_what_fits(plan, config, dataset, usable),
        )
    )


def _what_fits(plan: FreezePlan, config: TrainingConfig, dataset: ImageDataset, usable: int) -> str:
    batch_size = config.batch_size
    while (batch_size := batch_size // 2) >= 1:
        if estimate_memory(plan, config.with_changes(batch_size=batch_size), dataset) <= usable:
            return _("A batch size of {batch_size} would fit.").format(batch_size=batch_size)
    for depth in range(plan.num_unfrozen_blocks - 1, -1, -1):
        if estimate_memory(plan.with_unfrozen(depth), config, dataset) <= usable:
            return _("Unfreezing {count} blocks would fit.").format(count=depth)
    return _("Close other programs, or choose a smaller model.")


def size_text(num_bytes: int, rounded: Callable[[float], int] = math.ceil) -> str:
    """Format bytes in a suitable unit.

    Args:
        num_bytes: The number.
        rounded: `math.floor` for free space, so that the numbers on screen add up.
    """
    if num_bytes >= 1000 * _MEGABYTE:
        return _("{count} GB").format(count=number(rounded(num_bytes / 10**8) / 10, 1))
    if num_bytes >= _MEGABYTE:
        return _("{count} MB").format(count=rounded(num_bytes / _MEGABYTE))
    return _("{count} KB").format(count=rounded(num_bytes / 1000))
