"""Explain loss and accuracy curves in plain sentences: overfitting, underfitting, divergence, convergence.

Rules: Goodfellow, Bengio and Courville, "Deep Learning" (2016), chapters 5.2, 7.8 and 11.4. The thresholds are this
project's rules of thumb.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from transfer_core.events import EpochEnded, RunSnapshot
from transfer_core.language import _, percent, plural

_FEWEST_EPOCHS = 4
_EPOCHS_TO_MEMORISE = 3
_EPOCHS_TO_BE_DONE = 8
# Relative changes of a loss.
_HARDLY = 0.03
_CLEARLY = 0.05
_JUMP = 0.15
# Smaller absolute changes are noise, even if they are large relative to a loss near zero.
_NOISE = 0.05
_WIDE_GAP = 0.15
_LOW_TRAINING_ACCURACY = 0.7
_FEW_VALIDATION_IMAGES = 50

Rule = Callable[[RunSnapshot, int], str | None]


def read_curves(snapshot: RunSnapshot, num_classes: int) -> list[str]:
    """Explain loss and accuracy by epoch and suggest what would help.

    Args:
        snapshot: The fold of the events so far; the run may be active.
        num_classes: Number of classes.

    Returns:
        Sentences, the most important first; empty for fewer than four epochs.
    """
    if any(not math.isfinite(epoch.loss) for epoch in snapshot.epochs):
        return [
            _(
                "The loss is no longer a number: the steps were too big. Train again with a tenth of the "
                "learning rate."
            )
        ]
    if len(snapshot.epochs) < _FEWEST_EPOCHS or snapshot.best is None:
        return []
    for trouble in (_is_guessing, _stumbles):
        sentence = trouble(snapshot, num_classes)
        if sentence:
            return [sentence]
    course = _first(snapshot, num_classes, (_memorises, _still_improves, _was_done_early))
    level = _first(snapshot, num_classes, (_is_perfect, _does_not_fit, _has_a_gap))
    return [sentence for sentence in (course, level) if sentence]


def _first(snapshot: RunSnapshot, num_classes: int, rules: Sequence[Rule]) -> str | None:
    return next((found for rule in rules if (found := rule(snapshot, num_classes))), None)


def _is_guessing(snapshot: RunSnapshot, num_classes: int) -> str | None:
    best = max(max(epoch.accuracy, epoch.val_accuracy) for epoch in snapshot.epochs)
    chance = 1 / num_classes
    # Two standard errors of a random guess on the validation images.
    margin = 2 * math.sqrt(chance * (1 - chance) / max(snapshot.num_validation_images, 1))
    first, *later = (epoch.loss for epoch in snapshot.epochs)
    if best > chance + min(margin, 0.2) or min(later) < first * (1 - _CLEARLY):
        return None
    return _(
        "After {count} epochs the model is no better than guessing. Check that the photos are in the right classes. "
        "Then try a learning rate ten times larger or smaller."
    ).format(count=len(snapshot.epochs))


def _stumbles(snapshot: RunSnapshot, _num_classes: int) -> str | None:
    losses = [epoch.loss for epoch in _present_phase(snapshot)]
    if len(losses) < _FEWEST_EPOCHS:
        return None
    pairs = list(pairwise(losses))
    num_jumps = sum(_rises(before, after, _JUMP) for before, after in pairs)
    if 3 * num_jumps < len(pairs) and not _rises(losses[0], losses[-1], _CLEARLY):
        return None
    return _(
        "Training loss jumps instead of falling: the steps are too big. Try a learning rate three to ten times "
        "smaller."
    )


def _memorises(snapshot: RunSnapshot, _num_classes: int) -> str | None:
    best, last = snapshot.best, snapshot.epochs[-1]
    if best is None:
        return None
    num_since = last.epoch - best.epoch
    is_rising = _rises(best.val_loss, last.val_loss, _CLEARLY)
    if num_since < _EPOCHS_TO_MEMORISE or not is_rising or last.loss >= best.loss:
        return None
    return plural(
        "Validation loss has risen for {count} epoch while training loss falls. The model starts to memorize. More "
        "photos or stronger augmentation help. Epoch {kept} is kept.",
        "Validation loss has risen for {count} epochs while training loss falls. The model starts to memorize. More "
        "photos or stronger augmentation help. Epoch {kept} is kept.",
        num_since,
        kept=best.epoch,
    )


def _still_improves(snapshot: RunSnapshot, _num_classes: int) -> str | None:
    losses = _validation_losses(snapshot)
    num_last = max(len(losses) // 4, 2)
    if min(losses[-num_last:]) > min(losses[:-num_last]) * (1 - _HARDLY):
        return None
    if snapshot.outcome is None:
        return _("Validation loss still falls: the model is getting better.")
    # More epochs cannot help a model that knows all its photos, or that stopped getting better by itself.
    has_run_out = snapshot.epochs[-1].epoch >= snapshot.num_epochs
    if _knows_its_photos(snapshot) or not has_run_out:
        return None
    return _("Validation loss was still falling at the end. More epochs may help.")


def _was_done_early(snapshot: RunSnapshot, _num_classes: int) -> str | None:
    losses = _validation_losses(snapshot)
    good = min(losses) * (1 + _HARDLY) + 0.005
    num_needed = next(epoch for epoch, loss in enumerate(losses, 1) if loss <= good)
    if len(losses) - num_needed < max(_EPOCHS_TO_BE_DONE, len(losses) // 2):
        return None
    epoch = snapshot.epochs[num_needed - 1].epoch
    return _("No real improvement since epoch {epoch}: the model has learned what it can here.").format(
        epoch=epoch
    )


def _knows_its_photos(snapshot: RunSnapshot) -> bool:
    """Return whether no training photo was wrong in the last epoch."""
    return snapshot.epochs[-1].accuracy >= 1


def _is_perfect(snapshot: RunSnapshot, _num_classes: int) -> str | None:
    best, count = snapshot.best, snapshot.num_validation_images
    if best is None or best.val_accuracy < 1 or count >= _FEW_VALIDATION_IMAGES:
        return None
    return _(
        "All {count} validation photos are correct, but they are few. Try it on more new photos."
    ).format(count=count)


def _does_not_fit(snapshot: RunSnapshot, _num_classes: int) -> str | None:
    best = snapshot.best
    if best is None or max(epoch.accuracy for epoch in snapshot.epochs) >= _LOW_TRAINING_ACCURACY:
        return None
    if _still_improves(snapshot, _num_classes):
        return None
    return _("Training accuracy is only {accuracy}: let more blocks learn, or choose a larger model.").format(
        accuracy=percent(best.accuracy)
    )


def _has_a_gap(snapshot: RunSnapshot, _num_classes: int) -> str | None:
    best = snapshot.best
    if best is None or best.accuracy - best.val_accuracy < _WIDE_GAP:
        return None
    return _(
        "Training accuracy is {train}, validation accuracy {validation}. More photos or stronger augmentation can "
        "close this gap."
    ).format(train=percent(best.accuracy), validation=percent(best.val_accuracy))


def _present_phase(snapshot: RunSnapshot) -> list[EpochEnded]:
    return [epoch for epoch in snapshot.epochs if epoch.phase == snapshot.epochs[-1].phase]


def _rises(before: float, after: float, share: float) -> bool:
    return after > before + max(share * before, _NOISE)


def _validation_losses(snapshot: RunSnapshot) -> list[float]:
    """Return the validation loss of each epoch, with NaN as infinity."""
    return [epoch.val_loss if math.isfinite(epoch.val_loss) else math.inf for epoch in snapshot.epochs]


def smoothed(losses: Sequence[float]) -> list[float]:
    """Return a moving average of batch losses over a twentieth of the curve. NaN is skipped."""
    reach = max(len(losses) // 40, 2)
    neighbours = (losses[max(place - reach, 0) : place + reach + 1] for place in range(len(losses)))
    finite = ([loss for loss in near if math.isfinite(loss)] for near in neighbours)
    return [sum(near) / len(near) if near else math.nan for near in finite]
