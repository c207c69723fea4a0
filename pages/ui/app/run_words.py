"""A run's choices in words, even where its backbone was deleted."""

from __future__ import annotations

from contextlib import suppress

from pages.ui.app.process import workspace
from pages.ui.app.words import depth_words
from transfer_core.backbones.registry import get_backbone
from transfer_core.errors import TransferStudioError
from transfer_core.runs.training_run import TrainingRun

_UNKNOWN = -1


def backbone_title(name: str) -> str:
    """Return the title of a backbone to train; its bare name where it was deleted, such as an own model."""
    with suppress(TransferStudioError):
        return get_backbone(name, workspace()).title
    return name


def run_backbone_title(run: TrainingRun) -> str:
    """Return the title of a run's backbone; its bare name where an own model was deleted before it was recorded."""
    with suppress(TransferStudioError):
        return run.backbone.title
    return run.config.backbone


def run_depth_words(run: TrainingRun) -> str:
    """Say how many blocks were unfrozen; how many there are in all may be unknown."""
    num_blocks = _UNKNOWN
    with suppress(TransferStudioError):
        num_blocks = len(run.backbone.blocks)
    return depth_words(run.config.num_unfrozen_blocks, num_blocks)
