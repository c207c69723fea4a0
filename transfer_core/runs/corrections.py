"""Photos that a model got wrong: with their right label they join the images it learns from next time."""

from __future__ import annotations

from msgspec.structs import replace

from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import collect_files
from transfer_core.data.sources.upload import uploaded_file
from transfer_core.errors import IngestError, NotFoundError, TransferStudioError
from transfer_core.language import _
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace


def images_of(workspace: Workspace, run: TrainingRun) -> ImageDataset | None:
    """Return the images that a run learned from as they are now; None when they are gone."""
    try:
        return ImageDataset.load(workspace, run.dataset_id)
    except TransferStudioError:
        return None


def add_correction(
    workspace: Workspace, run: TrainingRun, name: str, content: bytes, class_name: str
) -> ImageDataset:
    """Add a photo to the images of a run, as an ordinary new image; the run itself stays as it is.

    Args:
        workspace: Where the images lie.
        run: The run that got it wrong.
        name: What the photo is called.
        content: The bytes of its file.
        class_name: What it really shows.

    Returns:
        The images with the photo, saved.

    Raises:
        IngestError: If the photo is among the images already, was left out of them, or is no whole picture.
        NotFoundError: If the images are gone.
        WorkspaceError: If writing fails, or another window has just changed the images.
    """
    dataset = images_of(workspace, run)
    if dataset is None:
        raise NotFoundError(
            _("The images that this model learned from are gone, so the photo cannot be put among them.")
        )
    # Without earlier refusals, so that a new one is told even when it is the same as one of them.
    collected = collect_files(
        replace(dataset, left_out=()), [uploaded_file(name, content)], class_name=class_name
    )
    if len(collected.images) > len(dataset.images):
        return replace(collected, left_out=dataset.left_out).save()
    (refused,) = collected.left_out
    text = _("The photo was not added: {reason}.").format(reason=refused.reason)
    if refused.kind in ("other_class", "excluded"):
        text += " " + _("Its label can be changed in the gallery on the Images page.")
    raise IngestError(text)
