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
            "{count} file cannot be opened: it is damaged, cut off or locked. The model learns nothing from it; "
            "copy it again from where it came and add it again.",
            "{count} files cannot be opened: they are damaged, cut off or locked. The model learns nothing from "
            "them; copy them again from where they came and add them again.",
            len(files),
        )
        yield _about(files, "damaged", "warning", _("Damaged files"), sentence)
    if files := _files(dataset, "packing"):
        sentence = plural(
            "{count} file is packed in a way that cannot be read here. Unpack the archive yourself and add the folder.",
            "{count} files are packed in a way that cannot be read here. Unpack the archive yourself and add the "
            "folder.",
            len(files),
        )
        yield _about(files, "packing", "warning", _("Files packed in another way"), sentence)
    if files := _files(dataset, "missing"):
        sentence = plural(
            "{count} file is named in the table but is not there, so the model cannot learn from it.",
            "{count} files are named in the table but are not there, so the model cannot learn from them.",
            len(files),
        )
        yield _about(files, "missing", "warning", _("Missing files"), sentence)
    if files := _files(dataset, "other_format"):
        sentence = plural(
            "{count} file is in a format that is not read here. Its format, and what to do, stand beside its "
            "name.",
            "{count} files are in formats that are not read here. Their formats, and what to do, stand beside "
            "their names.",
            len(files),
        )
        yield _about(files, "other_format", "warning", _("Files in other formats"), sentence)
    if files := _files(dataset, "not_an_image"):
        sentence = plural(
            "{count} file is no photo, whatever its name says. The model does without it.",
            "{count} files are no photos, whatever their names say. The model does without them.",
            len(files),
        )
        yield _about(files, "not_an_image", "info", _("Files that are no images"), sentence)
    yield from _unsafe_or_without_class(dataset)
    yield from _wrong_size(dataset)


def _unsafe_or_without_class(dataset: ImageDataset) -> Iterator[Problem]:
    if files := _files(dataset, "unsafe"):
        sentence = plural(
            "{count} file was not opened: its name or its form could do harm to a computer. If you know it, "
            "rename it and add it again.",
            "{count} files were not opened: their names or their form could do harm to a computer. If you know "
            "them, rename them and add them again.",
            len(files),
        )
        yield _about(files, "unsafe", "warning", _("Unsafe files"), sentence)
    if files := _files(dataset, "no_class"):
        sentence = plural(
            "{count} file has no class, so the model cannot learn from it. Put it into the "
            "folder of its class and add it again.",
            "{count} files have no class, so the model cannot learn from them. Put them into the "
            "folders of their classes and add them again.",
            len(files),
        )
        yield _about(files, "no_class", "warning", _("Files without a class"), sentence)


def _wrong_size(dataset: ImageDataset) -> Iterator[Problem]:
    if files := _files(dataset, "too_small"):
        sentence = plural(
            "{count} image was left out because it has too few pixels to show anything.",
            "{count} images were left out because they have too few pixels to show anything.",
            len(files),
        )
        yield _about(files, "too_small", "info", _("Too small to use"), sentence)
    if files := _files(dataset, "too_large"):
        sentence = plural(
            "{count} file was left out because it is larger than this computer should open. Make it smaller and "
            "add it again.",
            "{count} files were left out because they are larger than this computer should open. Make them smaller "
            "and add them again.",
            len(files),
        )
        yield _about(files, "too_large", "warning", _("Too large to open"), sentence)


def _same_picture(dataset: ImageDataset) -> Iterator[Problem]:
    if files := _files(dataset, "duplicate"):
        sentence = plural(
            "{count} file is the very same picture as another one of its class. It counts once: counted twice, "
            "the model could be checked with a picture it has learned by heart.",
            "{count} files are the very same pictures as others of their class. Each counts once: counted twice, "
            "the model could be checked with pictures it has learned by heart.",
            len(files),
        )
        yield _about(files, "duplicate", "info", _("The same picture twice"), sentence)
    if files := _files(dataset, "excluded"):
        sentence = plural(
            "{count} file is a picture that you took out before. It stays out until you bring it back.",
            "{count} files are pictures that you took out before. They stay out until you bring them back.",
            len(files),
        )
        yield _about(files, "excluded", "info", _("Taken out before"), sentence)


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
        "{count} picture came under two labels. The model cannot learn that it is both, so only the first label "
        "counts. Give it the right one, or take it out.",
        "{count} pictures came under two labels. The model cannot learn that they are both, so only the first "
        "label counts. Give them the right ones, or take them out.",
        len(ids),
    )
    yield Problem(
        "other_class",
        "warning",
        _("The same picture under two labels"),
        sentence,
        image_ids=ids,
        files=tuple(file.name for file in files),
        fix=taking_out(dataset, ids, _("Take these pictures out of both classes")),
    )


def _files(dataset: ImageDataset, *kinds: LeftOutKind) -> list[LeftOut]:
    return [file for file in dataset.left_out if file.kind in kinds]


def _about(files: list[LeftOut], kind: str, severity: Severity, title: str, sentence: str) -> Problem:
    return Problem(kind, severity, title, sentence, files=tuple(file.name for file in files))
