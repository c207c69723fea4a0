"""Names of classes that a table gives as numbers, from a list beside it such as classes.txt or a label map."""

from __future__ import annotations

import json
import re
from collections.abc import Collection

from transfer_core.data.sources.tables.columns import is_number
from transfer_core.data.sources.tables.matching import is_image_name

_LIST_NAME = re.compile(r"label|class|synset|name|categor|words|dict", re.IGNORECASE)
_NUMBERED = re.compile(r"(\d{1,9})\s*[:,;\t ]\s*(\S.*)")
_NAMED = re.compile(r"(\S.*?)\s*[:,;\t ]\s*(\d{1,9})")
_WORDNET = re.compile(r"n\d{8}\s+")
_LIST_ENDINGS = (".txt", ".lst")
_MAX_CLASSES = 100_000


def class_names(name: str, text: str) -> dict[int, str]:
    """Return the name of each number that a list of classes gives; empty if it is no such list.

    Args:
        name: Of the file; only one such as `labels.txt` may be a plain list of names.
        text: Its content.
    """
    if not _LIST_NAME.search(name):
        return {}
    if text.lstrip().startswith(("{", "[")):
        return _from_json(text)
    lines = [line.strip().strip('"') for line in text.lstrip("\ufeff").splitlines() if line.strip()]
    if not 1 < len(lines) <= _MAX_CLASSES:
        return {}
    for pattern, number, label in ((_NUMBERED, 1, 2), (_NAMED, 2, 1)):
        # The first line may hold headers.
        for start in (0, 1):
            found = [pattern.fullmatch(line) for line in lines[start:]]
            names = {int(match[number]): match[label].strip().strip('"') for match in found if match}
            is_whole = len(names) == len(lines) - start and len(set(names.values())) == len(names) > 1
            if is_whole and not any(map(is_image_name, names.values())):
                return names
    plain = [_WORDNET.sub("", line) for line in lines]
    is_list = name.casefold().endswith(_LIST_ENDINGS) and not any(map(is_image_name, lines))
    return dict(enumerate(plain)) if is_list and len(set(plain)) == len(plain) else {}


def _from_json(text: str) -> dict[int, str]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if isinstance(document, list):
        names = dict(enumerate(document))
    elif isinstance(document, dict):
        by_number = {int(float(key)): value for key, value in document.items() if is_number(key)}
        by_name = {value: key for key, value in document.items() if type(value) is int}
        names = by_number if len(by_number) == len(document) else by_name
        if len(names) != len(document):
            return {}
    else:
        return {}
    is_list = all(isinstance(name, str) and name.strip() for name in names.values())
    return names if is_list and len(set(names.values())) == len(names) > 1 else {}


def named_numbers(labels: Collection[str], lists: Collection[dict[int, str]]) -> dict[str, str]:
    """Return the name of each label, if all are numbers and all fitting lists agree; else an empty dictionary.

    Args:
        labels: Of the table.
        lists: Names by number; a list without the highest number, but with one name for each from 1, counts from 1.
    """
    if not labels or not all(is_number(label) for label in labels):
        return {}
    numbers = {label: int(float(label)) for label in labels}
    answers = []
    for names in lists:
        shift = (
            min(names) - 1 if min(numbers.values()) == 1 and max(numbers.values()) == max(names) + 1 else 0
        )
        answer = {label: names.get(number + shift, "") for label, number in numbers.items()}
        if all(answer.values()) and answer not in answers:
            answers.append(answer)
    return answers[0] if len(answers) == 1 else {}
