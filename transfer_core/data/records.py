"""The facts that a dataset keeps: of each image, of each file that did not come in, of each change."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from transfer_core.config import MAX_FOLDS, MIN_FOLDS, Seed
from transfer_core.schema import Count, Text

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


# A hash of the pixels.
IMAGE_ID_PATTERN = re.compile(r"[0-9a-f]{32}", re.ASCII)
_Pixels = Annotated[int, Meta(ge=0, le=10**7)]
_Version = Annotated[int, Meta(ge=1, le=2**53)]


# Without the garbage collector, which would walk through a hundred thousand of them.
class ImageRecord(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
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

    id: Text
    class_name: Text
    name: Text
    split: Split = "train"
    number: Count = 0
    width: _Pixels = 0
    height: _Pixels = 0
    brightness: Annotated[float, Meta(ge=0, le=255)] = 127.5
    contrast: Annotated[float, Meta(ge=0, le=128)] = 50.0
    fingerprint: Text = ""
    burst: Text = ""
    given_split: Split | None = None
    group: Text = ""
    is_confirmed: bool = False

    def labelled(self, class_name: str) -> ImageRecord:
        """Return it with a label; another one than before has not been found right by anybody."""
        is_confirmed = self.is_confirmed and class_name == self.class_name
        return replace(self, class_name=class_name, is_confirmed=is_confirmed)


class LeftOut(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A file that did not become part of the dataset.

    Args:
        name: What the file was called, with its folder.
        reason: Why, in words that continue "left out because ...".
        kind: Why, for programs.
        image_id: The image that is there already, where that is the reason.
        class_name: The label under which the file came, where that matters.
    """

    name: Text
    reason: Text
    kind: LeftOutKind = "unreadable"
    image_id: Text = ""
    class_name: Text = ""

    @property
    def is_expected(self) -> bool:
        """Whether nobody misses it: a file of the operating system, or one that came in before."""
        return self.kind in ("system", "again")


class Edit(Struct, frozen=True, forbid_unknown_fields=True):
    """A change that a person made to the labels, with all that undoes it.

    Args:
        version: The version of the dataset that it made.
        kind: What was done.
        class_name: The new label, empty when there are several; or the class that was renamed or deleted.
        new_name: What a renamed class is called since.
        before: Id, class and whether it was left out, for each image that changed.
    """

    version: _Version
    kind: EditKind
    class_name: Text
    new_name: Text = ""
    before: tuple[tuple[Text, Text, bool], ...] = ()


class DatasetFacts(Struct, frozen=True, forbid_unknown_fields=True):
    """All that the file of a dataset holds.

    Args:
        name: For people.
        class_names: In the order of the network's outputs.
        images: All images that count, in the order in which they came.
        left_out: Files that did not come in, with the reason.
        excluded: Images that the person took out, with the class they had; their files stay.
        validation_split: Share of each class that is kept for validation, above 0 and below 1.
        seed: Fixes which images those are, 0 to 2147483647.
        split_by: What decides the split: a `"share"`, the person's own `"folders"`, or `"folds"` that take turns.
        num_folds: In how many parts `"folds"` split the images, 2-10.
        version: Grows by one each time the dataset is saved; 0 before the first time.
        edits: Changes of labels that can be undone, the latest last.
        sample: Name of the built-in sample it came from, if any.
    """

    name: Text
    class_names: tuple[Text, ...]
    images: tuple[ImageRecord, ...]
    left_out: tuple[LeftOut, ...]
    excluded: tuple[ImageRecord, ...] = ()
    validation_split: Annotated[float, Meta(gt=0, lt=1)] = 0.2
    seed: Seed = 1
    split_by: SplitBy = "share"
    num_folds: Annotated[int, Meta(ge=MIN_FOLDS, le=MAX_FOLDS)] = 5
    version: _Version = 0
    edits: tuple[Edit, ...] = ()
    sample: Text | None = None
