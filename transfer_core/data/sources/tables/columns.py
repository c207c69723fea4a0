"""Find the columns of a table by their content: the path, the class, the split, and the series of a photo."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from transfer_core.data.sources.folder_names import split_named
from transfer_core.data.sources.tables.grid import SEVERAL, Grid, TableError
from transfer_core.data.sources.tables.matching import is_image_name

if TYPE_CHECKING:
    from transfer_core.data.records import Split


def _words(text: str) -> frozenset[str]:
    return frozenset(word.strip() for word in text.split(","))


PATH_WORDS = _words(
    "path, file, files, filename, file name, filepath, filepaths, file path, image, images, image path, "
    "image name, image id, imageid, image file, img, img path, img name, name, id, photo, picture, uri, "
    "url, image url, gcs uri, imagegcsuri, 文件, 文件名, 图片, 图像, 路径, 檔名, 圖片, 路徑, ファイル, "
    "ファイル名, 画像, パス, 파일, 이미지, 경로, archivo, imagen, ruta, foto, fichier, chemin, datei, "
    "dateiname, bild, pfad, arquivo, imagem, caminho, файл, путь, изображение, фото"
)
LABEL_WORDS = _words(
    "label, labels, class, classes, category, categories, target, targets, breed, species, dx, "
    "diagnosis, choice, choices, class name, classname, category name, label name, class label, "
    "displayname, display name, tag, tags, ground truth, groundtruth, gt, disease, variety, cultivar, "
    "emotion, finding labels, annotation, annotations, 标签, 类别, 分类, 类, 种类, 品种, 物种, 標籤, 類別, 分類, 種類, "
    "品種, 物種, ラベル, クラス, カテゴリ, カテゴリー, 種, 라벨, 레이블, 클래스, 분류, 종류, etiqueta, "
    "clase, categoría, categoria, especie, raza, diagnóstico, étiquette, etiquette, classe, catégorie, "
    "categorie, espèce, espece, race, klasse, kategorie, art, rasse, sorte, etikett, bezeichnung, "
    "diagnose, rótulo, rotulo, espécie, raça, raca, etichetta, specie, класс, метка, категория, вид, "
    "порода"
)
# Numbers beside a name; they count where no column of names is there.
_NUMBER_WORDS = _words(
    "class id, classid, class index, class idx, class number, category id, label id, label index, "
    "label idx, target id"
)
_SPLIT_WORDS = _words(
    "split, splits, set, subset, partition, data set, dataset, data split, ml use, phase, usage, "
    "fold name, 划分, 数据集, 集合, 劃分, 数据划分, 分割, データセット, conjunto, división, division, "
    "partición, partição, ensemble, aufteilung, datensatz, teil, выборка, набор, 분할"
)
# A column of this name that holds no known word still names a split.
_SURE_SPLIT_WORDS = _words(
    "split, splits, partition, data split, ml use, 划分, 分割, aufteilung, partición, partição"
)
_SERIES_WORDS = _words(
    "patient id, patientid, patient, lesion id, lesionid, subject id, subject, series, series id"
)
# Words whose meaning in a table differs from that of a folder.
_SPLIT_OF_WORD: dict[str, Split] = {"tr": "train", "eval": "validation", "evaluation": "validation"}
# Left to the program that reads the table.
_NO_SPLIT = _words("unassigned, none, auto, nan, -, n/a")
_NO_CLASS = frozenset({"", "nan", "null", "<na>", "#n/a"})
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_WHOLE = re.compile(r"\d{1,9}(\.0+)?")
_DATE = re.compile(r"\d{4}-\d\d?-\d\d?([T ].*)?|\d\d?[./]\d\d?[./]\d{2,4}( .*)?")
_ZERO_DECIMALS = re.compile(r"(?<=\d)\.0+$")
_SEPARATORS = re.compile(r"[\s_\-]+")
_ONES, _ZEROS = frozenset({"1", "1.0", "true", "yes", "x"}), frozenset({"0", "0.0", "false", "no", ""})


@dataclass(frozen=True)
class LabelColumns:
    """The column that holds the class, or the columns of a one-hot table.

    Args:
        places: Of the columns, from 0; several are one-hot.
        name: For messages.
        others: Names of columns that could as well hold the class.
        is_certain: Whether its header names a class, or no other column is there; otherwise its content only repeats.
    """

    places: tuple[int, ...]
    name: str
    others: tuple[str, ...] = ()
    is_certain: bool = True


def column_name(headers: Sequence[str], place: int) -> str:
    """Return the header of a column, or `column 2` where it has none.

    Args:
        headers: Of all columns.
        place: From 0.
    """
    return headers[place] if place < len(headers) and headers[place] else f"column {place + 1}"


def has_word(header: str, words: Collection[str]) -> bool:
    """Return whether a header, or the last part of one such as `data.image`, is one of these words."""
    plain = header.strip().casefold()
    if plain.startswith("prediction"):
        return False
    ends = (plain, plain.rpartition(".")[2], plain.rpartition("/")[2])
    return any(_SEPARATORS.sub(" ", end) in words for end in ends)


@lru_cache(maxsize=1024)
def split_of(word: str) -> Split | None:
    """Return the split that a word of a table names, in any case and language that is known, or None."""
    plain = _SEPARATORS.sub(" ", word.strip().casefold())
    return _SPLIT_OF_WORD.get(plain.removesuffix(" set").removesuffix(" data")) or split_named(word)


def is_unassigned(word: str) -> bool:
    """Return whether a cell of a split column leaves the split open."""
    return not word or word.casefold() in _NO_SPLIT


def is_no_class(cell: str) -> bool:
    """Return whether a cell holds no class."""
    return cell.casefold() in _NO_CLASS


def is_number(cell: str) -> bool:
    """Return whether a cell is a whole number from 0, as the number of a class is."""
    return _WHOLE.fullmatch(cell) is not None


def looks_like_headers(row: Sequence[str]) -> bool:
    """Return whether the first row holds headers rather than a photo."""
    known = PATH_WORDS | LABEL_WORDS | _NUMBER_WORDS | _SPLIT_WORDS
    return not any(is_image_name(cell) for cell in row) and any(
        has_word(cell, known) for cell in row if not split_of(cell)
    )


def split_column(grid: Grid, headers: Sequence[str], path: int) -> int | None:
    """Return the column that names a part of the split for each photo, or None.

    Args:
        grid: The table.
        headers: Of its columns; empty ones where it has none.
        path: The column of the paths.
    """
    by_content = None
    for place in range(grid.num_columns):
        if place == path or has_word(headers[place], LABEL_WORDS):
            continue
        cells = {row[place] for row in grid.rows[:100_000]}
        words = {cell for cell in cells if not is_unassigned(cell)}
        num_known = sum(split_of(word) is not None for word in words)
        if has_word(headers[place], _SURE_SPLIT_WORDS) and words:
            return place
        if has_word(headers[place], _SPLIT_WORDS) and num_known:
            return place
        if words and num_known == len(words) and by_content is None:
            by_content = place
    return by_content


def series_column(grid: Grid, headers: Sequence[str], path: int) -> int | None:
    """Return the column that names the patient or lesion that several photos show, or None."""
    for place in range(grid.num_columns):
        if place != path and has_word(headers[place], _SERIES_WORDS):
            cells = [row[place] for row in grid.rows if row[place]]
            if 1 < len(set(cells)) < len(cells):
                return place
    return None


def label_columns(
    grid: Grid, headers: Sequence[str], used: Collection[int], wanted: str | None = None
) -> LabelColumns:
    """Return the column of the class, found by its header and its content.

    Args:
        grid: The table; best only the rows of photos that are there.
        headers: Of its columns; empty ones where it has none.
        used: Columns that hold the path, the split or the series.
        wanted: Name of the column that the person chose.

    Raises:
        TableError: If no column holds a class, or a photo has several.
    """
    free = [place for place in range(grid.num_columns) if place not in used]
    cells = {place: [row[place] for row in grid.rows] for place in free}
    if wanted is not None:
        return _wanted(cells, headers, free, wanted)
    return _found(cells, headers, free)


def _found(cells: dict[int, list[str]], headers: Sequence[str], free: Sequence[int]) -> LabelColumns:
    one_hot = _one_hot(cells, free, headers)
    by_header = _by_header(cells, free, headers)
    if one_hot and (not by_header or (set(by_header) <= set(one_hot) and _is_always_one(one_hot, cells))):
        return _one_hot_columns(one_hot, cells, headers)
    if by_header:
        return _chosen(by_header, cells, headers)
    if len(free) == 1 and _may_be_class(cells[free[0]], is_only=True):
        return LabelColumns((free[0],), column_name(headers, free[0]))
    by_content = [place for place in free if _may_be_class(cells[place], is_only=False)]
    texts = [place for place in by_content if not _are_numbers(cells[place])]
    if not by_content:
        raise TableError("no_label")
    return replace(_chosen(texts or by_content, cells, headers), is_certain=not any(headers))


def _wanted(
    cells: dict[int, list[str]], headers: Sequence[str], free: Sequence[int], wanted: str
) -> LabelColumns:
    # The columns of a one-hot table go by a common name.
    with suppress(TableError):
        found = _found(cells, headers, free)
        if found.name == wanted:
            return LabelColumns(found.places, found.name)
    for place in free:
        if column_name(headers, place).casefold() == wanted.strip().casefold():
            return LabelColumns((place,), column_name(headers, place))
    raise TableError("no_such_column")


def _by_header(cells: dict[int, list[str]], free: Sequence[int], headers: Sequence[str]) -> list[int]:
    named = [place for place in free if has_word(headers[place], LABEL_WORDS)]
    numbers = [place for place in free if has_word(headers[place], _NUMBER_WORDS)]
    usable = [place for place in [*named, *numbers] if not _is_measured(cells[place]) and any(cells[place])]
    # A class of one value is the answer only where no other column has more.
    return sorted(usable, key=lambda place: len(set(cells[place])) < 2)


def _chosen(places: Sequence[int], cells: dict[int, list[str]], headers: Sequence[str]) -> LabelColumns:
    """Return the first of several columns; those that sort the photos in the same way are no other reading."""
    best = places[0]
    # Names rather than the numbers of the same classes.
    same = [place for place in places if _is_same_sorting(cells[best], cells[place])]
    best = next((place for place in same if not _are_numbers(cells[place])), best)
    others = [place for place in places if place not in same and len(set(cells[place])) > 1]
    names = tuple(column_name(headers, place) for place in others)
    return LabelColumns((best,), column_name(headers, best), names)


def share_of_one_to_one(pairs: Counter[tuple[str, str]]) -> float:
    """Return the share of photos for which one label of a source stands for one label of another and the reverse.

    Args:
        pairs: How many photos have each pair of labels.
    """
    best: dict[str, tuple[int, str]] = {}
    for (first, second), count in pairs.items():
        best[first] = max(best.get(first, (0, "")), (count, second))
    labels = Counter(second for _count, second in best.values())
    agreeing = sum(count for count, second in best.values() if labels[second] == 1)
    return agreeing / max(pairs.total(), 1)


def _is_same_sorting(first: Sequence[str], second: Sequence[str]) -> bool:
    num_pairs = len(set(zip(first, second, strict=True)))
    return num_pairs == len(set(first)) == len(set(second))


def _one_hot(cells: dict[int, list[str]], free: Sequence[int], headers: Sequence[str]) -> list[int]:
    """Return the columns with a header whose cells are only 0 and 1, if most photos have a single 1."""
    flags = [place for place in free if headers[place] and any(cells[place]) and _is_flag(cells[place])]
    if len(flags) < 2 or not cells[flags[0]]:
        return []
    sums = Counter(_num_set(flags, cells))
    if sums[1] * 2 >= sums.total():
        return flags
    if sums.total() - sums[0] - sums[1] and len(flags) == len(free):
        raise TableError("several_labels")
    return []


def _is_flag(cells: Sequence[str]) -> bool:
    return {cell.casefold() for cell in set(cells)} <= _ONES | _ZEROS


def _num_set(flags: Sequence[int], cells: dict[int, list[str]]) -> Iterator[int]:
    """Yield how many flags each row sets."""
    rows = zip(*(cells[place] for place in flags), strict=True)
    return (sum(cell.casefold() in _ONES for cell in row) for row in rows)


def _is_always_one(flags: Sequence[int], cells: dict[int, list[str]]) -> bool:
    return all(count == 1 for count in _num_set(flags, cells))


def _one_hot_columns(
    flags: Sequence[int], cells: dict[int, list[str]], headers: Sequence[str]
) -> LabelColumns:
    shown = [headers[place] for place in flags[:3]]
    name = ", ".join(shown) + (", …" if len(flags) > len(shown) else "")
    rivals = [] if _is_always_one(flags, cells) else [place for place in cells if place not in flags]
    others = [
        place
        for place in rivals
        if _may_be_class(cells[place], is_only=False) and not _are_numbers(cells[place])
    ]
    return LabelColumns(tuple(flags), name, tuple(column_name(headers, place) for place in others))


def one_hot_label(row: Sequence[str], headers: Sequence[str], places: Sequence[int]) -> str:
    """Return the class of a row of a one-hot table: all that are set, with `SEVERAL` between them.

    Args:
        row: Cells of all columns.
        headers: Of all columns.
        places: The columns of the classes.
    """
    return SEVERAL.join(headers[place] for place in places if row[place].casefold() in _ONES)


def clear_labels(labels: Sequence[str]) -> list[str]:
    """Return labels with `SEVERAL` between the classes of a photo, and numbers without decimals of zero.

    Several classes are written as JSON (`{"choices": ["cat", "dog"]}`), or between bars, semicolons or commas if each
    of them is the class of another photo as well.

    Args:
        labels: The cells of all rows.
    """
    known = set(labels)
    clear = {label: _clear_label(label, known) for label in known}
    if all(_ZERO_DECIMALS.search(label) for label in known if not is_no_class(label)):
        clear = {label: _ZERO_DECIMALS.sub("", label) for label in known}
    return [clear[label] for label in labels]


def _clear_label(label: str, known: Collection[str]) -> str:
    if label.startswith(("{", "[")) and label.endswith(("}", "]")):
        try:
            return SEVERAL.join(_values(json.loads(label.replace("'", '"'))))
        except (ValueError, RecursionError):
            return label
    for separator in "|;,":
        parts = [part.strip() for part in label.split(separator)]
        if len(parts) > 1 and all(part in known for part in parts):
            return SEVERAL.join(parts)
    return label


def _values(value: object) -> Iterator[str]:
    """Yield the values in nested lists and dictionaries as text."""
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _values(inner)
    elif value is not None:
        yield str(value)


def _may_be_class(cells: Sequence[str], *, is_only: bool) -> bool:
    """Return whether the values of a column repeat as classes do, and are neither measures, dates nor files."""
    filled = [cell for cell in cells if not is_no_class(cell)]
    counts = Counter(filled)
    if not filled or _is_measured(filled) or all(_DATE.fullmatch(cell) for cell in counts):
        return False
    if sum(is_image_name(cell) or "://" in cell for cell in counts) * 2 > len(counts):
        return False
    num_repeated = sum(count for count in counts.values() if count > 1)
    if num_repeated * 2 < len(filled) and len(filled) > 4:
        return False
    if is_only:
        return True
    if len(counts) < 2:
        return False
    if _are_numbers(filled):
        numbers = sorted({int(float(cell)) for cell in counts})
        return numbers[0] in (0, 1) and numbers[-1] - numbers[0] == len(numbers) - 1
    return True


def _are_numbers(cells: Sequence[str]) -> bool:
    return all(is_number(cell) for cell in set(cells) if not is_no_class(cell))


def _is_measured(cells: Sequence[str]) -> bool:
    """Return whether all cells are numbers and some have decimals or stand below 0: no classes."""
    values = {cell for cell in cells if not is_no_class(cell)}
    return (
        bool(values)
        and all(_NUMBER.fullmatch(value) for value in values)
        and not all(_WHOLE.fullmatch(value) for value in values)
    )
