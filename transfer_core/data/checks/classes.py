"""Find problems of classes: too few images, imbalance, and classes on one side of the split."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import zip_longest

from transfer_core.data.checks.problems import Fix, Problem, Severity
from transfer_core.data.dataset import ADVISED_IMAGES_PER_CLASS, MIN_IMAGES_PER_CLASS, ImageDataset
from transfer_core.data.sources.layout_choice import listed
from transfer_core.data.split import classes_without
from transfer_core.language import _, percent, plural, sentences

MAX_IMBALANCE = 3.0
MIN_VALIDATION_IMAGES = 5
_Z_95_PERCENT = 1.96
_SEPARATORS = re.compile(r"[\s._\-\u00ad\u200b-\u200d\u2060\ufeff]+")
_BETWEEN_DIGITS = re.compile(rf"(?<=\d){_SEPARATORS.pattern}(?=\d)")


def check_classes(dataset: ImageDataset) -> Iterator[Problem]:
    """Yield the problems of the classes and their split."""
    counts = dataset.counts()
    if not counts:
        return
    if len(counts) == 1:
        yield Problem(
            "one_class",
            "error",
            _("Add a second class"),
            _("There is only {name}. A model needs at least two classes.").format(name=next(iter(counts))),
        )
    yield from _same_but_case(dataset)
    yield from _same_but_separators(dataset)
    yield from _few_images(dataset)
    yield from _imbalance(counts)
    yield from _one_recording(dataset)
    yield from _recorded_once(dataset)
    yield from _one_sided(dataset)
    yield from _few_for_validation(dataset)


def least_true_accuracy(num_images: int) -> float:
    """Return the lower end of the 95 % interval of the accuracy, 0-1, when all of `num_images` were right.

    The interval of Wilson (1927), which for no error is n / (n + z^2).
    """
    return num_images / (num_images + _Z_95_PERCENT**2)


def _same_but_case(dataset: ImageDataset) -> Iterator[Problem]:
    groups = _alike(dataset, str.casefold)
    if not groups:
        return
    counts = dataset.counts()
    sentence = plural(
        "The names of {count} pair of classes differ only in capital letters. Merge them if they are one class.",
        "The names of {count} pairs of classes differ only in capital letters. Merge those that are one class.",
        len(groups),
    )
    merged = {
        name: largest
        for names in groups
        for largest in [max(names, key=counts.__getitem__)]
        for name in names
        if name != largest
    }
    yield Problem(
        "same_but_case",
        "warning",
        _("Class names that differ only in capital letters"),
        _with_names(sentence, [_counted(names, counts) for names in groups]),
        image_ids=_alternating_ids(dataset, [name for names in groups for name in names]),
        fix=Fix(_("Merge these classes"), lambda fixed: fixed.merged_classes(merged)),
    )


def _same_but_separators(dataset: ImageDataset) -> Iterator[Problem]:
    groups = [
        names
        for names in _alike(dataset, _without_separators)
        if len({name.casefold() for name in names}) > 1
    ]
    if not groups:
        return
    counts = dataset.counts()
    sentence = plural(
        "The names of {count} pair of classes are nearly the same. Rename one of them if they are one class.",
        "The names of {count} pairs of classes are nearly the same. Rename those that are one class.",
        len(groups),
    )
    yield Problem(
        "nearly_same_name",
        "info",
        _("Class names that are nearly the same"),
        _with_names(sentence, [_counted(names, counts) for names in groups]),
        image_ids=_ids_in(dataset, [name for names in groups for name in names]),
    )


def _alike(dataset: ImageDataset, spell: Callable[[str], str]) -> list[list[str]]:
    """Return the groups of classes whose names are spelled alike."""
    by_spelling: dict[str, list[str]] = defaultdict(list)
    for name in dataset.class_names:
        by_spelling[spell(name)].append(name)
    return [names for names in by_spelling.values() if len(names) > 1]


def _without_separators(name: str) -> str:
    """Return a name without spaces, dots, dashes, underscores and invisible letters. 1.5 does not become 15."""
    spelled = _BETWEEN_DIGITS.sub("/", unicodedata.normalize("NFKC", name).casefold())
    return _SEPARATORS.sub("", spelled) or name


def _counted(names: Collection[str], counts: Mapping[str, int]) -> str:
    return " / ".join(_name_and_count(name, counts[name]) for name in names)


def _name_and_count(name: str, count: int) -> str:
    return _("{name} ({count:,})").format(name=name, count=count)


def _few_images(dataset: ImageDataset) -> Iterator[Problem]:
    counts = dataset.counts()
    few = [name for name, count in counts.items() if count < ADVISED_IMAGES_PER_CLASS]
    if not few:
        return
    severity: Severity = "error" if min(counts[name] for name in few) < MIN_IMAGES_PER_CLASS else "warning"
    sentence = plural(
        "{count} class has fewer than 10 photos. Add more, or exclude the class.",
        "{count} classes have fewer than 10 photos. Add more, or exclude these classes.",
        len(few),
    )
    fix = None
    if len(counts) - len(few) >= 2:
        fix = Fix(_("Exclude the classes with few photos"), lambda fixed: _without_classes(fixed, few))
    yield Problem(
        "few_images",
        severity,
        _("Classes with few photos"),
        _with_names(sentence, [_name_and_count(name, counts[name]) for name in few]),
        image_ids=_ids_in(dataset, few),
        fix=fix,
    )


def _imbalance(counts: dict[str, int]) -> Iterator[Problem]:
    smallest, largest = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    if counts[largest] <= MAX_IMBALANCE * counts[smallest]:
        return
    yield Problem(
        "imbalance",
        "warning",
        _("Classes of very different size"),
        _(
            "{largest} has {many:,} photos, {smallest} has {few:,}. Models tend to guess the larger class. "
            "Add photos to the small classes."
        ).format(largest=largest, many=counts[largest], smallest=smallest, few=counts[smallest]),
    )


def _one_recording(dataset: ImageDataset) -> Iterator[Problem]:
    names = _of_one_group(dataset)
    bursts: dict[str, set[str]] = defaultdict(set)
    for image in dataset.images:
        bursts[image.class_name].add(image.burst)
    recorded = [name for name in names if len(bursts[name]) == 1 and "" not in bursts[name]]
    alike = [name for name in names if name not in recorded]
    if recorded:
        sentence = _(
            "Record {names} once more from another angle. There are too few photos to keep some for validation."
        )
        yield Problem(
            "one_recording",
            "error",
            _("1 of 2 recordings"),
            sentence.format(names=listed(recorded)),
            image_ids=_ids_in(dataset, recorded),
        )
    if alike:
        sentence = _(
            "There are too few different photos to keep some for validation. "
            "Add photos taken at another time or place."
        )
        yield Problem(
            "all_alike",
            "error",
            _("Photos that are all alike"),
            _with_names(sentence, alike),
            image_ids=_ids_in(dataset, alike),
        )


def _recorded_once(dataset: ImageDataset) -> Iterator[Problem]:
    """Report classes that are validated on the end of the recording that they are trained on."""
    names = sorted({*dataset.classes_of_one_recording} - {*_of_one_group(dataset)})
    if names:
        sentence = _("Record {names} once more from another angle. The accuracy is then closer to the truth.")
        yield Problem(
            "recorded_once",
            "info",
            _("1 of 2 recordings"),
            sentence.format(names=listed(names)),
            image_ids=_ids_in(dataset, names),
        )


def _one_sided(dataset: ImageDataset) -> Iterator[Problem]:
    counts = dataset.counts()
    without = {*classes_without(dataset.images, "train"), *classes_without(dataset.images, "validation")}
    # Classes of one group have a problem of their own, which says more.
    names = sorted(
        name for name in without - set(_of_one_group(dataset)) if counts[name] >= MIN_IMAGES_PER_CLASS
    )
    if not names:
        return
    sentence = plural(
        "{count} class has no training photos or no validation photos.",
        "{count} classes have no training photos or no validation photos.",
        len(names),
    )
    yield Problem(
        "one_sided",
        "error",
        _("Classes without training or validation photos"),
        _with_names(sentence, names),
        image_ids=_ids_in(dataset, names),
        fix=Fix(_("Split again"), _with_drawn_split) if dataset.split_by == "folders" else None,
    )


def _few_for_validation(dataset: ImageDataset) -> Iterator[Problem]:
    # With folds every image is a validation image once.
    counts = dataset.counts(None if dataset.split_by == "folds" else "validation")
    few = {name: count for name, count in counts.items() if 0 < count < MIN_VALIDATION_IMAGES}
    if not few:
        return
    name, least = min(few.items(), key=lambda item: item[1])
    sentence = plural(
        "{count} class has fewer than 5 validation photos. Its accuracy is a rough guess.",
        "{count} classes have fewer than 5 validation photos. Their accuracies are rough guesses.",
        len(few),
    )
    margin = _(
        "{name} has {least}. Even with all of them right, the true accuracy may be only {lowest}."
    ).format(name=name, least=least, lowest=percent(least_true_accuracy(least)))
    has_enough_for_folds = min(dataset.counts().values()) >= MIN_VALIDATION_IMAGES
    can_take_turns = dataset.split_by == "share" and has_enough_for_folds
    yield Problem(
        "few_validation",
        "warning",
        _("Few validation photos"),
        sentences(sentence, margin),
        image_ids=tuple(
            image.id
            for image in dataset.images
            if image.class_name in few and (image.split == "validation" or dataset.split_by == "folds")
        ),
        fix=Fix(_("Use cross-validation"), _with_folds) if can_take_turns else None,
    )


def _of_one_group(dataset: ImageDataset) -> list[str]:
    groups: dict[str, set[str]] = defaultdict(set)
    for image in dataset.images:
        groups[image.class_name].add(image.group or image.id)
    counts = dataset.counts()
    return [name for name in counts if counts[name] >= MIN_IMAGES_PER_CLASS and len(groups[name]) == 1]


def _with_names(sentence: str, names: Collection[str]) -> str:
    return sentences(sentence, _("Classes: {names}.").format(names=listed(names)))


def _ids_in(dataset: ImageDataset, names: Collection[str]) -> tuple[str, ...]:
    return tuple(image.id for image in dataset.images if image.class_name in names)


def _alternating_ids(dataset: ImageDataset, names: Collection[str]) -> tuple[str, ...]:
    """Return the photos of classes in turns, so that the first few show each class."""
    by_class = [[image.id for image in dataset.images if image.class_name == name] for name in names]
    return tuple(image_id for some in zip_longest(*by_class) for image_id in some if image_id)


def _without_classes(dataset: ImageDataset, names: Collection[str]) -> ImageDataset:
    return dataset.without(_ids_in(dataset, names))


def _with_drawn_split(dataset: ImageDataset) -> ImageDataset:
    return dataset.with_split(dataset.validation_split, dataset.seed, split_by="share")


def _with_folds(dataset: ImageDataset) -> ImageDataset:
    return dataset.with_split(
        dataset.validation_split, dataset.seed, split_by="folds", num_folds=MIN_VALIDATION_IMAGES
    )
