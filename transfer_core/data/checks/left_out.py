"""Find problems of the files that were left out."""

from __future__ import annotations

from collections.abc import Iterator

from transfer_core.data.checks.problems import Problem, Severity, taking_out
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import LeftOut, LeftOutKind
from transfer_core.language import _, plural


def check_files(dataset: ImageDataset) -> Iterator[Problem]:
    """Yield the problems of the files that were left out. Expected ones, such as system files, are no problem."""
    yield from _unusable(dataset)
    yield from _same_picture(dataset)
    yield from _two_labels(dataset)


def _unusable(dataset: ImageDataset) -> Iterator[Problem]:
    if files := _files(dataset, "damaged", "unreadable"):
        sentence = plural(
            "{count} file cannot be opened: it is damaged or locked. Copy it again and add it again.",
            "{count} files cannot be opened: they are damaged or locked. Copy them again and add them again.",
            len(files),
        )
        yield _about(files, "damaged", "warning", _("Damaged files"), sentence)
    if files := _files(dataset, "packing"):
        sentence = plural(
            "{count} file is packed in an unknown way. Unpack the archive yourself and add the folder.",
            "{count} files are packed in an unknown way. Unpack the archive yourself and add the folder.",
            len(files),
        )
        yield _about(files, "packing", "warning", _("Files packed in another way"), sentence)
    if files := _files(dataset, "missing"):
        sentence = plural(
            "{count} file is named in the table but is missing.",
            "{count} files are named in the table but are missing.",
            len(files),
        )
        yield _about(files, "missing", "warning", _("Missing files"), sentence)
    if files := _files(dataset, "other_format"):
        sentence = plural(
            "{count} file has a format that cannot be read here. The list says what to do.",
            "{count} files have formats that cannot be read here. The list says what to do.",
            len(files),
        )
        yield _about(files, "other_format", "warning", _("Files in other formats"), sentence)
    if files := _files(dataset, "not_an_image"):
        sentence = plural(
            "{count} file is not a photo, whatever its name says. It is not used.",
            "{count} files are not photos, whatever their names say. They are not used.",
            len(files),
        )
        yield _about(files, "not_an_image", "info", _("Files that are not photos"), sentence)
    yield from _unsafe_or_without_class(dataset)
    yield from _wrong_size(dataset)


def _unsafe_or_without_class(dataset: ImageDataset) -> Iterator[Problem]:
    if files := _files(dataset, "unsafe"):
        sentence = plural(
            "{count} file could be harmful and was not opened. If you know it, rename it and add it again.",
            "{count} files could be harmful and were not opened. If you know them, rename them and add them again.",
            len(files),
        )
        yield _about(files, "unsafe", "warning", _("Unsafe files"), sentence)
    if files := _files(dataset, "no_class"):
        sentence = plural(
            "{count} file has no class. Put it into the folder of its class and add it again.",
            "{count} files have no class. Put them into the folders of their classes and add them again.",
            len(files),
        )
        yield _about(files, "no_class", "warning", _("Files without a class"), sentence)


def _wrong_size(dataset: ImageDataset) -> Iterator[Problem]:
    if files := _files(dataset, "too_small"):
        sentence = plural(
            "{count} photo has too few pixels to show anything.",
            "{count} photos have too few pixels to show anything.",
            len(files),
        )
        yield _about(files, "too_small", "info", _("Too small to use"), sentence)
    if files := _files(dataset, "too_large"):
        sentence = plural(
            "{count} file is too large to open here. Make it smaller and add it again.",
            "{count} files are too large to open here. Make them smaller and add them again.",
            len(files),
        )
        yield _about(files, "too_large", "warning", _("Too large to open"), sentence)


def _same_picture(dataset: ImageDataset) -> Iterator[Problem]:
    if files := _files(dataset, "duplicate"):
        sentence = plural(
            "{count} file is the same photo as another one of its class. It counts once.",
            "{count} files are the same photos as others of their class. Each counts once.",
            len(files),
        )
        yield _about(files, "duplicate", "info", _("The same photo twice"), sentence)
    if files := _files(dataset, "excluded"):
        sentence = plural(
            "{count} file is a photo that you excluded before. You can include it again.",
            "{count} files are photos that you excluded before. You can include them again.",
            len(files),
        )
        yield _about(files, "excluded", "info", _("Excluded before"), sentence)


def _two_labels(dataset: ImageDataset) -> Iterator[Problem]:
    labels = {image.id: image.class_name for image in dataset.images}
    # Decided once the person has excluded the photo or given it the other label.
    files = [
        file
        for file in _files(dataset, "other_class")
        if labels.get(file.image_id, file.class_name) != file.class_name
    ]
    if not files:
        return
    ids = tuple(dict.fromkeys(file.image_id for file in files))
    sentence = plural(
        "{count} photo came with two labels. Only the first one counts. Choose the right one, or exclude it.",
        "{count} photos came with two labels. Only the first ones count. Choose the right ones, or exclude them.",
        len(ids),
    )
    yield Problem(
        "other_class",
        "warning",
        _("The same photo with two labels"),
        sentence,
        image_ids=ids,
        files=tuple(file.name for file in files),
        fix=taking_out(dataset, ids, _("Exclude these photos")),
    )


def _files(dataset: ImageDataset, *kinds: LeftOutKind) -> list[LeftOut]:
    return [file for file in dataset.left_out if file.kind in kinds]


def _about(files: list[LeftOut], kind: str, severity: Severity, title: str, sentence: str) -> Problem:
    return Problem(kind, severity, title, sentence, files=tuple(file.name for file in files))
