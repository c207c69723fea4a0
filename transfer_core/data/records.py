"""The facts that a dataset keeps: of each image, of each file that did not come in, of each change."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Split = Literal["train", "validation", "test"]
SplitBy = Literal["share", "folders", "folds"]
EditKind = Literal["relabel", "exclude", "restore", "rename_class", "delete_class"]
LeftOutKind = Literal[
    "system",
    "again",
    "no_class",
    "not_an_image",
    "damaged",
    "too_small",
    "too_large",
    "unsafe",
    "unreadable",
    "duplicate",
    "other_class",
    "excluded",
    "missing",
]


@dataclass(frozen=True)
class ImageRecord:
    """One image of a dataset.

    Args:
        id: Hash of its pixels; also the name of its file.
        class_name: Its label.
        name: What its file was called when it came in.
        split: Whether the network learns from it, is checked with it, or is tested with it at the very end.
        number: Its place in the order in which images came in.
        width: Of the original, upright, in pixels; 0 when not known.
        height: Of the original, upright, in pixels; 0 when not known.
        brightness: Mean grey, 0-255.
        contrast: Standard deviation of the greys, 0-128.
        fingerprint: Perceptual hash in hexadecimal digits; like pictures have like ones.
        burst: Names the camera recording it is a frame of, if any.
        given_split: The split of the person's own folders, if there was one.
        group: Shared by images that must stay on one side of the split; empty when it is alone.
        is_confirmed: Whether a person has looked at it and found its label right.
    """

    id: str
    class_name: str
    name: str
    split: Split = "train"
    number: int = 0
    width: int = 0
    height: int = 0
    brightness: float = 127.5
    contrast: float = 50.0
    fingerprint: str = ""
    burst: str = ""
    given_split: Split | None = None
    group: str = ""
    is_confirmed: bool = False

    def labelled(self, class_name: str) -> ImageRecord:
        """Return it with a label; another one than before has not been found right by anybody."""
        is_confirmed = self.is_confirmed and class_name == self.class_name
        return replace(self, class_name=class_name, is_confirmed=is_confirmed)


@dataclass(frozen=True)
class LeftOut:
    """A file that did not become part of the dataset.

    Args:
        name: What the file was called, with its folder.
        reason: Why, in words that continue "left out because ...".
        kind: Why, for programs.
        image_id: The image that is there already, where that is the reason.
        class_name: The label under which the file came, where that matters.
    """

    name: str
    reason: str
    kind: LeftOutKind = "unreadable"
    image_id: str = ""
    class_name: str = ""

    @property
    def is_expected(self) -> bool:
        """Whether nobody misses it: a file of the operating system, or one that came in before."""
        return self.kind in ("system", "again")


@dataclass(frozen=True)
class Edit:
    """A change that a person made to the labels, with all that undoes it.

    Args:
        version: The version of the dataset that it made.
        kind: What was done.
        class_name: The new label, empty when there are several; or the class that was renamed or deleted.
        new_name: What a renamed class is called since.
        before: Id, class and whether it was left out, for each image that changed.
    """

    version: int
    kind: EditKind
    class_name: str
    new_name: str = ""
    before: tuple[tuple[str, str, bool], ...] = ()
