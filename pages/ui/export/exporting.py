"""One export: its progress with the stage, the result of its test, and its details."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from pages.ui.app.pictures import thumbnails
from pages.ui.app.process import work_queue, workspace
from pages.ui.app.task_progress import follow, show_bar
from pages.ui.app.tasks import export_of
from pages.ui.app.words import memory_words, plain
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import NotFoundError
from transfer_core.export.bundle import ExportBundle
from transfer_core.export.formats import ExportFormat
from transfer_core.export.parity import Parity, verdict
from transfer_core.language import _, sentences
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.task import Task, TaskProgress


def is_under_way(run: TrainingRun, export_format: ExportFormat) -> bool:
    """Draw the progress of an export, or why it failed. Returns whether it is still going on."""
    task = export_of(run, export_format.name)
    if task and not task.is_over:
        follow(task, partial(_show_progress, task, export_format.name))
        return True
    if task and task.problem:
        st.error(plain(task.problem), icon=":material/error:")
    return False


def show_result(bundle: ExportBundle) -> None:
    """Draw how an export compares with the app, and whether it is older than the model."""
    if not bundle.parities:
        st.markdown(f":material/check_circle: {_('Ready. It trains the model again from your photos.')}")
    elif bundle.is_passed:
        st.markdown(f":material/verified: {verdict(bundle.parities)}")
    else:
        st.warning(
            sentences(verdict(bundle.parities), _("See the details before you use it.")),
            icon=":material/warning:",
        )
    if not bundle.has_present_model:
        st.warning(_("Your model has changed since then. Recreate this export."), icon=":material/update:")
    elif not bundle.has_present_limits:
        st.info(_("You changed when it says “I don't know”. Recreate this export."), icon=":material/update:")


def show_details(run: TrainingRun, bundle: ExportBundle) -> None:
    """Draw the numbers of the test, and the photos that get another answer."""
    st.dataframe(_table(bundle.parities), hide_index=True, width="stretch", key=f"test-{bundle.format_name}")
    names = sorted({name for parity in bundle.parities for name in parity.differing})
    if names:
        st.markdown(_("These photos get another answer:"))
        _show_photos(run, names)


def _show_progress(task: Task[ExportBundle], format_name: str) -> None:
    """Draw the bar of a download, which can be stopped, or the stage of the export, which cannot."""
    if task.progress.num_all:
        show_bar(task, _download_words, f"export-{format_name}", _("Cancel"), ":material/close:")
    else:
        words = _stage_words(task.progress) if task.progress.part else _waiting_words(task)
        st.progress(task.progress.share, text=words)


def _stage_words(progress: TaskProgress) -> str:
    return _("{stage} (step {number} of {count})").format(
        stage=progress.part, number=progress.num_parts_done + 1, count=progress.num_parts
    )


def _waiting_words(task: Task[ExportBundle]) -> str:
    kinds = {other.kind for other in work_queue().ahead_of(task)}
    if "training" in kinds:
        return _("Waiting for the training to end")
    return _("Waiting for another export to end") if "export" in kinds else _("Starting")


def _download_words(progress: TaskProgress) -> str:
    return _("Downloading ONNX Runtime Web: {done:.0f} of {total:.0f} MB").format(
        done=progress.num_done / 1e6, total=progress.num_all / 1e6
    )


def _table(parities: tuple[Parity, ...]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            _("Version"): parity.variant,
            _("Size"): memory_words(parity.num_bytes),
            _("Same answer"): _("{same} of {count}").format(same=parity.num_same, count=parity.num_images),
            _("Same “I don't know”"): _("{same} of {count}").format(
                same=parity.num_same_refusals, count=parity.num_images
            ),
            # Plain decimals: 2e-06 says little to most people.
            _("Largest difference"): np.format_float_positional(
                parity.max_difference, precision=1, fractional=False, trim="-"
            ),
            _("Test"): _("passed") if parity.is_passed else _("not passed"),
        }
        for parity in parities
    )


def _show_photos(run: TrainingRun, names: list[str]) -> None:
    """Draw the photos of these names; the names themselves where the photos were deleted."""
    try:
        dataset = ImageDataset.load(workspace(), run.dataset_id)
    except NotFoundError:
        st.markdown("\n".join(f"- {plain(name)}" for name in names))
        return
    images = [image for image in dataset.images if image.name in names]
    sources = thumbnails(tuple(str(dataset.image_path(image)) for image in images))
    shown = [(source, image) for source, image in zip(sources, images, strict=True) if source]
    with st.container(key="changed-exported"):
        st.image(
            [source for source, _image in shown],
            caption=[plain(image.class_name) for _source, image in shown],
            width=128,
        )
