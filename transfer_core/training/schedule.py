"""Plan the phases of a training: what is trainable in each, for how many epochs, at which learning rate."""

from __future__ import annotations

from dataclasses import dataclass

from transfer_core.backbones.backbone import Backbone
from transfer_core.config import TrainingConfig
from transfer_core.events import Phase
from transfer_core.training.freezing import FreezePlan


@dataclass(frozen=True)
class PlannedPhase:
    """One phase of a training, before it begins.

    Args:
        name: Kind of phase.
        plan: What is trainable.
        num_epochs: Maximum; early stopping may end the phase before.
        learning_rate: Peak of the schedule.
    """

    name: Phase
    plan: FreezePlan
    num_epochs: int
    learning_rate: float


def planned_phases(config: TrainingConfig, backbone: Backbone | None = None) -> list[PlannedPhase]:
    """Return the phases of a training, each unfreezing at least as much as the one before.

    Head first, then the rest: Kumar et al., "Fine-Tuning can Distort Pretrained Features and Underperform
    Out-of-Distribution" (2022). One block after another: Howard and Ruder, "Universal Language Model
    Fine-tuning for Text Classification" (2018).

    Args:
        config: Its schedule, depth and epochs matter.
        backbone: The backbone that the config names; the published one of that name if not given.

    Raises:
        InvalidConfigError: If the backbone has no such blocks or layers.
        NotFoundError: If it is not given and there is no such published backbone.
    """
    plan = FreezePlan.of(config, backbone)
    head = PlannedPhase("head", plan.with_unfrozen(0), config.epochs, config.learning_rate)
    if plan.is_from_scratch:
        return [PlannedPhase("fine_tune", plan, config.epochs, config.learning_rate)]
    if plan.is_all_frozen or config.schedule == "head_only":
        return [head]
    if config.schedule == "one_phase":
        return [PlannedPhase("fine_tune", plan, config.epochs, config.fine_tune_learning_rate)]
    depths = range(1, plan.num_unfrozen_blocks) if config.schedule == "gradual" else ()
    plans = [*(plan.with_unfrozen(depth) for depth in depths), plan]
    return [
        head,
        *(
            PlannedPhase("fine_tune", part, num_epochs, config.fine_tune_learning_rate)
            for part, num_epochs in zip(plans, _shares(config.fine_tune_epochs, len(plans)), strict=True)
        ),
    ]


def _shares(num_epochs: int, num_phases: int) -> list[int]:
    """Split epochs into phases of at least one; the remainder goes to the last, deepest phases."""
    num_epochs = max(num_epochs, num_phases)
    least, remainder = divmod(num_epochs, num_phases)
    return [least + (number >= num_phases - remainder) for number in range(num_phases)]
