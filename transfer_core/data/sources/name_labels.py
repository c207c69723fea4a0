"""Labels in file names: `cat.12.jpg`, `great_pyrenees_173.jpg`, `12_rose.jpg`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath

from transfer_core.data.sources.imported_file import clean_name

# Names that cameras, phones and programs give to every photo.
_GENERIC = re.compile(
    r"(?:img|image|images?|dsc[fn]?|p|pic|pics|picture|photo|photos|foto|bild|imagen|imagem|frame|file|scan|"
    r"screenshot(?: from| at)?|screen shot|capture|download|untitled|unnamed|wp|pxl|mvimg|mvc|gopr|gp|dji|vid|video|"
    r"whatsapp image|signal|fb img|received|snapchat|train|training|test|val|valid|validation|sample|data|item|"
    r"image \d+ of|isic|图片|照片|画像|写真|[a-f\d]{6,}|[a-z])",
    re.IGNORECASE,
)
_BEFORE_NUMBER = re.compile(r"(?P<label>.*[^\W\d_].*)[\s._\-(\[]+\d+[)\]]?")
_LABEL_FIRST = re.compile(r"(?P<label>.*?[^\W\d_].*?)[\s._\-]*[(\[]?\d[\d\s._\-()\[\]]*(?:[a-z]|copy|at .*)?")
_LABEL_LAST = re.compile(r"[\d\s._\-()\[\]]*\d[\s._\-()\[\]]+(?P<label>.*[^\W\d_].*?)")
_MIN_SHARE = 0.9
_MIN_PER_CLASS = 2.0


def labels_in_names(names: Sequence[str]) -> list[str] | None:
    """Return the label that each file name seems to hold, or None if the names hold none.

    A label is what remains of a name without its number. It counts when nearly all names have one, when there are at
    least two labels, and when each occurs about twice or more.

    Args:
        names: Of files, without folders.

    Returns:
        One label for each name; empty where a name has none.
    """
    stems = [PurePath(name).stem for name in names]
    for pattern in (_BEFORE_NUMBER, _LABEL_FIRST, _LABEL_LAST):
        labels = [_label_in(stem, pattern) for stem in stems]
        counts = Counter(label for label in labels if label)
        if len(counts) >= 2 and counts.total() >= max(_MIN_SHARE * len(names), _MIN_PER_CLASS * len(counts)):
            return labels
    return None


def _label_in(stem: str, pattern: re.Pattern[str]) -> str:
    found = pattern.fullmatch(stem)
    label = clean_name(found["label"].strip(" ._-([")) if found else ""
    return "" if _GENERIC.fullmatch(re.sub(r"[\s._\-]+", " ", label)) else label
