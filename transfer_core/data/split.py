"""Which images the network learns from and which it is checked with."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from transfer_core.config import check_seed
from transfer_core.errors import InvalidConfigError
from transfer_core.language import _

if TYPE_CHECKING:
    from transfer_core.data.dataset import ImageRecord


def assign_splits(
    images: tuple[ImageRecord, ...], validation_split: float, seed: int
) -> tuple[ImageRecord, ...]:
    """Split each class by the same share.

    The draw orders images by a hash of seed and pixels. So it is the same on every machine, and images that
    are added later leave nearly all others on the side where they were.

    Args:
        images: Any number of images.
        validation_split: Share of each class for validation, above 0 and below 1. A class of two or more
            images has at least one on each side.
        seed: Another seed gives another draw; 0 to 2147483647.

    Returns:
        The same images in the same order, with their split.

    Raises:
        InvalidConfigError: If the share or the seed is out of range.
    """
    check_seed(seed)
    if not 0 < validation_split < 1:
        raise InvalidConfigError(
            _("The validation share is {share}. Expected was a number between 0 and 1, such as 0.2.").format(
                share=validation_split
            )
        )
    by_class: dict[str, list[ImageRecord]] = defaultdict(list)
    for image in images:
        by_class[image.class_name].append(image)
    validation_ids: set[str] = set()
    for members in by_class.values():
        drawn = sorted(members, key=lambda image: hashlib.sha256(f"{seed}/{image.id}".encode()).digest())
        num_validation = min(max(round(len(members) * validation_split), 1), len(members) - 1)
        validation_ids.update(image.id for image in drawn[:num_validation])
    return tuple(
        replace(image, split="validation" if image.id in validation_ids else "train") for image in images
    )
