"""Photos without labels that wait beside a dataset in piles, until a person accepts them or throws them away.

They lie in a small workspace of their own below the folder of the dataset: none of them is in the dataset, its counts,
its split or a training before it is accepted. A proposal is only the pile that a photo lies in.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from transfer_core.backbones.backbone import Backbone
from transfer_core.data.damage import use_readable
from transfer_core.data.dataset import IMAGES_FOLDER, ImageDataset, class_called
from transfer_core.data.images.grey_ranges import joined_ranges
from transfer_core.data.ingest import collect_files, create_dataset, none_usable, take_over
from transfer_core.data.records import ImageRecord, LeftOut
from transfer_core.data.sources.folder import file_at
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.errors import IngestError, NotFoundError, WorkspaceError
from transfer_core.evaluation.clustering import cluster
from transfer_core.facts_file import FactsFile
from transfer_core.files import remove
from transfer_core.inference.answers import answer_files
from transfer_core.inference.predictor import Prediction, Predictor
from transfer_core.language import _, stored
from transfer_core.locks import changing
from transfer_core.schema import Share, Text
from transfer_core.training.features.feature_cache import pooled_features
from transfer_core.types import OnProgress, ShouldStop
from transfer_core.workspace import Workspace

UNLABELLED_DIR = "unlabelled"
PileKind = Literal["new", "class", "looks", "unsure"]

# No class: the dataset that these photos lie in needs some label.
_NO_LABEL = "?"
# A class that is less likely than all others together is no proposal.
_LEAST_PROBABILITY = 0.5
_ORDER: tuple[PileKind, ...] = ("new", "class", "looks", "unsure")


class Place(Struct, frozen=True, forbid_unknown_fields=True):
    """The pile that a photo lies in.

    Args:
        image_id: Of the photo.
        kind: Of the pile.
        name: Of its class, or its number by looks; empty for photos that no class is proposed for.
        confidence: 0-1, the surest first in its pile.
        is_by_person: Whether a person has put it there; it is then not sorted again.
    """

    image_id: Text
    kind: PileKind
    name: Text = ""
    confidence: Share = 0.0
    is_by_person: bool = False


class Places(Struct, frozen=True, forbid_unknown_fields=True):
    """The places of all photos that were sorted.

    Args:
        run_id: The run whose model proposed the classes; empty when they were sorted by their looks.
        places: One for each sorted photo.
    """

    run_id: Text = ""
    places: tuple[Place, ...] = ()


@dataclass(frozen=True)
class Pile:
    """Photos of one proposal, the surest first.

    Args:
        kind: `"new"` holds photos that were not sorted yet, `"unsure"` those without a proposal.
        name: Of the class that is proposed, or the number of a pile by looks, from 1.
        images: At least one.
        places: Of each.
    """

    kind: PileKind
    name: str
    images: tuple[ImageRecord, ...]
    places: tuple[Place, ...]

    @property
    def key(self) -> str:
        """Names it among the piles of a dataset."""
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Unlabelled:
    """The photos that wait beside a dataset.

    Args:
        photos: All that wait; their label means nothing.
        piles: Each photo is in one of them. Those of classes begin with the surest; photos without a proposal are last.
        run_id: The run whose model proposed the classes; empty when they were sorted by their looks, or not yet.
    """

    photos: ImageDataset
    piles: tuple[Pile, ...]
    run_id: str


_PLACES = FactsFile("piles.json", Places)


def add_unlabelled(
    dataset: ImageDataset, files: Iterable[ImportedFile], progress: OnProgress | None = None
) -> ImageDataset:
    """Add photos to those that wait beside a dataset. Photos that are in the dataset already are left out.

    Args:
        dataset: A new one is saved, without photos.
        files: Their folders mean nothing.
        progress: Called with the number of files done and their number in all.

    Returns:
        The saved dataset.

    Raises:
        IngestError: If not a single file could be used. Nothing is left of a new dataset then.
        WorkspaceError: If writing fails.
    """
    saved = dataset if dataset.version else dataset.save()
    try:
        with _changing(saved):
            _add(saved, files, progress)
    except BaseException:
        if not dataset.version:
            with suppress(OSError):
                remove(saved.folder)
        raise
    return saved


def _add(dataset: ImageDataset, files: Iterable[ImportedFile], progress: OnProgress | None) -> None:
    before = _photos(dataset) or create_dataset(_workspace(dataset), dataset.name)
    # Accepted, they must be as bright as the photos that they join.
    ranges = joined_ranges(dataset.grey_ranges, before.grey_ranges)
    before = replace(before, grey_ranges=ranges)
    after = collect_files(before, files, class_name=_NO_LABEL, progress=progress)
    num_added = len(after.images) - len(before.images)
    if not num_added:
        raise IngestError(_none_added(after.left_out[len(before.left_out) :]))
    known = [image for image in after.images if dataset.find(image.id)]
    noticed = (
        LeftOut(image.name, stored(_why_known(dataset, image)), "duplicate", image.id) for image in known
    )
    after = replace(after, left_out=tuple(dict.fromkeys((*after.left_out, *noticed)))).save()
    _drop(dataset, after, {image.id for image in known})
    if len(known) == num_added:
        raise IngestError(_("All of these photos are already in your classes, so nothing was added."))


def _none_added(left_out: Sequence[LeftOut]) -> str:
    unusable = [file for file in left_out if file.kind not in ("system", "again", "duplicate")]
    if unusable:
        return none_usable(unusable)
    return _("There are no new photos in it, so nothing was added.")


def has_unlabelled(dataset: ImageDataset) -> bool:
    """Return whether photos without labels wait beside a dataset."""
    return (dataset.folder / UNLABELLED_DIR).is_dir() and bool(_workspace(dataset).dataset_ids())


def unlabelled_of(dataset: ImageDataset) -> Unlabelled | None:
    """Return the photos that wait beside a dataset in their piles, or None.

    Raises:
        WorkspaceError: If their file is damaged.
    """
    photos = _photos(dataset)
    if photos is None:
        return None
    # A process that was killed while it accepted photos has left copies here.
    waiting = [image for image in photos.images if not dataset.find(image.id)]
    places = _places(dataset)
    return Unlabelled(photos, _piles(waiting, places.places), places.run_id) if waiting else None


def propose_classes(
    dataset: ImageDataset, run_id: str, predictor: Predictor, on_progress: OnProgress | None = None
) -> None:
    """Sort the photos that wait into a pile for each class that a model predicts.

    Args:
        dataset: The dataset that they wait beside.
        run_id: Of the model.
        predictor: The model.
        on_progress: Called with the number of photos done and their number in all. It may raise an error to end the
            work.

    Raises:
        NotFoundError: If no photos wait.
        WorkspaceError: If writing fails.
    """
    images = _to_sort(dataset)
    folder = _some_photos(dataset).folder / IMAGES_FOLDER
    files = [file_at(folder, (f"{image.id}.jpg",)) for image in images]
    answers = answer_files(predictor, files, on_progress)
    _sort(dataset, run_id, [_proposed(images[answer.position], answer.prediction) for answer in answers])


def sort_by_looks(
    dataset: ImageDataset,
    backbone: Backbone,
    cache_dir: Path,
    num_piles: int | None = None,
    *,
    on_progress: Callable[[int], None] = lambda num_done: None,
    should_stop: ShouldStop = lambda: False,
) -> None:
    """Sort the photos that wait into piles of photos that look alike.

    Args:
        dataset: The dataset that they wait beside.
        backbone: Feature extractor.
        cache_dir: Where features are kept.
        num_piles: 1-30; chosen by the photos if not given.
        on_progress: Called with the number of photos whose features are ready.
        should_stop: Called at each batch of photos.

    Raises:
        FeaturesStoppedError: If `should_stop` said so.
        NotFoundError: If no photos wait.
        WeightsError: If the weights of the backbone are missing or damaged.
        WorkspaceError: If writing fails.
    """
    wanted = {image.id for image in _to_sort(dataset)}

    def sort(photos: ImageDataset) -> list[Place]:
        rows = [row for row, image in enumerate(photos.images) if image.id in wanted]
        if not rows:
            return []
        features = pooled_features(
            photos, backbone, cache_dir, on_progress=on_progress, should_stop=should_stop
        )
        found = cluster(features[rows], num_piles)
        return [
            Place(photos.images[row].id, "looks", str(label + 1), float(silhouette))
            for row, label, silhouette in zip(rows, found.labels, found.silhouettes, strict=True)
            if silhouette >= 0
        ]

    placed = {place.image_id: place for place in use_readable(_some_photos(dataset), sort)}
    # Nearer to another pile than to its own, or damaged.
    _sort(dataset, "", [placed.get(image_id, Place(image_id, "unsure")) for image_id in wanted])


def move(dataset: ImageDataset, ids: Collection[str], class_name: str) -> None:
    """Put some of the photos that wait into the pile of a class. They still wait.

    Raises:
        InvalidConfigError: If the class has no name.
        WorkspaceError: If writing fails.
    """
    name = class_called(class_name)
    with _changing(dataset):
        moved = [
            Place(image.id, "class", name, 1.0, is_by_person=True)
            for image in _some_photos(dataset).images
            if image.id in ids
        ]
        places = _places(dataset)
        kept = [place for place in places.places if place.image_id not in ids]
        _PLACES.write(_folder(dataset), replace(places, places=(*moved, *kept)))


def accept(dataset: ImageDataset, ids: Collection[str], class_name: str) -> ImageDataset:
    """Add some of the photos that wait to the dataset.

    Args:
        dataset: In its latest version.
        ids: Of the photos.
        class_name: Their label.

    Returns:
        The saved dataset with the photos.

    Raises:
        IngestError: If none of them could be added.
        InvalidConfigError: If the class has no name.
        WorkspaceError: If writing fails, or another window has just changed the dataset.
    """
    name = class_called(class_name)
    with _changing(dataset):
        photos = _some_photos(dataset)
        after = take_over(dataset, photos, {image.id: name for image in photos.images if image.id in ids})
        if len(after.images) == len(dataset.images):
            raise IngestError(_("These photos were deleted, so none was added."))
        after = after.save()
        _drop(dataset, photos, ids)
    return after


def take_back(dataset: ImageDataset, ids: Collection[str]) -> ImageDataset:
    """Undo `accept`: the photos leave the dataset and wait again, in the piles of their classes.

    Args:
        dataset: In its latest version.
        ids: Of the photos.

    Returns:
        The saved dataset without the photos.

    Raises:
        WorkspaceError: If writing fails, or another window has just changed the dataset.
    """
    leaving = [image for image in dataset.images if image.id in ids]
    with _changing(dataset):
        photos = _photos(dataset) or create_dataset(_workspace(dataset), dataset.name)
        take_over(photos, dataset, {image.id: _NO_LABEL for image in leaving}).save()
        left = [image for image in dataset.images if image.id not in ids]
        after = dataset.with_images(left, dataset.left_out).save()
        _remove_files(dataset, ids)
        places = _places(dataset)
        back = [Place(image.id, "class", image.class_name, 1.0, is_by_person=True) for image in leaving]
        _PLACES.write(_folder(dataset), replace(places, places=(*back, *places.places)))
    return after


def throw_away(dataset: ImageDataset, ids: Collection[str]) -> None:
    """Delete some of the photos that wait, for good.

    Raises:
        WorkspaceError: If writing fails.
    """
    with _changing(dataset):
        _drop(dataset, _some_photos(dataset), ids)


def _changing(dataset: ImageDataset) -> AbstractContextManager[None]:
    return changing(_folder(dataset))


def _folder(dataset: ImageDataset) -> Path:
    return dataset.folder / UNLABELLED_DIR


def _workspace(dataset: ImageDataset) -> Workspace:
    return Workspace(_folder(dataset))


def _photos(dataset: ImageDataset) -> ImageDataset | None:
    if not has_unlabelled(dataset):
        return None
    workspace = _workspace(dataset)
    return ImageDataset.load(workspace, workspace.dataset_ids()[0])


def _some_photos(dataset: ImageDataset) -> ImageDataset:
    photos = _photos(dataset)
    if photos is None:
        raise NotFoundError(_("These photos were deleted. Load the page again."))
    return photos


def _places(dataset: ImageDataset) -> Places:
    # Without the file they only have to be sorted again.
    with suppress(WorkspaceError):
        if _PLACES.exists(_folder(dataset)):
            return _PLACES.read(_folder(dataset))
    return Places()


def _piles(images: Sequence[ImageRecord], places: Iterable[Place]) -> tuple[Pile, ...]:
    by_id = {place.image_id: place for place in places}
    piles: dict[tuple[PileKind, str], list[tuple[ImageRecord, Place]]] = defaultdict(list)
    for image in images:
        place = by_id.get(image.id, Place(image.id, "new"))
        piles[place.kind, place.name].append((image, place))
    found = []
    for (kind, name), entries in piles.items():
        entries.sort(key=lambda entry: -entry[1].confidence)
        found.append(Pile(kind, name, *map(tuple, zip(*entries, strict=True))))

    def rank(pile: Pile) -> tuple[int, float, str]:
        confidence = sum(place.confidence for place in pile.places) / len(pile.places)
        return _ORDER.index(pile.kind), 0 if pile.kind == "looks" else -confidence, pile.name.zfill(3)

    return tuple(sorted(found, key=rank))


def _to_sort(dataset: ImageDataset) -> list[ImageRecord]:
    """Return the photos that wait, without those that a person has put into a pile."""
    settled = {place.image_id for place in _places(dataset).places if place.is_by_person}
    return [image for image in _some_photos(dataset).images if image.id not in settled]


def _sort(dataset: ImageDataset, run_id: str, places: Sequence[Place]) -> None:
    """Write new places. Those that a person has chosen meanwhile count."""
    with _changing(dataset):
        waiting = _some_photos(dataset).by_id
        settled = [
            place for place in _places(dataset).places if place.is_by_person and place.image_id in waiting
        ]
        ids = {place.image_id for place in settled}
        new = [place for place in places if place.image_id in waiting and place.image_id not in ids]
        _PLACES.write(_folder(dataset), Places(run_id, (*settled, *new)))


def _proposed(image: ImageRecord, prediction: Prediction | None) -> Place:
    if prediction is None:
        return Place(image.id, "unsure")
    if not prediction.is_known or prediction.probability < _LEAST_PROBABILITY:
        return Place(image.id, "unsure", "", prediction.probability)
    return Place(image.id, "class", prediction.best_guess, prediction.probability)


def _drop(dataset: ImageDataset, photos: ImageDataset, ids: Collection[str]) -> None:
    """Delete some of the photos that wait, with their files; after the last one the whole folder."""
    left = [image for image in photos.images if image.id not in ids]
    if left:
        photos.with_images(left, photos.left_out).save()
        _remove_files(photos, ids)
        return
    try:
        remove(_folder(dataset))
    except OSError as error:
        raise WorkspaceError(
            _("The photos could not be deleted: {reason}. Close other programs, then try again.").format(
                reason=error.strerror or error
            )
        ) from error


def _remove_files(photos: ImageDataset, ids: Collection[str]) -> None:
    for image in photos.images:
        if image.id in ids:
            # A file that another program has open is only a leftover.
            with suppress(OSError):
                remove(photos.image_path(image))


def _why_known(dataset: ImageDataset, image: ImageRecord) -> str:
    known = dataset.by_id.get(image.id)
    if known is None:
        return _("you excluded this photo before")
    return _("the same photo is already in the class {class_name} ({name})").format(
        class_name=known.class_name, name=known.name
    )
