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
from transfer_core.data.sources.imported_file import ImportedFile, matching_class
from transfer_core.data.sources.layout import labelled_files
from transfer_core.data.sources.layout_choice import LayoutChoice
from transfer_core.errors import IngestError, UnreadableImageError
from transfer_core.evaluation.evaluation import LabelledImage
from transfer_core.language import _, stored


def labelled_folder(
    folder: Path,
    class_names: Sequence[str],
    layout: LayoutChoice | None = None,
    ranges: GreyRanges = UNKNOWN_RANGES,
) -> tuple[list[LabelledImage], list[LeftOut]]:
    """Return the images of a folder with their classes, and the files that cannot be used.

    Args:
        folder: The folder around the class folders.
        class_names: How the model spells its classes. A folder `Cats` holds images of its class `cats`, unless
            another of its classes differs from these in case alone.
        layout: The meaning of the folders, if the person chose one.
        ranges: Black and white of the model for files with more than 8 bits.

    Returns:
        The images, and every other file with the reason.

    Raises:
        LayoutQuestionError: If the folders have several meanings and there is no choice.
        IngestError: If it is not a folder, has no class folders, or none of its files can be used.
    """
    files = [file for file in labelled_files(folder_source(folder), layout) if not file.is_system_file]
    spelling = {name: matching_class(name, class_names) for file in files if (name := file.class_name)}
    images, left_out = [], []
    for file, found in zip(files, map_ahead(partial(_identify, ranges), files), strict=True):
        if isinstance(found, UnreadableImageError):
            left_out.append(LeftOut(file.path, stored(str(found)), found.kind))
        elif file.location is not None:
            class_name = spelling.get(file.class_name or "", "")
            identifier, likeness = found
            images.append(
                LabelledImage(file.location, file.path, class_name, identifier, fingerprint=likeness)
            )
    if not images:
        in_class_folders = [file for file in files if file.class_name and not file.is_refused]
        raise IngestError(_nothing_to_score(folder, in_class_folders, left_out))
    return images, left_out


def _identify(ranges: GreyRanges, file: ImportedFile) -> tuple[str, str] | UnreadableImageError:
    """Return the id and the fingerprint of a picture, or why it cannot be used."""
    if not file.class_name and not file.is_refused:
        return UnreadableImageError(_("it is not in a class folder"), "no_class")
    try:
        image = decode_image(file.read(), ranges, file.parts[-1])
    except UnreadableImageError as error:
        return error
    return image_id(image), fingerprint(image)


def _nothing_to_score(folder: Path, in_class_folders: list[ImportedFile], left_out: list[LeftOut]) -> str:
    if not in_class_folders:
        return _(
            "There are no photos in subfolders of {folder}. "
            "Put the photos of each class into a subfolder with the name of the class."
        ).format(folder=folder)
    return none_usable(left_out)
