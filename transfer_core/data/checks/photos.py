"""Find problems of images: near-duplicates, poor quality, and labels that are likely wrong."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence

from transfer_core.data.checks.problems import Fix, Problem, Suspicion, ids_of, taking_out
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.images.similarity import groups_of, near_duplicates
from transfer_core.data.records import ImageRecord, Split
from transfer_core.language import _, names_list, plural

# Pixels of the shorter side: every model in the list but the tiny one for tests would enlarge less.
MIN_SHARP_SIDE = 64
# Longer side by shorter side: squeezed into a square, such an image is beyond recognition.
MAX_SIDE_RATIO = 3.0
# Half of what the dullest and the darkest of 835 real photos have (11.3 and 22.4 of 255): docs/photo-check.md.
MIN_CONTRAST = 6.0
MIN_BRIGHTNESS = 11.0
_CHANGES_SHOWN = 3
# Where copies are on several sides, the side with the strictest use keeps its own.
_MOST_HELD_BACK: tuple[Split, ...] = ("test", "validation", "train")


def check_copies(dataset: ImageDataset) -> Iterator[Problem]:
    """Yield the problems of near-duplicates."""
    in_one_class: list[list[ImageRecord]] = []
    in_several: list[list[ImageRecord]] = []
    for group in near_duplicates(dataset.images):
        is_of_one_class = len({image.class_name for image in group}) == 1
        (in_one_class if is_of_one_class else in_several).append(group)
    yield from _in_one_class(dataset, in_one_class)
    yield from _across_classes(dataset, in_several)
    yield from _across_the_split(dataset)


def check_quality(dataset: ImageDataset) -> Iterator[Problem]:
    """Yield the problems of single images."""
    yield from _tiny(dataset)
    yield from _long(dataset)
    yield from _empty_and_dark(dataset)


def check_labels(dataset: ImageDataset, suspicions: Sequence[Suspicion]) -> Iterator[Problem]:
    """Yield the problem of labels that are likely wrong and have not been changed yet."""
    labels = {image.id: image.class_name for image in dataset.images}
    open_ones = [suspicion for suspicion in suspicions if labels.get(suspicion.image_id) == suspicion.given]
    if not open_ones:
        return
    sentence = plural(
        "{count} photo may have a wrong label. Look at it before you change it.",
        "{count} photos may have wrong labels. Look at them before you change them.",
        len(open_ones),
    )
    yield Problem(
        "wrong_label",
        "warning",
        _("Labels that are likely wrong"),
        sentence,
        image_ids=tuple(suspicion.image_id for suspicion in open_ones),
        fix=Fix(_suggested_words(open_ones), lambda fixed: _with_suggestions(fixed, open_ones)),
    )


def _suggested_words(suspicions: Sequence[Suspicion]) -> str:
    """Return which labels the fix changes, the most frequent change first."""
    changes = Counter(f"{suspicion.given} → {suspicion.suggested}" for suspicion in suspicions)
    names = names_list((change for change, _count in changes.most_common()), most=_CHANGES_SHOWN)
    return plural(
        "Change {count} label: {names}", "Change {count} labels: {names}", len(suspicions), names=names
    )


def _in_one_class(dataset: ImageDataset, alike: list[list[ImageRecord]]) -> Iterator[Problem]:
    # Frames of one recording are meant to be alike; the split keeps them together.
    groups = [group for group in alike if len({image.burst or image.id for image in group}) > 1]
    spare = [image for group in groups for image in group[1:]]
    if not spare:
        return
    sentence = plural(
        "{count} photo is nearly the same as another one of its class. It teaches the model little.",
        "{count} photos are nearly the same as others of their class. They teach the model little.",
        len(spare),
    )
    yield Problem(
        "near_duplicate",
        "info",
        _("Nearly the same photos"),
        sentence,
        image_ids=_flat(groups),
        groups=tuple(map(ids_of, groups)),
        fix=taking_out(dataset, ids_of(spare), _("Keep the largest of each")),
    )


def _across_classes(dataset: ImageDataset, groups: list[list[ImageRecord]]) -> Iterator[Problem]:
    if not groups:
        return
    ids = _flat(groups)
    sentence = plural(
        "{count} photo is nearly the same in two classes. Give all copies one label, or exclude them.",
        "{count} photos are nearly the same in two classes. Give all copies one label, or exclude them.",
        len(groups),
    )
    yield Problem(
        "label_conflict",
        "warning",
        _("Nearly the same photo in two classes"),
        sentence,
        image_ids=ids,
        groups=tuple(map(ids_of, groups)),
        fix=taking_out(dataset, ids, _("Exclude all of them")),
    )


def _across_the_split(dataset: ImageDataset) -> Iterator[Problem]:
    groups = _torn_groups(dataset)
    if not groups:
        return
    copies = [image for group in groups for image in _on_lesser_sides(group)]
    sentence = plural(
        "{count} training photo is nearly the same as a validation photo. The accuracy would be too high.",
        "{count} training photos are nearly the same as validation photos. The accuracy would be too high.",
        len(copies),
    )
    yield Problem(
        "leak",
        "warning",
        _("Copies among the validation photos"),
        sentence,
        image_ids=_flat(groups),
        groups=tuple(map(ids_of, groups)),
        fix=taking_out(dataset, ids_of(copies), _("Exclude the copies for training")),
    )


def _tiny(dataset: ImageDataset) -> Iterator[Problem]:
    found = [image for image in dataset.images if 0 < min(image.width, image.height) < MIN_SHARP_SIDE]
    if not found:
        return
    sentence = plural(
        "{count} photo has fewer than 64 pixels on a side. The model sees it blurred.",
        "{count} photos have fewer than 64 pixels on a side. The model sees them blurred.",
        len(found),
    )
    yield _about(dataset, found, "tiny", _("Tiny photos"), sentence)


def _long(dataset: ImageDataset) -> Iterator[Problem]:
    found = [
        image
        for image in dataset.images
        if max(image.width, image.height) > MAX_SIDE_RATIO * min(image.width, image.height)
    ]
    if not found:
        return
    sentence = plural(
        "{count} photo is more than three times as long as it is wide. The model squeezes it into a square. "
        "Crop it to the part that matters.",
        "{count} photos are more than three times as long as they are wide. The model squeezes them into squares. "
        "Crop them to the part that matters.",
        len(found),
    )
    yield _about(dataset, found, "extreme_shape", _("Very long or very wide photos"), sentence)


def _empty_and_dark(dataset: ImageDataset) -> Iterator[Problem]:
    # A dark image has little contrast as well; that it is dark says more.
    dark = [image for image in dataset.images if image.brightness < MIN_BRIGHTNESS]
    empty = [
        image
        for image in dataset.images
        if image.contrast < MIN_CONTRAST and image.brightness >= MIN_BRIGHTNESS
    ]
    if empty:
        sentence = plural(
            "{count} photo has nearly the same color all over. It shows nothing to learn.",
            "{count} photos have nearly the same color all over. They show nothing to learn.",
            len(empty),
        )
        yield _about(dataset, empty, "uniform", _("Photos that show nothing"), sentence)
    if dark:
        sentence = plural(
            "{count} photo is nearly black. The model hardly sees what it shows.",
            "{count} photos are nearly black. The model hardly sees what they show.",
            len(dark),
        )
        yield _about(dataset, dark, "dark", _("Very dark photos"), sentence)


def _about(
    dataset: ImageDataset, images: Collection[ImageRecord], kind: str, title: str, sentence: str
) -> Problem:
    ids = ids_of(images)
    fix = taking_out(dataset, ids, _("Exclude these photos"))
    return Problem(kind, "warning", title, sentence, image_ids=ids, fix=fix)


def _with_suggestions(dataset: ImageDataset, suspicions: Sequence[Suspicion]) -> ImageDataset:
    return dataset.relabelled_each({suspicion.image_id: suspicion.suggested for suspicion in suspicions})


def _torn_groups(dataset: ImageDataset) -> list[list[ImageRecord]]:
    """Return groups of copies on several sides. Series are left out: they have a problem of their own."""
    sides: dict[str, set[Split]] = defaultdict(set)
    for image in dataset.images:
        sides[image.group].add(image.split)
    images = [image for image in dataset.images if image.group and len(sides[image.group]) > 1]
    by_group: dict[str, list[ImageRecord]] = defaultdict(list)
    for image, group in zip(images, groups_of(images), strict=True):
        if group:
            by_group[group].append(image)
    return [group for group in by_group.values() if len({image.split for image in group}) > 1]


def _on_lesser_sides(group: list[ImageRecord]) -> list[ImageRecord]:
    sides = {image.split for image in group}
    kept = next(side for side in _MOST_HELD_BACK if side in sides)
    return [image for image in group if image.split != kept]


def _flat(groups: list[list[ImageRecord]]) -> tuple[str, ...]:
    return tuple(image.id for group in groups for image in group)
