"""Read a folder of class folders as labelled images to evaluate a model on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from transfer_core.data.images.decoding import decode_image, image_id
from transfer_core.data.images.image_path import UNKNOWN_RANGES, GreyRanges
from transfer_core.data.images.similarity import fingerprint
from transfer_core.data.ingest import none_usable
from transfer_core.data.parallel import map_ahead
from transfer_core.data.records import LeftOut
from transfer_core.data.sources.folder import folder_source
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.errors import IngestError, UnreadableImageError
from transfer_core.evaluation.evaluation import LabelledImage
from transfer_core.language import _


def labelled_folder(
    folder: Path, class_names: Sequence[str], ranges: GreyRanges = UNKNOWN_RANGES
) -> tuple[list[LabelledImage], list[LeftOut]]:
    """Return the images of a folder with their classes, and the files that cannot be used.

    Args:
        folder: The folder around the class folders.
        class_names: How the model spells its classes. A folder `Cats` holds images of its class `cats`.
        ranges: Black and white of the model for files with more than 8 bits.

    Returns:
        The images, and every other file with the reason.

    Raises:
        IngestError: If it is not a folder, has no class folders, or none of its files can be used.
    """
    spelling = {name.casefold(): name for name in class_names}
    files = [file for file in folder_source(folder) if not file.is_system_file]
    images, left_out = [], []
    for file, found in zip(files, map_ahead(partial(_identify, ranges), files), strict=True):
        if isinstance(found, UnreadableImageError):
            left_out.append(LeftOut(file.path, str(found), found.kind))
        elif file.location is not None:
            label = file.class_name or ""
            class_name = spelling.get(label.casefold(), label)
            identifier, likeness = found
            images.append(
                LabelledImage(file.location, file.path, class_name, identifier, fingerprint=likeness)
            )
    if not images:
        raise IngestError(_nothing_to_score(folder, [file for file in files if file.class_name], left_out))
    return images, left_out


def _identify(ranges: GreyRanges, file: ImportedFile) -> tuple[str, str] | UnreadableImageError:
    """Return the id and the fingerprint of a picture, or why it cannot be used."""
    if not file.class_name:
        return UnreadableImageError(_("it is not in a class folder"), "no_class")
    try:
        image = decode_image(file.read(), ranges, file.parts[-1])
    except UnreadableImageError as error:
        return error
    return image_id(image), fingerprint(image)


def _nothing_to_score(folder: Path, in_class_folders: list[ImportedFile], left_out: list[LeftOut]) -> str:
    if not in_class_folders:
        return _(
            "There are no images in subfolders of {folder}. Put the pictures of each class into a folder with "
            "the name of the class, and name the folder around them."
        ).format(folder=folder)
    return none_usable(left_out)
