"""The types of the photo check: problems, fixes and suspicious labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from transfer_core.data.dataset import MIN_IMAGES_PER_CLASS, ImageDataset
from transfer_core.data.records import ImageRecord

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Fix:
    """A one-click fix of a problem, which can be undone like every change of labels.

    Args:
        title: Of the button.
        apply: Returns the fixed dataset, which is not saved yet.
    """

    title: str
    apply: Callable[[ImageDataset], ImageDataset]


@dataclass(frozen=True)
class Problem:
    """A problem of a dataset.

    Args:
        kind: Identifier; a dataset has at most one problem of each kind.
        severity: `"error"` when nothing can be trained before it is fixed, `"warning"` when the model would be
            worse or its accuracy less true, `"info"` when it is good to know.
        title: A few words.
        sentence: The problem, how often it occurs, and what it means for the model.
        image_ids: The images concerned.
        files: The names of the files concerned that were left out.
        groups: Ids of images that belong together, in each the one to keep first.
        fix: None where there is no safe one.
    """

    kind: str
    severity: Severity
    title: str
    sentence: str
    image_ids: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    fix: Fix | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as plain values, ready for JSON."""
        return {
            "kind": self.kind,
            "severity": self.severity,
            "title": self.title,
            "sentence": self.sentence,
            "image_ids": list(self.image_ids),
            "files": list(self.files),
            "groups": [list(group) for group in self.groups],
            "fix": self.fix.title if self.fix else None,
        }


@dataclass(frozen=True)
class Suspicion:
    """A label that is likely wrong.

    Args:
        given: Its label.
        suggested: The class that a classifier predicts, which was not trained on the image.
        confidence: The probability of that class, 0-1.
    """

    image_id: str
    given: str
    suggested: str
    confidence: float


def ids_of(images: Iterable[ImageRecord]) -> tuple[str, ...]:
    """Return the ids of images, in their order."""
    return tuple(image.id for image in images)


def taking_out(dataset: ImageDataset, ids: Collection[str], title: str) -> Fix | None:
    """Return the fix that excludes images, or None if it would leave a class with too few.

    Args:
        dataset: The dataset before.
        ids: Of the images to exclude.
        title: Of the button.
    """
    out = frozenset(ids)
    left = Counter(image.class_name for image in dataset.images if image.id not in out)
    if any(left[name] < min(count, MIN_IMAGES_PER_CLASS) for name, count in dataset.counts().items()):
        return None
    return Fix(title, lambda fixed: fixed.without(out))
