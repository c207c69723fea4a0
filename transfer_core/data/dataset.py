"""A labelled set of images on disk: reading, saving, splitting and editing it."""

from __future__ import annotations

import json
import math
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from filelock import FileLock
from msgspec import structs
from msgspec.structs import replace

from transfer_core.data.images.similarity import groups_of
from transfer_core.data.records import DatasetFacts, Edit, EditKind, ImageRecord, LeftOut, Split, SplitBy
from transfer_core.data.sources.imported_file import MAX_NAME_LENGTH, clean_name
from transfer_core.data.split import classes_without, split_by_fold, split_by_folders, split_by_share
from transfer_core.errors import IngestError, InvalidConfigError, NotFoundError, WorkspaceError
from transfer_core.file_cache import FileCache
from transfer_core.files import damaged_file, file_version, read_json, remove, write_bytes
from transfer_core.language import _, names_list
from transfer_core.locks import changing, let_go
from transfer_core.schema import decoded, encoded
from transfer_core.workspace import Workspace

DATASET_FILE = "dataset.json"
IMAGES_FOLDER = "images"
MIN_IMAGES_PER_CLASS = 2
ADVISED_IMAGES_PER_CLASS = 10
# With two scenes a model would learn a class from one of them alone.
MIN_GROUPS_WITH_SERIES = 3
LEAST_FRAMES_TO_CUT = 4


