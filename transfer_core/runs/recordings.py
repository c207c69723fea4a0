"""Discard a camera recording without a trace."""

from __future__ import annotations

from contextlib import suppress

from msgspec import structs

from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import Edit
from transfer_core.errors import WorkspaceError
from transfer_core.files import remove
from transfer_core.language import _
from transfer_core.runs.unlabelled import has_unlabelled


def discard_recording(dataset: ImageDataset, burst: str) -> ImageDataset | None:
    """Delete the photos of a recording for good, with everything that was recorded about them.

    Args:
        dataset: The dataset that the recording was added to.
        burst: The id of the recording, as in `ImageRecord`.

    Returns:
        The saved dataset, equal to the one before the recording but for its version. None if nothing was left of it
        and it was deleted.

    Raises:
        WorkspaceError: If writing or deleting fails.
    """
    discarded = [image for image in (*dataset.images, *dataset.excluded) if image.burst == burst]
    ids = {image.id for image in discarded}
    images = [image for image in dataset.images if image.id not in ids]
    excluded = tuple(image for image in dataset.excluded if image.id not in ids)
    if not images and not excluded and not has_unlabelled(dataset):
        _delete(dataset)
        return None
    # The file of a frame that was left out has the id of its recording in its name.
    left_out = [file for file in dataset.left_out if file.image_id not in ids and burst not in file.name]
    edits = tuple(edit for edit in (_without(edit, ids) for edit in dataset.edits) if edit.before)
    kept = structs.replace(dataset, excluded=excluded, edits=edits).with_images(images, left_out).save()
    for image in discarded:
        # A file that another program has open is only a leftover.
        with suppress(OSError):
            remove(dataset.image_path(image))
    return kept


def _without(edit: Edit, ids: set[str]) -> Edit:
    return structs.replace(edit, before=tuple(place for place in edit.before if place[0] not in ids))


def _delete(dataset: ImageDataset) -> None:
    try:
        remove(dataset.folder)
    except OSError as error:
        raise WorkspaceError(
            _("The photos could not be deleted: {reason}. Close other programs, then try again.").format(
                reason=error
            )
        ) from error
