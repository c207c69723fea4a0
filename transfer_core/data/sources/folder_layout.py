"""The classes that folders give, found by the structure of the folders rather than by their names."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

from transfer_core.data.sources.folder_names import (
    folded,
    is_dated,
    is_number,
    is_photo_folder,
    is_session,
    split_named,
    splits_named,
)
from transfer_core.data.sources.imported_file import ImportedFile, clean_name, refused_file
from transfer_core.data.sources.layout_choice import (
    Ambiguity,
    LayoutChoice,
    LayoutQuestion,
    LayoutQuestionError,
)
from transfer_core.data.sources.name_labels import labels_in_names
from transfer_core.data.sources.tables.matching import is_image_name
from transfer_core.errors import IngestError, UnreadableImageError
from transfer_core.language import _, names_list

if TYPE_CHECKING:
    from transfer_core.data.records import LabelsFrom, Split

_MIN_SHARED_FOLDERS = 0.5
_MIN_SHARED_NAMES = 0.8
_MIN_CORRELATION = 0.4
_NUM_SAMPLES = 4

Path = tuple[str, ...]


@dataclass(frozen=True)
class FolderReading:
    """The classes that folders or file names give.

    Args:
        files: With their label, split and series. Files without a class are refused, or have an empty label.
        labels_from: Where the classes were found.
        folders: The folders that were put together, or the only one that counts.
        subfolders: Folders below the classes, which could be the classes instead.
    """

    files: list[ImportedFile]
    labels_from: LabelsFrom = "folders"
    folders: tuple[str, ...] = ()
    subfolders: tuple[str, ...] = ()

    @property
    def class_names(self) -> list[str]:
        """The classes that were found, sorted."""
        photos = (file for file in self.files if not file.is_refused and file.may_be_photo)
        return sorted({photo.class_name for photo in photos if photo.class_name})


class _Label(NamedTuple):
    """The label of one file, or the reason why it has none."""

    name: str = ""
    split: Split | None = None
    series: str = ""
    reason: str = ""


_LabelOf = Callable[[Path], _Label]


def read_folders(files: Sequence[ImportedFile], choice: LayoutChoice | None = None) -> FolderReading:
    """Return the classes that the folders of some files give.

    Args:
        files: Without system files, and without files that have a label already.
        choice: The meaning that a person chose; none of `"table"`.

    Raises:
        LayoutQuestionError: If the folders have two meanings and there is no choice.
        IngestError: If the choice does not fit the folders.
    """
    return _Folders(files).read(choice)


class _Folders:
    """Folders below the single outer folders that lie around all photos."""

    def __init__(self, files: Sequence[ImportedFile]) -> None:
        self._files = files
        photos = _photos_in(files)
        self._outer = outer_folders([file.parts for file in photos])
        self._inner: dict[str, Path] = {}
        below = _by_top(self._placed(photos))
        class_names = {name for top, inside in below.items() for name in _classes_in(top, inside)}
        self._inner = {top: _inner_folders(top, inside, class_names) for top, inside in below.items()}
        self._photos = self._placed(photos)
        self._below = _by_top(self._photos)

    def _place(self, file: ImportedFile) -> Path:
        """Return folders and name of a file without the single folders around all photos, and within a top folder."""
        depth = len(self._outer)
        place = file.parts[depth:]
        if file.parts[:depth] != self._outer or not place:
            return ()
        inner = self._inner.get(place[0], ())
        return (place[0], *place[1 + len(inner) :]) if place[1 : 1 + len(inner)] == inner else place

    def _placed(self, files: Iterable[ImportedFile]) -> list[ImportedFile]:
        return [replace(file, parts=place) for file in files if (place := self._place(file))]

    def read(self, choice: LayoutChoice | None) -> FolderReading:
        match choice.layout if choice else None:
            case "classes":
                return self._classes()
            case "split":
                return self._split(_with_largest_training(self._below))
            case "together":
                return self._together()
            case "subfolders":
                return self._subfolders()
            case "folder":
                return self._only(choice.folder if choice else "")
            case "names":
                return self._names()
        return self._most_likely()

    def _most_likely(self) -> FolderReading:
        tops = list(self._below)
        subfolders = {top: _subfolders(photos) for top, photos in self._below.items()}
        parts = splits_named(tops)
        nested = [top for top in tops if subfolders[top]]
        if not tops or (len(tops) == 1 and not nested):
            return self._flat()
        if any(subfolders[top] for top in parts):
            others = [top for top in tops if top not in parts]
            if len(others) >= len(parts):
                raise self._question(
                    "split_or_classes", tops, [LayoutChoice("split"), LayoutChoice("classes")]
                )
            return self._split(parts)
        if len(parts) == len(tops) or any(is_photo_folder(top) for top in tops if top not in nested):
            return self._flat_parts()
        if copies := [top for top in nested if _repeats(subfolders[top], {*tops} - {top})]:
            return self._with_copies(copies)
        if nested and all(map(self._is_split, nested)) and not any(map(self._holds_split, nested)):
            return self._split_below()
        if self._share_folders(subfolders):
            raise self._same_folders(nested)
        if any(map(self._holds_split, nested)) or self._is_only_one_nested(nested):
            choices = [LayoutChoice("classes"), *(LayoutChoice("folder", top) for top in nested)]
            raise self._question("subfolders", tops, choices)
        return self._classes()

    def _is_split(self, top: str) -> bool:
        """Return whether all folders in a top folder are parts of a split."""
        names = _subfolders(self._below[top])
        return bool(names) and splits_named(names).keys() == names

    def _holds_split(self, top: str) -> bool:
        """Return whether a top folder is a dataset of its own: parts of a split with class folders in them."""
        deeper = {photo.parts[2] for photo in self._below[top] if len(photo.parts) > 3}
        return self._is_split(top) and bool(deeper) and not _are_sessions(deeper)

    def _is_only_one_nested(self, nested: Sequence[str]) -> bool:
        """Return whether the photos of all top folders but one lie directly in them."""
        if len(nested) != 1 or len(self._below) < 2:
            return False
        names = _subfolders(self._below[nested[0]])
        return len(names) > 1 and not _are_sessions(names)

    def _with_copies(self, copies: Sequence[str]) -> FolderReading:
        """Read class folders beside a folder that holds further folders of the same names."""

        def label_of(place: Path) -> _Label:
            if place[0] not in copies:
                return _Label(place[0])
            return _Label(place[1] if len(place) > 2 else "")

        return replace(self._labelled(label_of), folders=tuple(map(clean_name, self._below)))

    def _share_folders(self, subfolders: Mapping[str, set[str]]) -> bool:
        """Return whether several top folders have the same subfolders, other than sessions."""
        of_nested = [{folded(name) for name in names} for names in subfolders.values() if names]
        if len(of_nested) < 2:
            return False
        shared, together = set.intersection(*of_nested), set.union(*of_nested)
        if len(shared) < max(_MIN_SHARED_FOLDERS * len(together), 1):
            return False
        return not all(is_session(name) or is_photo_folder(name) for name in shared) or all(
            is_number(name) for name in together
        )

    def _same_folders(self, tops: list[str]) -> LayoutQuestionError:
        folders = [LayoutChoice("folder", top) for top in tops]
        # Nothing in their names speaks for a split, and together no photo is kept from training for it.
        layouts = [LayoutChoice(layout) for layout in ("together", "split", "classes")]
        match self._are_versions(tops):
            case True:
                return self._question("versions", tops, [*folders, layouts[0], layouts[-1]])
            case False:
                return self._question("same_folders", tops, layouts)
            case None:
                return self._question("same_folders", tops, [*layouts[:-1], *folders, layouts[-1]])

    def _are_versions(self, tops: list[str]) -> bool | None:
        """Return whether top folders hold the same photos in several versions: same names, similar content.

        None means that the names are the same, and that the content has not arrived yet.
        """
        by_name = [{_inner_name(photo): photo for photo in self._below[top]} for top in tops]
        shared = set.intersection(*(set(names) for names in by_name))
        if len(shared) < _MIN_SHARED_NAMES * max(map(len, by_name)):
            return False
        names = sorted(shared)[:: max(len(shared) // _NUM_SAMPLES, 1)][:_NUM_SAMPLES]
        pairs = [(by_name[0][name], other[name]) for other in by_name[1:] for name in names]
        found = [value for one, other in pairs if (value := _correlation(one, other)) is not None]
        return sum(found) / len(found) >= _MIN_CORRELATION if found else None

    def _classes(self) -> FolderReading:
        subfolders = {top: _subfolders(photos) for top, photos in self._below.items()}
        sessions = {top for top, names in subfolders.items() if _are_sessions(names)}
        reading = self._labelled(self._class_of_top(sessions))
        distinct = {
            name
            for top, names in subfolders.items()
            if top not in sessions
            for name in names
            if len(names) > 1
        }
        return replace(reading, subfolders=tuple(sorted(map(clean_name, distinct))))

    def _class_of_top(self, sessions: Iterable[str] = ()) -> _LabelOf:
        of_sessions = set(sessions)

        def label_of(place: Path) -> _Label:
            series = _series(place[:2]) if place[0] in of_sessions and len(place) > 2 else ""
            return _Label(place[0], series=series)

        return label_of

    def _split(self, parts: Mapping[str, Split]) -> FolderReading:
        def label_of(place: Path) -> _Label:
            top, rest = place[0], place[1:]
            if top not in parts:
                return _Label(reason=_("it lies beside {folders}").format(folders=_and(parts)))
            if len(rest) < 2:
                return _Label(reason=_("it lies in {folder} without a class folder").format(folder=top))
            return _Label(rest[0], parts[top])

        return self._labelled(label_of)

    def _split_below(self) -> FolderReading:
        """Read class folders with a part of the split in each: `cat/train`, `cat/test`."""

        def label_of(place: Path) -> _Label:
            return _Label(
                place[0], splits_named(names.get(place[0], ())).get(place[1]) if len(place) > 2 else None
            )

        names = {top: _subfolders(photos) for top, photos in self._below.items()}
        return self._labelled(label_of)

    def _together(self) -> FolderReading:
        are_versions = self._are_versions(list(self._below)) is not False

        def label_of(place: Path) -> _Label:
            if len(place) < 3:
                return _Label()
            name = _inner_name(ImportedFile(place, bytes))
            return _Label(place[1], series=_series(("versions", *name)) if are_versions else "")

        return replace(self._labelled(label_of), folders=tuple(map(clean_name, self._below)))

    def _subfolders(self) -> FolderReading:
        tops_with = Counter(name for photos in self._below.values() for name in _subfolders(photos))

        def label_of(place: Path) -> _Label:
            if len(place) < 3:
                return _Label()
            return _Label(place[1] if tops_with[place[1]] == 1 else f"{place[0]} {place[1]}")

        return replace(self._labelled(label_of), labels_from="subfolders")

    def _only(self, folder: str) -> FolderReading:
        chosen = next((top for top in self._below if folder in (top, clean_name(top))), None)
        if chosen is None:
            raise IngestError(
                _("There is no folder called {folder}. The folders are: {names}.").format(
                    folder=folder, names=_and(self._below)
                )
            )

        inside = [file for file in self._files if self._place(file)[:1] == (chosen,)]
        try:
            reading = _Folders(inside).read(None)
        except LayoutQuestionError:
            reading = _Folders(inside).read(LayoutChoice("classes"))
        known = set(map(id, inside))
        reason = _("it lies outside the folder {folder}").format(folder=chosen)
        outside = [_with_label(file, _Label(reason=reason)) for file in self._files if id(file) not in known]
        return replace(reading, files=[*reading.files, *outside], folders=(clean_name(chosen),))

    def _flat(self) -> FolderReading:
        """Read photos that lie in one folder: of one class if the folder has a name that says more than `images`."""
        is_class = any(not is_photo_folder(top) and not splits_named([top]) for top in self._below)
        if labels_in_names([photo.parts[-1] for photo in self._photos]):
            choices = [LayoutChoice("names"), *([LayoutChoice("classes")] if is_class else [])]
            raise self._question("names", [], choices)
        return self._labelled(self._class_of_top() if is_class else lambda place: _Label())

    def _flat_parts(self) -> FolderReading:
        """Ask about photos that lie directly in `train` and `test`: classes, or a split without class folders."""
        has_labels = labels_in_names([photo.parts[-1] for photo in self._photos]) is not None
        choices = [LayoutChoice("names")] if has_labels else []
        raise self._question("flat_parts", list(self._below), [*choices, LayoutChoice("classes")])

    def _names(self) -> FolderReading:
        labels = labels_in_names([photo.parts[-1] for photo in self._photos])
        if labels is None:
            raise IngestError(
                _("The names of these photos hold no classes. Expected were names such as cat_1.jpg.")
            )
        parts = splits_named(self._below)
        label_of_place = {
            photo.parts: _Label(label, parts.get(photo.parts[0]) if len(photo.parts) > 1 else None)
            for photo, label in zip(self._photos, labels, strict=True)
        }
        reading = self._labelled(lambda place: label_of_place.get(place, _Label()), for_flat=True)
        return replace(reading, labels_from="names")

    def _labelled(self, label_of: _LabelOf, *, for_flat: bool = False) -> FolderReading:
        files = []
        for file in self._files:
            place = self._place(file)
            label = label_of(place) if len(place) > (0 if for_flat else 1) else _Label()
            files.append(_with_label(file, label))
        return FolderReading(files)

    def _question(
        self,
        kind: Ambiguity,
        tops: list[str],
        choices: Sequence[LayoutChoice],
    ) -> LayoutQuestionError:
        likeliest = self.read(choices[0])
        by_folder = {clean_name(top): _samples(self._below[top]) for top in tops}
        if not tops:
            by_class: dict[str, list[ImportedFile]] = defaultdict(list)
            for file in likeliest.files:
                if file.class_name:
                    by_class[file.class_name].append(file)
            by_folder = {name: _samples(files) for name, files in by_class.items()}
        return LayoutQuestionError(
            LayoutQuestion(
                kind,
                tuple(map(clean_name, tops)),
                tuple(likeliest.class_names),
                tuple(choices),
                samples=by_folder,
                parts={clean_name(top): split for top, split in _with_largest_training(self._below).items()}
                if any(choice.layout == "split" for choice in choices)
                else {},
            )
        )


def outer_folders(paths: Sequence[Path], class_names: Iterable[str] = ()) -> Path:
    """Return the single folders, one within the other, that lie around all class folders.

    A folder that names a part of a split is none of them, nor is a class folder with photos or sessions in it.

    Args:
        paths: Folders and name of each photo.
        class_names: Names of folders that are known to be classes.
    """
    known = set(class_names)
    outer: Path = ()
    while True:
        below = [path[len(outer) :] for path in paths if path[: len(outer)] == outer]
        tops = {path[0] for path in below if len(path) > 1}
        has_own_photos = any(len(path) == 1 for path in below)
        if len(tops) != 1:
            return outer
        top = tops.pop()
        subfolders = {path[1] for path in below if len(path) > 2}
        is_class = top in known or not subfolders or (has_own_photos and len(subfolders) == 1)
        are_parts = bool(splits_named(subfolders))
        if is_class or (splits_named([top]) and not known and not are_parts) or _are_dates(subfolders):
            return outer
        outer = (*outer, top)


def _are_dates(names: set[str]) -> bool:
    return all(map(is_dated, names))


def _photos_in(files: Sequence[ImportedFile]) -> list[ImportedFile]:
    """Return the files that are photos by their names; those without an ending only where no photo has one."""
    photos = [file for file in files if is_image_name(file.parts[-1])]
    return photos or [file for file in files if file.may_be_photo] or list(files)


def _by_top(photos: Iterable[ImportedFile]) -> dict[str, list[ImportedFile]]:
    below: dict[str, list[ImportedFile]] = defaultdict(list)
    for photo in sorted(photos, key=lambda photo: photo.parts):
        if len(photo.parts) > 1:
            below[photo.parts[0]].append(photo)
    return below


def _classes_in(top: str, photos: Iterable[ImportedFile]) -> set[str]:
    """Return the names of the class folders in a top folder, below single folders around them."""
    places = [photo.parts[1:] for photo in photos]
    depth = len(outer_folders(places, {""}))
    names = {place[depth] for place in places if len(place) > depth + 1}
    return set() if len(names) == 1 and _says_nothing(next(iter(names)), top) else names


def _inner_folders(top: str, photos: Iterable[ImportedFile], class_names: set[str]) -> Path:
    """Return the single folders in a top folder, one within the other, around its class folders or photos."""
    places = [photo.parts[1:] for photo in photos]
    inner = outer_folders(places, class_names or {""})
    folders = {place[len(inner)] if len(place) > len(inner) + 1 else "" for place in places}
    if len(folders) == 1 and _says_nothing(next(iter(folders)), top) and not folders & class_names:
        return (*inner, *folders)
    return inner


def _says_nothing(name: str, top: str) -> bool:
    """Return whether a single folder in a top folder is no class: `val/images`, `test/test`."""
    return is_photo_folder(name) or folded(name) == folded(top) or split_named(name) is not None


def _repeats(names: set[str], tops: set[str]) -> bool:
    """Return whether at least two folders, and most of them, have the names of other top folders."""
    shared = set(map(folded, names)) & set(map(folded, tops))
    return len(shared) >= max(2, _MIN_SHARED_FOLDERS * len(names))


def _subfolders(photos: Iterable[ImportedFile]) -> set[str]:
    return {photo.parts[1] for photo in photos if len(photo.parts) > 2}


def _are_sessions(names: set[str]) -> bool:
    """Return whether the subfolders of a class are sessions by their names. One alone could not be split."""
    return len(names) > 1 and all(map(is_session, names))


def _with_largest_training(below: Mapping[str, Sequence[ImportedFile]]) -> dict[str, Split]:
    """Return the part of each folder. Of unknown names the largest is for training, the others are for testing."""
    parts = splits_named(below)
    unknown = sorted((top for top in below if top not in parts), key=lambda top: -len(below[top]))
    for top in unknown:
        parts[top] = "test" if "train" in parts.values() else "train"
    return parts


def _inner_name(photo: ImportedFile) -> Path:
    """Return class folder and name of a photo without the ending, which versions of a photo share."""
    return (*(folded(part) for part in photo.parts[1:-1]), PurePath(photo.parts[-1]).stem.casefold())


def _correlation(one: ImportedFile, other: ImportedFile) -> float | None:
    """Return how similar the greys of two photos are, -1 to 1; None if one of them cannot be read."""
    import numpy as np

    from transfer_core.data.images.decoding import decode_image

    try:
        greys = [
            np.asarray(decode_image(file.read()).convert("L").resize((16, 16)), dtype=float).ravel()
            for file in (one, other)
        ]
    except UnreadableImageError:
        return None
    if min(grey.std() for grey in greys) < 1:
        return None
    return float(np.corrcoef(greys[0], greys[1])[0, 1])


def _samples(files: Sequence[ImportedFile]) -> list[ImportedFile]:
    return list(files[:: max(len(files) // _NUM_SAMPLES, 1)][:_NUM_SAMPLES])


def _series(path: Path) -> str:
    """Return the id of the series of all photos in a folder. Folder names are not stored as they came."""
    return hashlib.sha256("/".join(map(folded, path)).encode()).hexdigest()[:32]


def _with_label(file: ImportedFile, label: _Label) -> ImportedFile:
    if clean_name(label.name):
        return replace(file, label=label.name, split=label.split, series=label.series)
    if not file.may_be_photo:
        return refused_file("/".join(file.parts), _("it is not a photo"), "not_an_image")
    if label.reason:
        return refused_file("/".join(file.parts), label.reason, "no_class")
    return replace(file, label="")


def _and(names: Iterable[str]) -> str:
    return names_list(map(clean_name, names))
