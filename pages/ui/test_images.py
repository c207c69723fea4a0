"""Which model to test, and the new photos to show it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import streamlit as st

from pages.ui.process import workspace
from pages.ui.session import Session
from pages.ui.words import depth_words
from transfer_core.backbones.registry import get_backbone
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


def choose_run(session: Session) -> TrainingRun | None:
    """Let the person pick a run that has a model; the one trained last is chosen at first."""
    by_id = _testable_runs()
    if not by_id:
        return None
    ids = list(by_id)
    wanted = next((run_id for run_id in (session.tested_run_id, session.run_id) if run_id in by_id), ids[0])
    # Not session.run_id: another run may be in training, and looking at this page must not lose it.
    session.tested_run_id = st.selectbox(
        _("Model"),
        ids,
        index=ids.index(wanted),
        format_func=lambda run_id: _describe(by_id[run_id]),
        key="tested-run",
    )
    return by_id[session.tested_run_id]


def _testable_runs() -> dict[str, TrainingRun]:
    """Every run that has a model, the newest first; a damaged one is listed on the welcome page."""
    runs = {}
    for run_id in workspace().run_ids():
        with suppress(TransferStudioError):
            run = TrainingRun.load(workspace(), run_id)
            if run.has_model:
                runs[run_id] = run
    return runs


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


def _describe(run: TrainingRun) -> str:
    backbone = get_backbone(run.config.backbone)
    depth = depth_words(run.config.num_unfrozen_blocks, len(backbone.blocks))
    return f"{run.dataset_name} · {backbone.title} · {depth} · {run.created_at:%Y-%m-%d %H:%M}"
