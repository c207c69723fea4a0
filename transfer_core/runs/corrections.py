"""Corrections: a misclassified photo joins the training images of the next run under its true label."""

from __future__ import annotations

from msgspec.structs import replace

from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import collect_files
from transfer_core.data.sources.upload import uploaded_file
from transfer_core.errors import IngestError, NotFoundError, TransferStudioError
from transfer_core.language import _, said
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace


def dataset_of(workspace: Workspace, run: TrainingRun) -> ImageDataset | None:
    """Return the dataset of a run in its present state; None if it was deleted or is damaged."""
    try:
        return ImageDataset.load(workspace, run.dataset_id)
    except TransferStudioError:
        return None


def add_correction(
    workspace: Workspace, run: TrainingRun, name: str, content: bytes, class_name: str
) -> ImageDataset:
    """Add a photo to the dataset of a run, like any new image. The run itself does not change.

    Args:
        workspace: Where the dataset is.
        run: The run that misclassified the photo.
        name: The name of its file.
        content: The bytes of its file.
        class_name: Its true class.

    Returns:
        The saved dataset with the photo.

    Raises:
        IngestError: If the photo is in the dataset already, was excluded from it, or cannot be decoded.
        NotFoundError: If the dataset was deleted.
        WorkspaceError: If writing fails, or another window has just changed the images.
    """
    dataset = dataset_of(workspace, run)
    if dataset is None:
        raise NotFoundError(
            _("The training photos of this model were deleted, so this photo cannot join them.")
        )
    # Without earlier refusals, or one that repeats would not be reported again.
    collected = collect_files(
        replace(dataset, left_out=()), [uploaded_file(name, content)], class_name=class_name
    )
    if len(collected.images) > len(dataset.images):
        return replace(collected, left_out=dataset.left_out).save()
    # Of a file with several photos the first says why.
    refused = collected.left_out[0]
    text = _("The photo was not added: {reason}.").format(reason=said(refused.reason))
    if refused.kind in ("other_class", "excluded"):
        text += " " + _("Its label can be changed in the gallery on the Images page.")
    raise IngestError(text)
