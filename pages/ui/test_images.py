"""The new photos to show a model."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from pages.ui.process import workspace
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.limits import limits
from transfer_core.data.samples import get_sample
from transfer_core.errors import TransferStudioError
from transfer_core.language import _
from transfer_core.runs.training_run import TrainingRun

_MAX_PHOTOS = 200


@dataclass(frozen=True)
class NewImage:
    """A photo the model has never seen.

    Args:
        name: What to call it.
        content: The bytes of its file.
    """

    name: str
    content: bytes


def collect_images(run: TrainingRun) -> list[NewImage]:
    """Let the person drop photos, take one, or use those kept aside of a sample."""
    left, right = st.columns(2)
    with left:
        files = st.file_uploader(
            _("Drop new photos here"),
            accept_multiple_files=True,
            max_upload_size=limits().file_mb,
            key="new-photos",
        )
    with right:
        snapshot = None
        if st.toggle(_("Use the camera"), help=_("Works on this computer, or over https.")):
            snapshot = st.camera_input(_("Take a photo"))
    if len(files) > _MAX_PHOTOS:
        st.warning(
            _("The first {limit} photos are shown; test the others after them.").format(limit=_MAX_PHOTOS)
        )
    images = [NewImage(file.name, file.getvalue()) for file in files[:_MAX_PHOTOS]]
    if snapshot:
        images.insert(0, NewImage(_("Camera"), snapshot.getvalue()))
    return images or _sample_images(run)


def _sample_images(run: TrainingRun) -> list[NewImage]:
    sample_name = _sample_name(run)
    if sample_name is None:
        return []
    if not st.toggle(
        _("Use the pictures of the sample that were kept aside"),
        help=_("The model has never seen these."),
    ):
        return []
    return [NewImage(file.path, file.read()) for file in get_sample(sample_name).new_files()]


def _sample_name(run: TrainingRun) -> str | None:
    try:
        return ImageDataset.load(workspace(), run.dataset_id).sample
    except TransferStudioError:
        return None
