"""Split images into training, validation and test images. Images of one group stay on one side."""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from transfer_core.config import MAX_FOLDS, MIN_FOLDS, checked_choice
from transfer_core.data.records import ImageRecord, Split
from transfer_core.errors import InvalidConfigError
from transfer_core.language import _


def split_by_share(
    images: Sequence[ImageRecord], validation_split: float, seed: int
) -> tuple[ImageRecord, ...]:
    """Split each class by the same share; images of one group stay on one side.

    The draw orders images by a hash of seed and pixels, a group by its first image, so it is the same on every machine,
    and images that are added later leave nearly all others on their side.

    Args:
        images: Any number of images.
        validation_split: Share of each class for validation, above 0 and below 1. A class of two or more
            groups has at least one on each side.
        seed: Another seed gives another draw; 0 to 2147483647.

    Returns:
        The same images in the same order, with their split.

    Raises:
        InvalidConfigError: If the share or the seed is out of range.
    """
    checked_choice("seed", seed)
    if not 0 < validation_split < 1:
        raise InvalidConfigError(
            _("The validation share is {share}. Expected was a number between 0 and 1, such as 0.2.").format(
                share=validation_split
            )
        )
    drawn = _draw(_groups(images, seed), validation_split)
    return tuple(replace(image, split="validation" if image.id in drawn else "train") for image in images)


def split_by_folders(
    images: Sequence[ImageRecord], validation_split: float, seed: int
) -> tuple[ImageRecord, ...]:
    """Take over the split of the person's own folders; images without one are training images.

    Args:
        images: Any number of images.
        validation_split: Share to draw from the training images when no folder holds validation images.
        seed: For that draw.

    Returns:
        The same images in the same order, with their split.

    Raises:
        InvalidConfigError: If the share or the seed is out of range.
    """
    given = tuple(replace(image, split=image.given_split or "train") for image in images)
    if any(image.split == "validation" for image in given):
        return given
    training = [image for image in given if image.split == "train"]
    drawn = {image.id: image.split for image in split_by_share(training, validation_split, seed)}
    return tuple(replace(image, split=drawn.get(image.id, image.split)) for image in given)


def split_by_fold(
    images: Sequence[ImageRecord], num_folds: int, seed: int, fold: int = 0
) -> tuple[ImageRecord, ...]:
    """Split the images into folds and keep one of them for validation.

    Args:
        images: Any number of images.
        num_folds: 2-10.
        seed: Another seed gives another draw; 0 to 2147483647.
        fold: The fold that is kept for validation, from 0.

    Returns:
        The same images in the same order, with their split.

    Raises:
        InvalidConfigError: If the number of folds or the seed is out of range.
    """
    checked_choice("seed", seed)
    if not MIN_FOLDS <= num_folds <= MAX_FOLDS:
        raise InvalidConfigError(
            _(
                "The number of parts is {count}. Expected was a whole number from {lowest} to {highest}."
            ).format(count=num_folds, lowest=MIN_FOLDS, highest=MAX_FOLDS)
        )
    labels = [image.class_name for image in images]
    groups = [image.group or image.id for image in images]
    if not labels or min(max(Counter(labels).values()), len(set(groups))) < num_folds:
        # Too few to split: all are training images, and `check_trainable` says what is missing.
        return tuple(replace(image, split="train") for image in images)
    from sklearn.model_selection import StratifiedGroupKFold

    parts = StratifiedGroupKFold(num_folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # About a class with fewer images than folds: the page shows it with the counts.
        warnings.simplefilter("ignore", UserWarning)
        folds = list(parts.split(labels, labels, groups))
    kept = {int(row) for row in folds[fold][1]}
    return tuple(
        replace(image, split="validation" if row in kept else "train") for row, image in enumerate(images)
    )


def classes_without(images: Iterable[ImageRecord], split: Split) -> list[str]:
    """Return the classes that have no image in a split, sorted."""
    images = list(images)
    there = {image.class_name for image in images if image.split == split}
    return sorted({image.class_name for image in images} - there)


def _groups(images: Sequence[ImageRecord], seed: int) -> list[list[ImageRecord]]:
    """Return the images by group, in the order of the draw."""
    groups: dict[str, list[ImageRecord]] = defaultdict(list)
    for image in images:
        groups[image.group or image.id].append(image)

    def draw_order(group: list[ImageRecord]) -> bytes:
        # A group keeps its place when images join it later.
        first = min(group, key=lambda image: (image.number, image.id))
        return hashlib.sha256(f"{seed}/{first.id}".encode()).digest()

    return sorted(groups.values(), key=draw_order)


def _draw(groups: list[list[ImageRecord]], validation_split: float) -> set[str]:
    """Draw whole groups until each class has its share, and at least one image where it can be split."""
    counts = Counter(image.class_name for group in groups for image in group)
    wanted = {name: min(max(round(count * validation_split), 1), count - 1) for name, count in counts.items()}
    drawn: Counter[str] = Counter()
    chosen: set[str] = set()

    def take(group: list[ImageRecord], limits: dict[str, int]) -> bool:
        added = Counter(image.class_name for image in group)
        fits = all(drawn[name] + count <= limits[name] for name, count in added.items())
        if fits:
            drawn.update(added)
            chosen.update(image.id for image in group)
        return fits

    for group in groups:
        take(group, wanted)
    leaving_one = {name: count - 1 for name, count in counts.items()}
    for name in counts:
        if not drawn[name]:
            with_class = (group for group in groups if any(image.class_name == name for image in group))
            any(take(group, leaving_one) for group in sorted(with_class, key=len))
    return chosen
