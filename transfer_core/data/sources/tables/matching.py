"""Find the photo that a cell of a table names: by its path, the end of it, or its name without the ending."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from transfer_core.data.sources.folder_names import split_named
from transfer_core.data.sources.imported_file import ImportedFile

if TYPE_CHECKING:
    from transfer_core.data.records import Split

_DRIVE = re.compile(r"[A-Za-z]:(?=/|[^/]*$)")
# Label Studio puts it before the name of each uploaded photo.
_UPLOAD_PREFIX = re.compile(r"[0-9a-f]{8}-")
_IMAGE_ENDING = re.compile(
    r"\.(jpe?g|jpe|jfif|png|gif|bmp|webp|tiff?|heic|heif|avif|ppm|pgm|pbm|pnm|jp2|dcm)$", re.IGNORECASE
)
# Files of one photo that are no photos: boxes, masks as polygons, notes.
_SIDECAR_ENDING = re.compile(r"\.(txt|xml|json|csv|tsv|yaml|yml|md|npy|mat|html?)$", re.IGNORECASE)
_MAX_CANDIDATES = 64


@dataclass(frozen=True)
class Place:
    """Where a table lies.

    Args:
        folder: Of the table; paths in it start there or at the top.
        split: That the folder or the name of the table states.
    """

    folder: tuple[str, ...]
    split: Split | None = None


@dataclass(frozen=True)
class Match:
    """The photo that a cell names.

    Args:
        file: Place of the photo in the list of files; -1 if several photos have this name.
        is_exact: Whether the cell gives the name with its ending.
    """

    file: int
    is_exact: bool


def path_parts(cell: str) -> tuple[str, ...]:
    """Return the folders and the name of a path, a Windows path, a URL or a path in a bucket.

    Args:
        cell: As it stands in the table.
    """
    path = cell.strip().replace("\\", "/")
    if "?d=" in path:
        path = unquote(path.rpartition("?d=")[2])
    elif "://" in path:
        try:
            path = unquote(urlsplit(path).path)
        except ValueError:
            path = path.partition("://")[2]
    path = _DRIVE.sub("", unicodedata.normalize("NFC", path), count=1)
    return tuple(part for part in path.split("/") if part not in ("", "."))


def is_image_name(cell: str) -> bool:
    """Return whether a cell ends like the name of an image."""
    return _IMAGE_ENDING.search(cell.strip()) is not None


def leads_out(cell: str, folder: Sequence[str]) -> bool:
    """Return whether a path is absolute, or leads out of what was added.

    Args:
        cell: As it stands in the table.
        folder: Of the table.
    """
    path = cell.strip().replace("\\", "/")
    is_absolute = path.startswith("/") or _DRIVE.match(path) is not None
    return is_absolute or "\0" in path or ".." in _resolved((*folder, *path_parts(cell)))


class PhotoFinder:
    """Find photos by the paths of a table.

    Args:
        files: All files but the tables; system files are never found.
    """

    def __init__(self, files: Sequence[ImportedFile]) -> None:
        self.files = files
        self._folded = [
            tuple(unicodedata.normalize("NFC", part).casefold() for part in file.parts) for file in files
        ]
        self._by_path: dict[tuple[str, ...], list[int]] = defaultdict(list)
        self._by_name: dict[str, list[int]] = defaultdict(list)
        self._by_stem: dict[str, list[int]] = defaultdict(list)
        for place, file in enumerate(files):
            if not file.is_system_file:
                self._add(place, self._folded[place])

    def _add(self, place: int, folded: tuple[str, ...]) -> None:
        self._by_path[folded].append(place)
        self._by_name[folded[-1]].append(place)
        stem, dot, _ending = folded[-1].rpartition(".")
        if dot and not _SIDECAR_ENDING.search(folded[-1]):
            self._by_stem[stem].append(place)

    @cached_property
    def _by_tail(self) -> dict[tuple[str, str], list[int]]:
        by_tail: dict[tuple[str, str], list[int]] = defaultdict(list)
        for place, folded in enumerate(self._folded):
            if len(folded) > 1:
                for name in {folded[-1], folded[-1].rpartition(".")[0]}:
                    by_tail[folded[-2], name].append(place)
        return by_tail

    def find(self, cell: str, place: Place, *, is_loose: bool = False) -> Match | None:
        """Return the photo that a cell names, or None.

        Args:
            cell: As it stands in the table.
            place: Of the table.
            is_loose: Also accept another folder, another ending, and a name without the prefix of Label Studio.
        """
        if not cell or len(cell) > 4096:
            return None
        parts = path_parts(cell)
        if not parts:
            return None
        match = self._find(parts, place, is_loose=is_loose)
        if match is None and "%" in cell:
            match = self._find(tuple(unquote(part) for part in parts), place, is_loose=is_loose)
        return match

    def _find(self, parts: tuple[str, ...], place: Place, *, is_loose: bool) -> Match | None:
        folded = tuple(part.casefold() for part in parts)
        folder = tuple(unicodedata.normalize("NFC", part).casefold() for part in place.folder)
        for path in (_resolved((*folder, *folded)), folded):
            if hits := self._by_path.get(path):
                return Match(self._one_of(hits, parts), True)
        # From the longest end of the path: the top of what was added may be any folder of it.
        for start in range(1, len(folded) - 1):
            if hits := self._by_path.get(folded[start:]):
                return Match(self._one_of(hits, parts), True)
        for name, is_exact in _names(folded[-1], is_loose=is_loose):
            by_name = self._by_name if is_exact else self._by_stem
            hits = by_name.get(name, [])
            if len(hits) > _MAX_CANDIDATES and len(folded) > 1:
                hits = self._by_tail.get((folded[-2], name), [])
            if len(hits) > _MAX_CANDIDATES:
                return Match(-1, is_exact)
            best = self._best(hits, (*folded[:-1], name), folder, place.split, is_loose=is_loose)
            if best:
                return Match(self._one_of(best, parts), is_exact)
        return None

    def _best(
        self,
        hits: Iterable[int],
        path: tuple[str, ...],
        folder: tuple[str, ...],
        split: Split | None,
        *,
        is_loose: bool,
    ) -> list[int]:
        """Return the files whose folders fit those of a path best."""
        wanted = tuple(part for part in path[:-1] if part != "..")
        best: list[int] = []
        best_fit: tuple[bool, int, bool] | None = None
        for hit in hits:
            folders = self._folded[hit][:-1]
            common = _num_common(folders, wanted)
            is_end = common == min(len(folders), len(wanted))
            if not is_end and (not is_loose or _other_split(folders, wanted)):
                continue
            is_in_split = split is not None and any(split_named(part) == split for part in folders)
            fit = (folders[: len(folder)] == folder, common, is_in_split)
            if best_fit is None or fit > best_fit:
                best, best_fit = [hit], fit
            elif fit == best_fit:
                best.append(hit)
        return best

    def _one_of(self, hits: list[int], parts: tuple[str, ...]) -> int:
        """Return the only file, or the one of several that is written in the same case; -1 if there is none."""
        if len(hits) == 1:
            return hits[0]
        same = [hit for hit in hits if unicodedata.normalize("NFC", self.files[hit].parts[-1]) == parts[-1]]
        whole = [hit for hit in same if self.files[hit].parts[-len(parts) :] == parts]
        return next((found[0] for found in (same, whole) if len(found) == 1), -1)

    def moved_folders(self, cells: Sequence[str], found: Sequence[Match | None]) -> list[Match | None]:
        """Return only those loose matches where each folder of the table became one folder of the photos.

        Otherwise `cat/1.jpg`, which is missing, would give its label to `dog/1.jpg`.

        Args:
            cells: Paths of the table.
            found: The match of each.
        """
        pairs: list[tuple[tuple[str, ...], tuple[str, ...]] | None] = []
        there: dict[tuple[str, ...], set[tuple[str, ...]]] = defaultdict(set)
        back: dict[tuple[str, ...], set[tuple[str, ...]]] = defaultdict(set)
        for cell, match in zip(cells, found, strict=True):
            pair = None
            if match and match.file >= 0:
                before, after = path_parts(cell)[:-1], self.files[match.file].parts[:-1]
                common = _num_common(before, after)
                pair = before[: len(before) - common], after[: len(after) - common]
                there[pair[0]].add(pair[1])
                back[pair[1]].add(pair[0])
            pairs.append(pair)
        return [
            match if pair is None or (len(there[pair[0]]) == 1 and len(back[pair[1]]) == 1) else None
            for match, pair in zip(found, pairs, strict=True)
        ]


def _names(name: str, *, is_loose: bool) -> list[tuple[str, bool]]:
    """Return spellings of a name, and whether each has its ending."""
    names = [(name, True), (name, False)]
    if not is_loose:
        return names
    spellings = {name, _UPLOAD_PREFIX.sub("", name, count=1)}
    for spelling in sorted(spellings, reverse=True):
        without = _IMAGE_ENDING.sub("", spelling)
        names += [(spelling, True), (without, False)]
    return names


def _resolved(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Return a path with `..` carried out; one that leads out of the top keeps it, and so names no file."""
    path: list[str] = []
    for part in parts:
        if part == ".." and path and path[-1] != "..":
            path.pop()
        else:
            path.append(part)
    return tuple(path)


def _num_common(first: Sequence[str], second: Sequence[str]) -> int:
    """Return how many folders two paths share at their end."""
    common = 0
    for one, other in zip(reversed(first), reversed(second), strict=False):
        if one.casefold() != other.casefold():
            break
        common += 1
    return common


def _other_split(folders: Sequence[str], wanted: Sequence[str]) -> bool:
    """Return whether two paths name different parts of a split."""
    first, second = ({split for part in path if (split := split_named(part))} for path in (folders, wanted))
    return first != second and bool(first) and bool(second)
