"""A run's choices in words, even where its network is gone."""

from __future__ import annotations

from contextlib import suppress

from pages.ui.app.process import workspace
from pages.ui.app.words import depth_words
from transfer_core.backbones.registry import get_backbone
from transfer_core.errors import TransferStudioError
from transfer_core.runs.training_run import TrainingRun

_UNKNOWN = -1


def backbone_title(name: str) -> str:
    """Return the title of a network; its bare name where it is gone, such as an own model that was deleted."""
    with suppress(TransferStudioError):
        return get_backbone(name, workspace()).title
    return name


def run_depth_words(run: TrainingRun) -> str:
    """Say what learned; how many blocks there are in all may be gone with the network."""
    num_blocks = _UNKNOWN
    with suppress(TransferStudioError):
        num_blocks = len(get_backbone(run.config.backbone, workspace()).blocks)
    return depth_words(run.config.num_unfrozen_blocks, num_blocks)