# `dict` holds the cached properties.
class ImageDataset(DatasetFacts, frozen=True, kw_only=True, dict=True):
    """Class names, the images on disk, the split, and the files that were left out.

    Every change returns another dataset; `save` makes it the next version on disk.

    Args:
        id: Names its folder in the workspace.
        folder: Where it is.
        filling: Holds the folder of a new dataset from its first photo until `save`, so that the leftovers of a killed
            process can be distinguished from a dataset that another process is still filling.
    """

    id: str
    folder: Path
    filling: FileLock | None = None

    @classmethod
    def load(cls, workspace: Workspace, dataset_id: str) -> ImageDataset:
        """Return a dataset, read once for each version of its file.

        Raises:
            NotFoundError: If the workspace has no such dataset.
            WorkspaceError: If its file is damaged.
        """
        folder = workspace.dataset_dir(dataset_id)
        return _loaded.get(folder / DATASET_FILE, lambda: cls.read(folder))

    @classmethod
    def read(cls, folder: Path) -> ImageDataset:
        """Return the dataset in a folder, as it is on disk now.

        Raises:
            NotFoundError: If there is none.
            WorkspaceError: If its file is damaged.
        """
        if not (folder / DATASET_FILE).is_file():
            raise NotFoundError(_("There are no photos with the id {id}.").format(id=folder.name))
        cost = _("The photos are still in the folder “images” beside it. Restore the file from a copy.")
        values = read_json(folder / DATASET_FILE, cost)
        try:
            facts = decoded(_of_this_version(values), DatasetFacts)
        except (TypeError, ValueError) as error:
            reason = _("its content is not valid")
            raise damaged_file(folder / DATASET_FILE, reason, cost) from error
        return cls(id=folder.name, folder=folder, **structs.asdict(facts))

    def save(self) -> ImageDataset:
        """Write the dataset's facts and return it with its new version number.

        Raises:
            WorkspaceError: If writing fails, or if another window has saved a change since this one was read. Of a
                new dataset nothing is left then.
        """
        version, now = self.version + 1, time.time()
        edits = (replace(edit, saved_at=now) if edit.version == version else edit for edit in self.edits)
        saved = replace(self, version=version, filling=None, edits=tuple(edits))
        try:
            with changing(self.folder / DATASET_FILE):
                self._check_unchanged()
                write_bytes(self.folder / DATASET_FILE, saved.to_json())
        except WorkspaceError:
            self.discard()
            raise
        if self.filling:
            let_go(self.filling)
        return saved

    def to_json(self) -> bytes:
        """Return the content of its file."""
        facts = {name: getattr(self, name) for name in DatasetFacts.__struct_fields__}
        return json.dumps(encoded(facts), ensure_ascii=False).encode()

    def discard(self) -> None:
        """Delete the photos of a new dataset that was never saved. A saved dataset is kept."""
        if self.filling:
            self.filling.release()
            with suppress(OSError):
                remove(self.folder)

    def _check_unchanged(self) -> None:
        path = self.folder / DATASET_FILE
        if path.is_file() and read_json(path).get("version") != self.version:
            raise WorkspaceError(
                _(
                    "These photos were changed in another window, so this change was not made. "
                    "Look at them again, then repeat it."
                )
            )

    def with_images(self, images: Iterable[ImageRecord], left_out: Iterable[LeftOut]) -> ImageDataset:
        """Return the dataset with these images: images that belong together grouped, the split drawn again."""
        return self._with_classes(images, left_out=tuple(left_out))._split_again()

    def has_photos_of(self, version: int) -> bool:
        """Whether it has the same photos with the same labels as a version: at most series were added since."""
        is_next = version + 1 == self.version == self.series_version
        return version == self.version or is_next

    @property
    def is_examined(self) -> bool:
        """Whether series have been looked for among all its images."""
        return all(image.series for image in self.images)

    def with_series(self, series: Mapping[str, str]) -> ImageDataset:
        """Return the dataset with the series of its images. The split is drawn again only if it tears one apart.

        Args:
            series: The series of each image by its id, as in `ImageRecord`; an image that is missing is alone.
        """
        images = tuple(replace(image, series=series.get(image.id, image.id)) for image in self.images)
        examined = replace(self, images=images, series_version=self.version + 1)
        grouped = examined._grouped()
        # Folds are drawn from the groups each time, so they would differ from the stored first one.
        is_torn = grouped.images != images if self.split_by == "folds" else grouped._tears_groups()
        return examined._split_again() if is_torn else grouped

    def with_split(
        self,
        validation_split: float,
        seed: int,
        *,
        split_by: SplitBy | None = None,
        num_folds: int | None = None,
    ) -> ImageDataset:
        """Return the dataset with another split.

        Args:
            validation_split: Share of each class that is kept for validation, above 0 and below 1.
            seed: Fixes which images those are, 0 to 2147483647.
            split_by: As before if not given.
            num_folds: 2-10; as before if not given.

        Raises:
            InvalidConfigError: If one of them is out of range, or no folder was called train, validation or test.
        """
        split_by = split_by or self.split_by
        if split_by == "folders" and not self.has_given_split:
            raise InvalidConfigError(
                _("Your folders give no split to keep. Choose a share of each class instead.")
            )
        return replace(
            self,
            validation_split=validation_split,
            seed=seed,
            split_by=split_by,
            num_folds=num_folds or self.num_folds,
        )._split_again()

    @cached_property
    def has_given_split(self) -> bool:
        """Whether any image came from a folder such as train, validation or test."""
        return any(image.given_split for image in self.images)

    @cached_property
    def by_id(self) -> Mapping[str, ImageRecord]:
        """The images that are not excluded, by id."""
        return {image.id: image for image in self.images}

    def find(self, image_id: str) -> ImageRecord | None:
        """Return an image, excluded or not; None if there is no such image."""
        return self.by_id.get(image_id) or self.excluded_by_id.get(image_id)

    @cached_property
    def excluded_by_id(self) -> Mapping[str, ImageRecord]:
        """The excluded images by id."""
        return {image.id: image for image in self.excluded}

    @property
    def classes_of_one_recording(self) -> list[str]:
        """The classes whose photos are all from the same camera recording or video."""
        recordings: dict[str, set[str]] = defaultdict(set)
        for image in self.images:
            recordings[image.class_name].add(image.burst or image.id)
        return [name for name, found in recordings.items() if len(found) == 1 and self.counts()[name] > 1]

    def folds(self) -> list[ImageDataset]:
        """Return the dataset once for each fold that takes its turn as validation images; the first is itself.

        A dataset that is not split by folds is one fold.
        """
        if self.split_by != "folds":
            return [self]
        return [
            replace(self, images=split_by_fold(self.images, self.num_folds, self.seed, fold))
            for fold in range(self.num_folds)
        ]

    def relabelled(self, ids: Collection[str], class_name: str) -> ImageDataset:
        """Return the dataset with another label for some images.

        Raises:
            InvalidConfigError: If the label is no name.
        """
        return self.relabelled_each(dict.fromkeys(ids, class_name))

    def relabelled_each(self, labels: Mapping[str, str]) -> ImageDataset:
        """Return the dataset with another label for some images, in one change.

        Args:
            labels: The new class of each image, by its id.

        Raises:
            InvalidConfigError: If a label is no name.
        """
        names = {label: class_called(label) for label in labels.values()}
        places = {image.id: (names[labels[image.id]], False) for image in self.images if image.id in labels}
        return self._edited("relabel", places, names.popitem()[1] if len(names) == 1 else "")

    def without(self, ids: Collection[str]) -> ImageDataset:
        """Return the dataset without some images. Their files are kept, so they can be restored."""
        places = {image.id: (image.class_name, True) for image in self.images if image.id in set(ids)}
        return self._edited("exclude", places)

    def confirmed(self, ids: Collection[str]) -> ImageDataset:
        """Return the dataset with some labels confirmed, until they change."""
        images = (replace(image, is_confirmed=True) if image.id in ids else image for image in self.images)
        return replace(self, images=tuple(images))

    def restored(self, ids: Collection[str]) -> ImageDataset:
        """Return the dataset with excluded images back under the label they had."""
        places = {image.id: (image.class_name, False) for image in self.excluded if image.id in set(ids)}
        return self._edited("restore", places)

    def renamed_class(self, class_name: str, new_name: str) -> ImageDataset:
        """Return the dataset with another name for a class; the name of another class merges the two.

        Raises:
            InvalidConfigError: If the new name is no name.
        """
        name = class_called(new_name)
        both = [(image, False) for image in self.images] + [(image, True) for image in self.excluded]
        places = {image.id: (name, is_out) for image, is_out in both if image.class_name == class_name}
        return self._edited("rename_class", places, class_name, name)

    def merged_classes(self, names: Mapping[str, str]) -> ImageDataset:
        """Return the dataset with some classes merged into others, in one change.

        Args:
            names: The class that each of them becomes part of, by its name.
        """
        both = [(image, False) for image in self.images] + [(image, True) for image in self.excluded]
        places = {
            image.id: (names[image.class_name], is_out) for image, is_out in both if image.class_name in names
        }
        kept = set(names.values())
        return self._edited("relabel", places, kept.pop() if len(kept) == 1 else "")

    def without_class(self, class_name: str) -> ImageDataset:
        """Return the dataset without a class: all its images are excluded."""
        places = {image.id: (class_name, True) for image in self.images if image.class_name == class_name}
        return self._edited("delete_class", places, class_name)

    def erased(self, ids: Collection[str]) -> ImageDataset:
        """Return the dataset without any trace of some images. No label and no side of the split changes.

        Args:
            ids: Of images that are excluded or not; the classes of the others remain in the list of classes.
        """
        gone = set(ids)
        images = _without_names_of(tuple(image for image in self.images if image.id not in gone), gone)
        names = {image.name for image in (*self.images, *self.excluded) if image.id in gone}
        edits = (
            replace(edit, before=tuple(before for before in edit.before if before[0] not in gone))
            for edit in self.edits
        )
        return replace(
            self,
            images=images,
            class_names=tuple(sorted({image.class_name for image in images})),
            excluded=_without_names_of(tuple(image for image in self.excluded if image.id not in gone), gone),
            edits=tuple(edit for edit in edits if edit.before),
            left_out=tuple(file for file in self.left_out if file.image_id not in gone),
            notices=tuple(notice for notice in self.notices if notice.name not in names),
        )

    def deleted_ids(self, before: float = math.inf) -> frozenset[str]:
        """Return the excluded images whose class was deleted, which can be undone for some days.

        Args:
            before: Only those of classes that were deleted before this time, in seconds since 1970.
        """
        latest = {image_id: edit for edit in self.edits for image_id, *_place in edit.before}
        # Earlier versions kept no time of a change.
        written_at = file_version(self.folder / DATASET_FILE)[0] / 10**9
        return frozenset(
            image.id
            for image in self.excluded
            if (edit := latest.get(image.id))
            and edit.kind == "delete_class"
            and (edit.saved_at or written_at) < before
        )

    def undone(self) -> ImageDataset:
        """Return the dataset as it was before the latest change of labels."""
        if not self.edits:
            return self
        *earlier, last = self.edits
        places = {image_id: (name, is_out) for image_id, name, is_out in last.before}
        return replace(self._moved(places), edits=tuple(earlier))

    def image_path(self, image: ImageRecord) -> Path:
        """Return the path of an image's file."""
        return self.folder / IMAGES_FOLDER / f"{image.id}.jpg"

    def images_in(self, split: Split) -> list[ImageRecord]:
        """Return the images of one split."""
        return list(self._by_split.get(split, ()))

    @cached_property
    def _by_split(self) -> Mapping[Split, Sequence[ImageRecord]]:
        by_split: dict[Split, list[ImageRecord]] = defaultdict(list)
        for image in self.images:
            by_split[image.split].append(image)
        return by_split

    def class_index(self, image: ImageRecord) -> int:
        """Return the position of the image's class among the model's outputs."""
        return self.class_names.index(image.class_name)

    def counts(self, split: Split | None = None) -> dict[str, int]:
        """Return the number of images by class, in one split or in all."""
        parts = [self._counts.get(split, Counter())] if split else [*self._counts.values()]
        return {name: sum(counted[name] for counted in parts) for name in self.class_names}

    @cached_property
    def _counts(self) -> Mapping[Split, Counter[str]]:
        counts: dict[Split, Counter[str]] = defaultdict(Counter)
        for image in self.images:
            counts[image.split][image.class_name] += 1
        return counts

    def check_trainable(self) -> None:
        """Raise an error unless a model can be trained on this dataset.

        Raises:
            IngestError: If there are fewer than two classes, a class has too few images, or a class has no training
                or no validation images.
        """
        if len(self.class_names) < 2:
            raise IngestError(
                _(
                    "There is only one class: {name}. A model needs at least two classes. "
                    "Add photos of another class."
                ).format(name=self.class_names[0])
                if self.class_names
                else _("There are no photos yet. Add a folder, a zip file or a sample.")
            )
        small = [name for name, count in self.counts().items() if count < MIN_IMAGES_PER_CLASS]
        if small:
            raise IngestError(
                _(
                    "Each class needs at least {least} photos, better {advised} or more. Add photos to: {names}."
                ).format(
                    least=MIN_IMAGES_PER_CLASS, advised=ADVISED_IMAGES_PER_CLASS, names=names_list(small)
                )
            )
        self._check_both_sides()

    def _check_both_sides(self) -> None:
        sides = (self.counts("train"), self.counts("validation"))
        one_sided = {name for counts in sides for name, count in counts.items() if not count}
        if not one_sided:
            return
        names = names_list(sorted(one_sided))
        if self.split_by == "folders":
            raise IngestError(
                _(
                    "Your folders hold no training photos or no validation photos for: {names}. "
                    "Add some, or split another way."
                ).format(names=names)
            )
        raise IngestError(
            _(
                "There are too few different photos to keep some for validation: {names}. "
                "Add photos taken at another time or from another angle."
            ).format(names=names)
        )

    def _edited(
        self, kind: EditKind, places: dict[str, tuple[str, bool]], class_name: str = "", new_name: str = ""
    ) -> ImageDataset:
        """Move images and record how to undo it. A change without effect is not recorded."""
        now = {image.id: (image.class_name, False) for image in self.images}
        now |= {image.id: (image.class_name, True) for image in self.excluded}
        before = tuple((key, *now[key]) for key, place in places.items() if now[key] != place)
        if not before:
            return self
        edit = Edit(self.version + 1, kind, class_name, new_name, before)
        return replace(self._moved(places), edits=(*self.edits, edit))

    def _moved(self, places: dict[str, tuple[str, bool]]) -> ImageDataset:
        """Give images their class, and exclude or restore them.

        Each keeps its side of the split, so that a later run is validated on the same images as an earlier one; the
        split is drawn again only if a class would have no image on one side.
        """
        marked = [(image, False) for image in self.images] + [(image, True) for image in self.excluded]
        moved = [
            (image.labelled(places[image.id][0]), places[image.id][1])
            if image.id in places
            else (image, is_out)
            for image, is_out in marked
        ]
        moved.sort(key=lambda place: place[0].number)
        excluded = tuple(image for image, is_out in moved if is_out)
        changed = self._with_classes([image for image, is_out in moved if not is_out], excluded=excluded)
        return changed._split_again() if changed._one_sided() and self.split_by != "folders" else changed

    def _with_classes(
        self,
        images: Iterable[ImageRecord],
        *,
        excluded: tuple[ImageRecord, ...] | None = None,
        left_out: tuple[LeftOut, ...] | None = None,
    ) -> ImageDataset:
        images = tuple(images)
        return replace(
            self,
            images=images,
            excluded=self.excluded if excluded is None else excluded,
            left_out=self.left_out if left_out is None else left_out,
            class_names=tuple(sorted({image.class_name for image in images})),
        )

    def _split_again(self) -> ImageDataset:
        """Group the images, and draw the split. Series are left apart where a class could not be split otherwise."""
        drawn = self._grouped()._drawn()
        if drawn._one_sided() and any(image.series for image in self.images):
            without_series = self._grouped(with_series=False)._drawn()
            drawn = min(drawn, without_series, key=lambda dataset: len(dataset._one_sided()))
        cut = drawn._with_single_recordings_cut()
        return drawn if cut is drawn else cut._drawn()

    def _with_single_recordings_cut(self) -> ImageDataset:
        """Return a copy with the end of a recording as a group where a class has no other photos to validate on."""
        class_of_end: dict[str, str] = {}
        for name in self._one_sided():
            frames = sorted(
                (one for one in self.images if one.class_name == name), key=lambda one: one.number
            )
            if len(frames) >= LEAST_FRAMES_TO_CUT and all(image.burst for image in frames):
                # Recordings of one scene form one group: then the shortest is kept whole, so that no photo is
                # validated by a model that has learned from its own recording.
                lengths = Counter(image.burst for image in frames)
                shortest = min(reversed(lengths), key=lengths.__getitem__)
                end = [image for image in frames if image.burst == shortest]
                if len(lengths) == 1:
                    end = frames[-(len(frames) // 4) :]
                class_of_end |= dict.fromkeys((image.id for image in end), name)
        if not class_of_end:
            return self
        ids: dict[tuple[str, str], list[str]] = defaultdict(list)
        for image in self.images:
            ids[image.group, class_of_end.get(image.id, "")].append(image.id)
        # The name of the whole may be that of a frame of the end, so what is left is named as well.
        groups = {
            image_id: min(part) if group else "" for (group, _name), part in ids.items() for image_id in part
        }
        return replace(self, images=tuple(replace(image, group=groups[image.id]) for image in self.images))

    def _grouped(self, *, with_series: bool = True) -> ImageDataset:
        least = max(MIN_GROUPS_WITH_SERIES, self.num_folds if self.split_by == "folds" else 0)
        groups = groups_of(self.images, least_of_class=least if with_series else None)
        images = (replace(image, group=group) for image, group in zip(self.images, groups, strict=True))
        return replace(self, images=tuple(images))

    def _tears_groups(self) -> bool:
        sides: dict[str, set[Split]] = defaultdict(set)
        for image in self.images:
            sides[image.group or image.id].add(image.split)
        return any(len(found) > 1 for found in sides.values())

    def _one_sided(self) -> set[str]:
        sides: tuple[Split, ...] = ("train", "validation")
        return {name for side in sides for name in classes_without(self.images, side)}

    def _drawn(self) -> ImageDataset:
        # Whatever decides the split: share and seed are checked here, and used when the person goes back to a share.
        images = split_by_share(self.images, self.validation_split, self.seed)
        if self.split_by == "folders":
            images = split_by_folders(self.images, self.validation_split, self.seed)
        elif self.split_by == "folds":
            images = split_by_fold(self.images, self.num_folds, self.seed)
        return replace(self, images=images)


def class_called(name: str) -> str:
    """Return the class name that a person means by what they typed. `Cat` and `cat` are two classes.

    Raises:
        InvalidConfigError: If nothing visible is in it, or it is too long.
    """
    cleaned = clean_name(name)
    if not cleaned:
        raise InvalidConfigError(_("The class needs a name. Type what the photos show, for example: cat."))
    if len(cleaned) > MAX_NAME_LENGTH:
        raise InvalidConfigError(
            _("The name of a class has at most {limit} letters. Choose a shorter one.").format(
                limit=MAX_NAME_LENGTH
            )
        )
    return cleaned


def _without_names_of(images: tuple[ImageRecord, ...], gone: Collection[str]) -> tuple[ImageRecord, ...]:
    """Give groups and series that are named by one of the images in `gone` the name of one of these images."""
    names: dict[tuple[str, str], str] = {}
    for image in images:
        for kind, name in (("group", image.group), ("series", image.series)):
            names[kind, name] = min(names.get((kind, name), image.id), image.id)
    return tuple(
        replace(
            image,
            group=names["group", image.group] if image.group in gone else image.group,
            series=names["series", image.series] if image.series in gone else image.series,
        )
        if image.group in gone or image.series in gone
        else image
        for image in images
    )


# About a dozen datasets of 10,000 photos; in memory they take one and a half times as much.
_loaded: FileCache[ImageDataset] = FileCache(max_bytes=64 * 1024**2)


def _of_this_version(values: dict[str, Any]) -> dict[str, Any]:
    """Rename in place what version 0.1 wrote: it knew only whether the operating system had put a file there."""
    for file in values.get("left_out", ()):
        if isinstance(file, dict) and file.pop("is_system_file", False):
            file["kind"] = "system"
    return values
