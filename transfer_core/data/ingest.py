"""Add files to a dataset: store every readable photo, and list every other file with the reason."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace
from PIL import Image

from transfer_core.data.dataset import DATASET_FILE, IMAGES_FOLDER, ImageDataset
from transfer_core.data.images.decoding import (
    TIFF_STARTS,
    DecodedImage,
    decode_image,
    image_id,
    read_pages,
)
from transfer_core.data.images.grey_ranges import (
    Brightness,
    brightness_notices,
    chosen_ranges,
    joined_ranges,
    with_counts,
)
from transfer_core.data.images.image_path import GreyRanges, ValueExtent
from transfer_core.data.images.similarity import channel_statistics, fingerprint
from transfer_core.data.parallel import map_ahead
from transfer_core.data.quota import check_photos
from transfer_core.data.records import ImageRecord, LeftOut, LeftOutKind, Notice
from transfer_core.data.sources.imported_file import MAX_NAME_LENGTH, ImportedFile, clean_name
from transfer_core.data.sources.members import archive_kind
from transfer_core.errors import IngestError, UnreadableImageError, WorkspaceError
from transfer_core.files import check_shortage, remove, replacing
from transfer_core.language import _, plural, said, stored
from transfer_core.locks import changing, hold
from transfer_core.types import OnProgress
from transfer_core.workspace import Workspace, new_id

_SMALL_SIDE = 64
# Both a camera and a phone may add several photos a second.
_NUM_TRIES = 10


def create_dataset(
    workspace: Workspace, name: str, sample: str | None = None, dataset_id: str | None = None
) -> ImageDataset:
    """Return a dataset without images; nothing is on disk until images are added.

    Args:
        workspace: Where it will be stored.
        name: Shown to people.
        sample: Name of the built-in sample it will hold, if any.
        dataset_id: Its id if it was given before; no dataset may have it. By default a new one.

    Raises:
        NotFoundError: If the id is not one this app gives.
    """
    dataset_id, title = dataset_id or new_id(), clean_name(name)[:MAX_NAME_LENGTH] or _("My photos")
    folder = workspace.dataset_dir(dataset_id)
    return ImageDataset(title, (), (), (), sample=sample, id=dataset_id, folder=folder)


def add_files(
    dataset: ImageDataset,
    files: Iterable[ImportedFile],
    *,
    class_name: str | None = None,
    burst: str = "",
    brightness: Brightness = "stretch",
    progress: OnProgress | None = None,
) -> ImageDataset:
    """Add files to a dataset and save it as a new version.

    Each photo is decoded in full, turned upright and stored without metadata. Its id is a hash of its pixels, so
    that the same photo is never counted twice.

    Args:
        dataset: The dataset before.
        files: Of a folder, an archive, a table or an upload.
        class_name: Label for all of them; without it each file has its own, or that of its first folder.
        burst: Names the camera recording that all of them are frames of, if they are.
        brightness: Of photos with more than 8 bits: `"stretch"` lets their values reach from black to white, `"keep"`
            shows them as common programs do. It counts for the first such photos of a dataset.
        progress: Called with the number of files done and their number in all.

    Returns:
        The dataset with the new images and with the files that were left out.

    Raises:
        IngestError: If no file could be used, or the person would have more photos than they may. The dataset is then
            unchanged.
        WorkspaceError: If writing fails.
    """
    collected = collect_files(
        dataset, files, class_name=class_name, burst=burst, brightness=brightness, progress=progress
    )
    check_anything_added(dataset, collected)
    return collected.save()


def collect_files(
    dataset: ImageDataset,
    files: Iterable[ImportedFile],
    *,
    class_name: str | None = None,
    burst: str = "",
    brightness: Brightness = "stretch",
    progress: OnProgress | None = None,
) -> ImageDataset:
    """Add one part of an upload to a dataset without saving it. All its files may be unusable.

    Args:
        dataset: The dataset with the earlier parts.
        files: Of a folder, an archive, a table or an upload.
        class_name: Label for all of them; without it each file has its own, or that of its first folder.
        burst: Names the camera recording that all of them are frames of, if they are.
        brightness: Of photos with more than 8 bits: `"stretch"` lets their values reach from black to white, `"keep"`
            shows them as common programs do. It counts for the first such photos of a dataset.
        progress: Called with the number of files done and their number in all.

    Returns:
        The dataset with the new images and with the files that were left out. The folder of a new dataset with
        images is held until the dataset is saved.

    Raises:
        IngestError: If the person would have more photos than they may.
        WorkspaceError: If writing fails, or another window is filling the same new dataset. The photos that were
            stored are then deleted.
    """
    files = list(files)
    num_photos = sum(not (file.is_system_file or file.is_refused) for file in files)
    check_photos(Workspace(dataset.folder.parents[1]), num_photos)
    label = clean_name(class_name) if class_name else None
    dataset = _held_if_new(dataset)
    intake = _Intake(dataset, label, burst)
    with _kept_if_whole(dataset) as written:
        store = partial(_store, dataset.folder / IMAGES_FOLDER, label, written)
        stored, ranges = _stored_photos(store, files, dataset.grey_ranges, brightness, progress)
    for photo in stored:
        intake.take(photo.file, photo.image)
    if not intake.images:
        dataset.discard()
        dataset = replace(dataset, filling=None)
    # The person's own split is kept as soon as there is one, until they choose otherwise.
    if any(image.given_split for image in intake.images) and not dataset.has_given_split:
        dataset = replace(dataset, split_by="folders")
    # A folder that is added once more has the same files left out.
    left_out = dict.fromkeys((*dataset.left_out, *intake.left_out))
    notices = dict.fromkeys((*dataset.notices, *(notice for file in files for notice in file.notices)))
    added = _notices(stored, ranges, {image.id for image in intake.images[len(dataset.images) :]})
    dataset = replace(dataset, notices=with_counts(notices, added), grey_ranges=ranges)
    return dataset.with_images(intake.images, left_out)


def add_to_latest(
    load: Callable[[], ImageDataset], files: Iterable[ImportedFile], *, class_name: str, burst: str = ""
) -> tuple[ImageDataset, ImageDataset]:
    """Add files to a dataset as it is on disk, and save it if images were added.

    Another window may save a change meanwhile, and so may a phone. The files are then added to that change.

    Args:
        load: Returns the dataset.
        files: Of an upload.
        class_name: Label for all of them.
        burst: Names the camera recording that all of them are frames of, if they are.

    Returns:
        The dataset before and after. The latter also has the files that were left out.

    Raises:
        IngestError: If the person would have more photos than they may.
        WorkspaceError: If writing fails.
    """
    files = list(files)
    tries_left = _NUM_TRIES
    while True:
        tries_left -= 1
        before = load()
        after = collect_files(before, files, class_name=class_name, burst=burst)
        if len(after.images) == len(before.images):
            return before, after
        try:
            return before, after.save()
        except WorkspaceError:
            if not tries_left or load().version == before.version:
                raise


def take_over(dataset: ImageDataset, photos: ImageDataset, labels: Mapping[str, str]) -> ImageDataset:
    """Add stored photos of another dataset, without decoding them again and without saving.

    Args:
        dataset: Gets copies of the photos.
        photos: The other dataset. It is not changed.
        labels: The class of each photo that is added, by its id.

    Returns:
        The dataset with the photos, and with their black and white where it had none. Photos that it had already are
        left out with the reason. The folder of a new dataset is held until the dataset is saved.

    Raises:
        WorkspaceError: If writing fails. The photos that were stored are then deleted.
    """
    dataset = _held_if_new(dataset)
    intake = _Intake(dataset, None, "")
    with _kept_if_whole(dataset) as written:
        for image in photos.images:
            if image.id in labels:
                intake.take(*_copied(dataset, photos, image, labels[image.id], written))
    left_out = dict.fromkeys((*dataset.left_out, *intake.left_out))
    dataset = replace(dataset, grey_ranges=joined_ranges(dataset.grey_ranges, photos.grey_ranges))
    return dataset.with_images(intake.images, left_out)


def _copied(
    dataset: ImageDataset, photos: ImageDataset, image: ImageRecord, label: str, written: list[Path]
) -> tuple[ImportedFile, ImageRecord | UnreadableImageError]:
    """Copy the file of a photo to another dataset, and return what `_Intake.take` needs to add it."""
    source, path = photos.image_path(image), dataset.image_path(image)
    file = ImportedFile((image.name,), source.read_bytes, label=label, series=image.burst)
    if not source.is_file():
        return file, UnreadableImageError(_("its file is missing"), "unreadable")
    if not _is_whole(path):
        with replacing(path, durable=False) as beside:
            shutil.copyfile(source, beside)
        written.append(path)
    # Its series is looked for again, among the photos that it lies with now.
    return file, replace(image, split="train", group="", series="", is_confirmed=False)


def _held_if_new(dataset: ImageDataset) -> ImageDataset:
    """Lock the folder of a dataset that has no file yet, or the next start of the app would delete it."""
    if dataset.version or dataset.filling:
        return dataset
    lock = hold(dataset.folder)
    if lock is None:
        raise WorkspaceError(
            _("Another window is adding these photos. Wait for it, then look at what has come in.")
        )
    return replace(dataset, filling=lock)


@contextmanager
def _kept_if_whole(dataset: ImageDataset) -> Iterator[list[Path]]:
    """Yield a list for the paths of photos that are written, and delete these photos when the block fails.

    Otherwise a full disk would stay full, with photos that no page or command lists.
    """
    written: list[Path] = []
    try:
        yield written
    except BaseException as error:
        if dataset.filling:
            dataset.discard()
        elif isinstance(error, WorkspaceError):
            _remove_unlisted(dataset.folder, written)
        raise


def _remove_unlisted(folder: Path, paths: Iterable[Path]) -> None:
    """Delete photos except those that another window has added to the dataset meanwhile."""
    with suppress(OSError, WorkspaceError), changing(folder / DATASET_FILE):
        listed = (folder / DATASET_FILE).read_text("utf-8")
        for path in paths:
            if path.stem not in listed:
                remove(path)


def check_anything_added(before: ImageDataset, after: ImageDataset) -> None:
    """Raise an error unless at least one image was added.

    Args:
        before: The dataset without the files.
        after: The dataset that `collect_files` returned.

    Raises:
        IngestError: If none was added; the message says why.
    """
    if len(after.images) > len(before.images):
        return
    left_out = [file for file in after.left_out[len(before.left_out) :] if not file.is_expected]
    if not left_out and any(file.kind == "again" for file in after.left_out):
        raise IngestError(_("All of these photos are there already. Nothing was added."))
    if not left_out:
        raise IngestError(_("There are no photos in it. Choose a folder whose subfolders are the classes."))
    if all(file.reason == stored(_not_in_a_class_folder()) for file in left_out):
        raise IngestError(
            _(
                "There are no subfolders in it, so the classes are unknown. Make one folder for each class. "
                "Then choose the folder around them."
            )
        )
    raise IngestError(none_usable(left_out))


def none_usable(left_out: Sequence[LeftOut]) -> str:
    """Return the sentence that no file could be used, with the reason of the first.

    Args:
        left_out: At least one.
    """
    return plural(
        "The only file, {name}, cannot be used: {reason}.",
        "None of the {count} files can be used. The first one, {name}: {reason}.",
        len(left_out),
        name=left_out[0].name,
        reason=said(left_out[0].reason),
    )


class _Intake:
    """Collects the images of one call, and the files that it leaves out."""

    def __init__(self, dataset: ImageDataset, label: str | None, burst: str) -> None:
        self.images = list(dataset.images)
        self.left_out: list[LeftOut] = []
        self._label = label
        self._burst = burst
        self._excluded = {image.id: image for image in dataset.excluded}
        self._by_id = {image.id: image for image in dataset.images}
        self._number = max((image.number for image in (*dataset.images, *dataset.excluded)), default=0)

    def take(self, file: ImportedFile, image: ImageRecord | UnreadableImageError) -> None:
        class_name = self._label or file.class_name
        if file.is_system_file:
            self._leave_out(file, _("it belongs to the operating system"), "system")
        elif isinstance(image, UnreadableImageError) and (class_name or file.is_refused):
            self._leave_out(file, str(image), image.kind)
        elif class_name is None or isinstance(image, UnreadableImageError):
            self._leave_out(file, *_why_without_class(file))
        elif known := self._by_id.get(image.id):
            self._meet_again(file, known, class_name)
        elif image.id in self._excluded:
            self._leave_out(file, _("you excluded this photo before"), "excluded", image.id, class_name)
        else:
            self._add(file, image, class_name)

    def _add(self, file: ImportedFile, photo: ImageRecord, class_name: str) -> None:
        self._number += 1
        image = replace(
            photo,
            class_name=class_name,
            number=self._number,
            burst=self._burst or file.series,
            given_split=file.split,
        )
        self.images.append(image)
        self._by_id[image.id] = image

    def _meet_again(self, file: ImportedFile, known: ImageRecord, class_name: str) -> None:
        if known.class_name != class_name:
            reason = _("the same photo is already in the class {class_name} ({name})").format(
                class_name=known.class_name, name=known.name
            )
            self._leave_out(file, reason, "other_class", known.id, class_name)
        elif known.name == file.name:
            self._leave_out(file, _("it is there already"), "again", known.id, class_name)
        else:
            reason = _("the same photo is there already ({name})").format(name=known.name)
            self._leave_out(file, reason, "duplicate", known.id, class_name)

    def _leave_out(
        self, file: ImportedFile, reason: str, kind: LeftOutKind, image_id: str = "", class_name: str = ""
    ) -> None:
        self.left_out.append(LeftOut(file.path, stored(reason), kind, image_id, class_name))


def _why_without_class(file: ImportedFile) -> tuple[str, LeftOutKind]:
    if archive := archive_kind(file.name):
        reason = _("it is a {kind} archive; unpack it into the folder of its class")
        return reason.format(kind=archive), "not_an_image"
    return _not_in_a_class_folder(), "no_class"


def _not_in_a_class_folder() -> str:
    return _("it is not in a class folder")


def _is_whole(path: Path) -> bool:
    """Return whether a file is there and can be decoded; a damaged or deleted one is stored again."""
    try:
        decode_image(path.read_bytes())
    except (OSError, UnreadableImageError) as error:
        check_shortage(error)
        return False
    return True


class _StoredPhoto(NamedTuple):
    """A photo of a file that was stored, or why it was not.

    Args:
        file: Its file; of several pages of one, the name says which.
        image: Its record, or the reason; an error without a reason as long as black and white are not chosen.
        extent: Of the values of a photo with more than 8 bits.
        has_more_frames: Whether the file holds further frames, which do not count.
    """

    file: ImportedFile
    image: ImageRecord | UnreadableImageError
    extent: ValueExtent | None = None
    has_more_frames: bool = False

    @property
    def needs_range(self) -> bool:
        """Whether it can be stored only when black and white are chosen."""
        return self.extent is not None and isinstance(self.image, UnreadableImageError)


def _stored_photos(
    store: Callable[[GreyRanges, ImportedFile], list[_StoredPhoto]],
    files: Sequence[ImportedFile],
    known: GreyRanges,
    brightness: Brightness,
    progress: OnProgress | None,
) -> tuple[list[_StoredPhoto], GreyRanges]:
    """Store the photos of files, those with more than 8 bits after all of them have been read once.

    Returns:
        The photos in the order of their files, and black and white for those with more than 8 bits.
    """
    stored: list[list[_StoredPhoto]] = []
    num_open = 0
    with closing(map_ahead(partial(store, known), files)) as photos:
        for of_file in photos:
            stored.append(of_file)
            num_open += any(photo.needs_range for photo in of_file)
            if progress:
                progress(len(stored) - (num_open + 1) // 2, len(files))
    places = [place for place, photos in enumerate(stored) if any(photo.needs_range for photo in photos)]
    extents = [photo.extent for place in places for photo in stored[place] if photo.extent]
    ranges = chosen_ranges(known, extents, brightness) if places else known
    with closing(map_ahead(partial(store, ranges), [files[place] for place in places])) as photos:
        for done, (place, of_file) in enumerate(zip(places, photos, strict=True), 1):
            stored[place] = of_file
            if progress:
                progress(len(files) - (num_open - done + 1) // 2, len(files))
    return [photo for of_file in stored for photo in of_file], ranges


def _notices(stored: Iterable[_StoredPhoto], ranges: GreyRanges, added: Collection[str]) -> list[Notice]:
    """Return the notices about photos that were added, whose ids are given."""
    photos = [photo for photo in stored if isinstance(photo.image, ImageRecord) and photo.image.id in added]
    notices = brightness_notices(ranges, [photo.extent for photo in photos if photo.extent])
    num_animated = sum(photo.has_more_frames for photo in photos)
    return [*notices, Notice("first_frame", count=num_animated)] if num_animated else notices


def _store(
    folder: Path, label: str | None, written: list[Path], ranges: GreyRanges, file: ImportedFile
) -> list[_StoredPhoto]:
    """Decode a file and store its photos under the hashes of their pixels. Runs on a worker thread."""
    class_name = label or file.class_name
    if file.is_system_file or not (class_name or file.is_refused):
        return [_StoredPhoto(file, UnreadableImageError())]
    # Cut, two classes could become one.
    if class_name and len(class_name) > MAX_NAME_LENGTH:
        reason = _("the name of its class has more than {limit} letters").format(limit=MAX_NAME_LENGTH)
        return [_StoredPhoto(file, UnreadableImageError(reason, "no_class"))]
    name = file.parts[-1]
    try:
        content = file.read()
    except UnreadableImageError as error:
        return [_StoredPhoto(file, error)]
    photos = []
    for page, decoded in read_pages(content, ranges, name):
        of_page = file
        if page:
            title = _("{name}, page {number}").format(name=name, number=page)
            # Pages of one file stay on one side of the split.
            series = file.series or hashlib.sha256(content).hexdigest()[:32]
            of_page = dataclasses.replace(file, parts=(*file.parts[:-1], title), series=series)
        if isinstance(decoded, UnreadableImageError):
            photos.append(_StoredPhoto(of_page, decoded))
        elif decoded.extent and ranges.of(decoded.extent.kind) is None:
            photos.append(_StoredPhoto(of_page, UnreadableImageError(), decoded.extent))
        else:
            image = _write(folder, written, decoded, of_page.name)
            has_more_frames = decoded.has_more_frames and not content.startswith(TIFF_STARTS)
            photos.append(_StoredPhoto(of_page, image, decoded.extent, has_more_frames))
    return photos


def _write(folder: Path, written: list[Path], decoded: DecodedImage, name: str) -> ImageRecord:
    image = decoded.image
    identifier = image_id(image)
    path = folder / f"{identifier}.jpg"
    if not _is_whole(path):
        with replacing(path, durable=False) as beside:
            beside.write_bytes(decoded.to_jpeg())
        written.append(path)
    # Enough to describe the whole photo; reading every pixel again takes longer than decoding.
    small = image.resize((_SMALL_SIDE, _SMALL_SIDE), Image.Resampling.BOX)
    ((brightness, contrast),) = channel_statistics(small.convert("L"))
    return ImageRecord(
        identifier,
        class_name="",
        name=name,
        width=decoded.width,
        height=decoded.height,
        brightness=round(brightness, 1),
        contrast=round(contrast, 1),
        fingerprint=fingerprint(small),
    )
