"""What is wrong with images: a problem in one plain sentence, and a fix for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from transfer_core.data.dataset import MIN_IMAGES_PER_CLASS, ImageDataset
from transfer_core.data.records import ImageRecord
from transfer_core.language import _

Severity = Literal["error", "warning", "info"]
_MAX_NAMES = 5


@dataclass(frozen=True)
class Fix:
    """One click that does away with a problem; like every change of labels it can be undone.

    Args:
        title: The words on the button.
        apply: Returns the fixed dataset, which is not saved yet.
    """

    title: str
    apply: Callable[[ImageDataset], ImageDataset]


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with the images.

    Args:
        kind: Identifier; a dataset has at most one problem of each kind.
        severity: `"error"` when nothing can be trained before it is fixed, `"warning"` when the model would be
            worse or its accuracy less true, `"info"` when it is good to know.
        title: A few words.
        sentence: What it is, how often, and what it means for the model.
        image_ids: The images it is about.
        files: The names of files it is about that did not come in.
        groups: Images that belong together, where that is the matter; the one to keep first.
        fix: One click that does away with it, where there is a sane one.
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
        image_id: The image.
        given: Its label.
        suggested: The class it looks like.
        confidence: How sure a classifier that never saw it with its label is of that class, 0-1.
    """

    image_id: str
    given: str
    suggested: str
    confidence: float


def ids_of(images: Iterable[ImageRecord]) -> tuple[str, ...]:
    """The ids of images, in their order."""
    return tuple(image.id for image in images)


def listed(names: Collection[str]) -> str:
    """Return a few names in one line, and how many more there are."""
    shown = ", ".join(list(names)[:_MAX_NAMES])
    if len(names) <= _MAX_NAMES:
        return shown
    return _("{names} and {count:,} more").format(names=shown, count=len(names) - _MAX_NAMES)


def taking_out(dataset: ImageDataset, ids: Collection[str], title: str) -> Fix | None:
    """Return the fix that excludes images, or None where it would leave a class without enough of them.

    Args:
        dataset: The images as they are.
        ids: What is to be excluded.
        title: The words on the button.
    """
    out = frozenset(ids)
    left = Counter(image.class_name for image in dataset.images if image.id not in out)
    if any(left[name] < min(count, MIN_IMAGES_PER_CLASS) for name, count in dataset.counts().items()):
        return None
    return Fix(title, lambda fixed: fixed.without(out))
