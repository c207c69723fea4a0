"""A plain hint on how deep to unfreeze for a number of images."""

from __future__ import annotations

from dataclasses import dataclass

from transfer_core.language import _
from transfer_core.training.freezing import FreezePlan

# Yosinski et al., "How transferable are features in deep neural networks?" (2014): the fewer the target's
# images, the more layers are better left as they are. The numbers are this project's rule of thumb.
_FEW_IMAGES = 300
_SOME_IMAGES = 2000
_SOME_BLOCKS = 3


@dataclass(frozen=True)
class DepthAdvice:
    """What to say about a depth.

    Args:
        fits: Whether the depth suits the number of images.
        text: One or two sentences.
    """

    fits: bool
    text: str


def depth_advice(plan: FreezePlan, num_train_images: int) -> DepthAdvice:
    """Say whether a depth suits the number of training images.

    Args:
        plan: What learns and what stays.
        num_train_images: Images that the network learns from.
    """
    if num_train_images < _FEW_IMAGES:
        advised = _(
            "With {count} training images it is best to let only the new layer learn: it is quick and safe."
        )
        most = 0
    elif num_train_images < _SOME_IMAGES:
        advised = _(
            "With {count} training images the last one to three blocks may learn along; start without and compare."
        )
        most = _SOME_BLOCKS
    else:
        advised = _("With {count} training images you can go deep: compare a few depths.")
        most = len(plan.backbone.blocks)
    text = advised.format(count=f"{num_train_images:,}")
    if plan.num_unfrozen_blocks <= most:
        return DepthAdvice(True, text)
    risk = _("At the chosen depth the network can learn the photos by heart instead of what they show.")
    return DepthAdvice(False, f"{text} {risk}")
