"""The stored facts of a dataset: images, files that were left out, edits, and its split."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from transfer_core.config import MAX_FOLDS, MIN_FOLDS, Seed
from transfer_core.data.images.image_path import UNKNOWN_RANGES, GreyRanges
from transfer_core.recipes import StoredText
from transfer_core.schema import Count, Text

Split = Literal["train", "validation", "test"]
SplitBy = Literal["share", "folders", "folds"]
EditKind = Literal["relabel", "exclude", "restore", "rename_class", "delete_class"]
LeftOutKind = Literal[
    "system",
    "again",
    "no_class",
    "not_an_image",
    "other_format",
    "damaged",
    "too_small",
    "too_large",
    "unsafe",
    "unreadable",
    "packing",
    "duplicate",
    "other_class",
    "excluded",
    "missing",
]
LabelsFrom = Literal["folders", "subfolders", "names", "table"]
NoticeKind = Literal[
    "unused_table",
    "unknown_split_words",
    "letters_in_doubt",
    "names_in_doubt",
    "subfolders",
    "stretched",
    "too_bright_or_dark",
    "first_frame",
    "series",
]

DEFAULT_VALIDATION_SPLIT = 0.2
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
        name: Of its file when it was added.
        split: Whether it is a training, a validation or a test image.
        number: Its place in the order in which images were added.
        width: Of the original, upright, in pixels; 0 when not known.
        height: Of the original, upright, in pixels; 0 when not known.
        brightness: Mean grey, 0-255.
        contrast: Standard deviation of the greys, 0-128.
        fingerprint: Perceptual hash in hexadecimal digits; similar images have similar ones.
        burst: Id of the camera recording it is a frame of, if any.
        series: Least id of the photos of the same scene, as its features say; its own id when it is alone, empty before
            it was examined.
        given_split: The split of the person's own folders, if there was one.
        group: Shared by images that must stay on one side of the split; empty when it is alone.
        is_confirmed: Whether a person has found its label right.
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
    series: Text = ""
    given_split: Split | None = None
    group: Text = ""
    is_confirmed: bool = False

    def labelled(self, class_name: str) -> ImageRecord:
        """Return the record with a label; a label that differs is not confirmed."""
        is_confirmed = self.is_confirmed and class_name == self.class_name
        return replace(self, class_name=class_name, is_confirmed=is_confirmed)


class LeftOut(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A file that did not become part of the dataset.

    Args:
        name: Of the file, with its folders.
        reason: In words that continue "left out because ...".
        kind: The reason as a code.
        image_id: The image that is in the dataset already, where that is the reason.
        class_name: The label under which the file came, where that matters.
    """

    name: Text
    reason: StoredText
    kind: LeftOutKind = "unreadable"
    image_id: Text = ""
    class_name: Text = ""

    @property
    def is_expected(self) -> bool:
        """Whether it is a file of the operating system, or one that was added before."""
        return self.kind in ("system", "again")


class ReadAs(Struct, frozen=True, forbid_unknown_fields=True):
    """How the latest folder, archive or table was understood.

    Args:
        labels_from: Where the classes came from.
        num_classes: Classes that were found.
        table: Name of the table with the classes, if any.
        column: Its column.
        splits: Parts of the split that folders or the table name.
        folders: Top folders that were put together, or the only one that was used.
        is_addition: Whether the photos joined others.
    """

    labels_from: LabelsFrom
    num_classes: Count
    table: Text = ""
    column: Text = ""
    splits: tuple[Split, ...] = ()
    folders: tuple[Text, ...] = ()
    is_addition: bool = False


class Notice(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A fact about how files were read that the person should know. Its sentence is made when it is shown.

    Args:
        kind: What happened.
        name: Of the file, table or folder that it is about.
        names: Words, columns or folders that the sentence lists.
        count: Of the files or photos that it is about.
    """

    kind: NoticeKind
    name: Text = ""
    names: tuple[Text, ...] = ()
    count: Count = 0


class Edit(Struct, frozen=True, forbid_unknown_fields=True):
    """A change of labels by a person, with the facts that undo it.

    Args:
        version: Of the dataset after the change.
        kind: Of the change.
        class_name: The new label, empty when there are several; or the class that was renamed or deleted.
        new_name: Of a renamed class.
        before: Id, class and whether it was excluded, for each image that changed.
        saved_at: When it was saved, in seconds since 1970; 0 in files of earlier versions.
    """

    version: _Version
    kind: EditKind
    class_name: Text
    new_name: Text = ""
    before: tuple[tuple[Text, Text, bool], ...] = ()
    saved_at: Annotated[float, Meta(ge=0, lt=1e11)] = 0


class DatasetFacts(Struct, frozen=True, forbid_unknown_fields=True):
    """The content of the file of a dataset.

    Args:
        name: Shown to people.
        class_names: In the order of the model's outputs.
        images: All that are not excluded, in the order in which they were added.
        left_out: Files that were not added, with the reason.
        excluded: Images that the person excluded, with the class they had; their files are kept.
        validation_split: Share of each class that is kept for validation, above 0 and below 1.
        seed: Fixes which images those are, 0 to 2147483647.
        split_by: Whether a `"share"` is drawn, the person's own `"folders"` count, or `"folds"` take turns.
        num_folds: Of `"folds"`, 2-10.
        version: Grows by one each time the dataset is saved; 0 before the first time.
        edits: Changes of labels that can be undone, the latest last.
        sample: Name of the built-in sample it came from, if any.
        notices: Facts about how the files were read.
        read_as: How the latest folder, archive or table was understood; None if the person named the class.
        grey_ranges: Black and white for photos with more than 8 bits.
        series_version: The version that added series, and what they mean for the split, to the version before it; 0
            before series were looked for.
    """

    name: Text
    class_names: tuple[Text, ...]
    images: tuple[ImageRecord, ...]
    left_out: tuple[LeftOut, ...]
    excluded: tuple[ImageRecord, ...] = ()
    validation_split: Annotated[float, Meta(gt=0, lt=1)] = DEFAULT_VALIDATION_SPLIT
    seed: Seed = 1
    split_by: SplitBy = "share"
    num_folds: Annotated[int, Meta(ge=MIN_FOLDS, le=MAX_FOLDS)] = 5
    version: _Version = 0
    edits: tuple[Edit, ...] = ()
    sample: Text | None = None
    notices: tuple[Notice, ...] = ()
    read_as: ReadAs | None = None
    grey_ranges: GreyRanges = UNKNOWN_RANGES
    series_version: Count = 0
