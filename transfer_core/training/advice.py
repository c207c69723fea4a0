"""Recommend a config for a dataset, with a reason for each choice, and advise on the number of unfrozen blocks."""

from __future__ import annotations

from dataclasses import dataclass

from transfer_core.backbones.backbone import Backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.language import _, number, plural
from transfer_core.training.class_balance import UNEVEN_RATIO, imbalance
from transfer_core.training.freezing import FreezePlan

# Yosinski et al., "How transferable are features in deep neural networks?" (2014): the fewer the target's
# images, the more layers should remain frozen. The numbers are this project's rule of thumb.
_FEW_IMAGES = 80
_SOME_IMAGES = 2000
_SOME_BLOCKS = 3
# The one rule behind all pages, commands and texts: beside a head on frozen features, fine-tuning gained about a point
# on held-out photos and took several forward passes of all photos (docs/default-training.md).
RECOMMENDED_DEPTH = 0
_FINE_TUNE_EPOCHS = 5


@dataclass(frozen=True)
class DepthAdvice:
    """Advice on a number of unfrozen blocks.

    Args:
        fits: Whether it suits the number of images.
        text: One or two sentences on screen.
    """

    fits: bool
    text: str


@dataclass(frozen=True)
class Recommendation:
    """A recommended config.

    Args:
        config: Every choice of the training.
        reasons: Sentences on screen, one for each choice that depends on the images.
    """

    config: TrainingConfig
    reasons: list[str]


def recommend(dataset: ImageDataset, backbone: Backbone) -> Recommendation:
    """Recommend a config from the balance of the classes.

    The head is `"auto"`: the training compares heads by cross-validation once it has the features.
    """
    config = TrainingConfig(
        backbone=backbone.name,
        num_unfrozen_blocks=RECOMMENDED_DEPTH,
        fine_tune_epochs=_FINE_TUNE_EPOCHS,
        head="auto",
        optimizer="adamw",
        weight_decay=1.0,
        learning_rate=0.003,
        # The weights reach the closed form after the last epoch, however many there are.
        epochs=20,
        batch_size=32,
        train_on_all=True,
    )
    reasons = [
        _("All blocks are frozen: fine-tuning takes much longer and gained about one point."),
        _("{count} quick epochs. The epoch with the lowest validation loss is kept.").format(
            count=config.epochs
        ),
        _("At the end the model learns from all photos. Its accuracy is measured by cross-validation."),
        _("The best type of last layer is picked automatically."),
        _reason_for_balance(dataset),
        _("No augmentation: it made little difference."),
    ]
    return Recommendation(config, reasons)


def _reason_for_balance(dataset: ImageDataset) -> str:
    ratio = imbalance(dataset)
    if ratio > UNEVEN_RATIO:
        return _(
            "Small classes count more: the largest has {ratio} times the photos of the smallest."
        ).format(ratio=number(ratio, 1))
    return _("The classes are about equally large, so all photos count the same.")


def depth_advice(plan: FreezePlan, num_train_images: int) -> DepthAdvice:
    """Return which depths to try, and whether the planned one suits the number of images."""
    most = _most_blocks(plan.backbone, num_train_images)
    count = num_train_images
    if plan.num_unfrozen_blocks > most:
        text = plural(
            "With only {count} training photo, learning blocks may just memorize it.",
            "With only {count} training photos, learning blocks may just memorize them.",
            count,
        )
        return DepthAdvice(False, text)
    if most == 0:
        text = plural(
            "With {count} training photo, keep all blocks frozen.",
            "With {count} training photos, keep all blocks frozen.",
            count,
        )
    elif most == len(plan.backbone.blocks):
        text = plural(
            "With {count} training photo, any number of blocks can learn. Start with 0.",
            "With {count} training photos, any number of blocks can learn. Start with 0.",
            count,
        )
    else:
        text = plural(
            "With {count} training photo, let 0 to {most} blocks learn. Start with 0.",
            "With {count} training photos, let 0 to {most} blocks learn. Start with 0.",
            count,
            most=most,
        )
    return DepthAdvice(True, text)


def _most_blocks(backbone: Backbone, num_train_images: int) -> int:
    """Return how many blocks can be unfrozen without much risk of overfitting."""
    if num_train_images < _FEW_IMAGES:
        return 0
    num_blocks = backbone.max_unfrozen_blocks
    return num_blocks if num_train_images >= _SOME_IMAGES else min(_SOME_BLOCKS, num_blocks)
