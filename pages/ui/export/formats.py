"""A card for each export format, with its purpose, its button and the proof of the export."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.page import guarded
from pages.ui.app.process import workspace
from pages.ui.app.task_progress import follow, show_bar, waiting_words
from pages.ui.app.tasks import export_of, start_export
from pages.ui.app.words import memory_words, plain
from transfer_core.export.bundle import ExportBundle, exported
from transfer_core.export.formats import ExportFormat, list_formats
from transfer_core.export.parity import Parity
from transfer_core.export.preparation import num_bytes_to_fetch
from transfer_core.export.web_runtime import ONNX_RUNTIME_WEB
from transfer_core.language import _
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.task import Task, TaskProgress


def show_exports(run: TrainingRun) -> None:
    """Draw the export formats of a run that has a model."""
    st.markdown(
        _(
            "Take your model with you. Each download has the model, a program to run it, labels and a model card. We "
            "test it first: on the validation photos it must give the same answers as here."
        ),
        help=explain("parity"),
    )
    for export_format in list_formats():
        with st.container(border=True, key=f"export-{export_format.name}"):
            st.subheader(export_format.title, anchor=False)
            st.markdown(_(export_format.purpose))
            guarded(_show_format)(run, export_format)


def _show_format(run: TrainingRun, export_format: ExportFormat) -> None:
    if export_format.note:
        st.caption(_(export_format.note))
    if export_format.missing_packages:
        names = " ".join(export_format.missing_packages)
        st.caption(
            _("Needs packages that are not installed. Install them with `pip install {names}`.").format(
                names=names
            )
        )
        return
    task = export_of(run, export_format.name)
    if task and not task.is_over:
        follow(task, partial(_show_progress, task, export_format.name))
        return
    if task and task.problem:
        st.error(plain(task.problem), icon=":material/error:")
    bundle = exported(run, export_format.name)
    if bundle:
        _show_proof(bundle)
        if export_format.unproved:
            st.caption(_(export_format.unproved))
    _show_runtime_download(export_format)
    with st.container(horizontal=True):
        if bundle:
            _show_download(bundle)
        label = _("Recreate") if bundle else _("Create {title}").format(title=export_format.title)
        if st.button(label, icon=":material/deployed_code:", key=f"make-{export_format.name}"):
            start_export(run, export_format.name)
            st.rerun()


def _show_runtime_download(export_format: ExportFormat) -> None:
    num_bytes = num_bytes_to_fetch(workspace(), export_format.name)
    if num_bytes:
        st.caption(
            _(
                "The button first downloads ONNX Runtime Web ({size}), once. After that it works offline."
            ).format(size=memory_words(num_bytes)),
            help=_(
                "Without a network: get the file `{file}` on another computer from {address} and put it into the "
                "folder `{folder}`."
            ).format(
                file=ONNX_RUNTIME_WEB.archive,
                address=ONNX_RUNTIME_WEB.address,
                folder=workspace().runtimes_dir,
            ),
        )


def _show_progress(task: Task[ExportBundle], format_name: str) -> None:
    """Show the bar of a download, which can be stopped, or the step of the export, which cannot."""
    if task.progress.num_all:
        show_bar(task, _download_words, f"export-{format_name}", _("Cancel"), ":material/close:")
    else:
        part = task.progress.part
        st.status(f"{part} …" if part else waiting_words(), state="running")


def _download_words(progress: TaskProgress) -> str:
    return _("Downloading ONNX Runtime Web: {done:.0f} of {total:.0f} MB").format(
        done=progress.num_done / 1e6, total=progress.num_all / 1e6
    )


def _show_proof(bundle: ExportBundle) -> None:
    if not bundle.parities:
        st.success(_("Ready. It trains the model again from your photos."), icon=":material/check:")
    elif bundle.is_passed:
        st.success(_proof_words(bundle.parities), icon=":material/verified:")
    else:
        st.warning(_proof_words(bundle.parities), icon=":material/warning:")
    if len(bundle.parities) > 1:
        st.dataframe(_table(bundle.parities), hide_index=True, width="stretch")
    _show_differing(bundle.parities)
    if not bundle.has_present_model:
        st.warning(
            _("Your model has changed since then. Recreate this to get the new model."),
            icon=":material/update:",
        )
    elif not bundle.has_present_limits:
        st.info(
            _("You have changed when it says “I don't know” since then. Recreate this to include it."),
            icon=":material/update:",
        )


def _show_download(bundle: ExportBundle) -> None:
    st.download_button(
        _("Download ({size})").format(size=memory_words(bundle.path.stat().st_size)),
        data=bundle.path.read_bytes,
        file_name=bundle.path.name,
        mime="application/zip",
        icon=":material/download:",
        on_click="ignore",
        type="primary",
        key=f"download-{bundle.format_name}",
    )


def _proof_words(parities: tuple[Parity, ...]) -> str:
    """Return the result of the proof: of the first version that failed, otherwise of the exact one."""
    shown = next((parity for parity in parities if not parity.is_passed), parities[0])
    if not shown.num_images:
        return _("Not tested: the validation photos are missing.")
    if not shown.is_passed:
        text = _(
            "The version {variant} answers differently: {same} of {count} photos get the same answer, and {refusals} "
            "the same “I don't know”. The largest difference is {difference}."
        )
    elif len(parities) > 1:
        text = _(
            "Tested. The version {variant}: {same} of {count} photos get the same answer; the largest difference is "
            "{difference}. The smaller versions are listed below."
        )
    else:
        text = _(
            "Tested: {same} of {count} photos get the same answer; the largest difference is {difference}."
        )
    return text.format(
        variant=shown.variant,
        same=shown.num_same,
        refusals=shown.num_same_refusals,
        count=shown.num_images,
        difference=_difference(shown),
    )


def _difference(parity: Parity) -> str:
    # Plain decimals: 2e-06 says little to most people.
    return np.format_float_positional(parity.max_difference, precision=1, fractional=False, trim="-")


def _table(parities: tuple[Parity, ...]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            _("Version"): parity.variant,
            _("Size"): memory_words(parity.num_bytes),
            _("Accuracy"): f"{parity.accuracy:.0%}" if parity.accuracy is not None else "–",
            _("Same answer"): _("{same} of {count}").format(same=parity.num_same, count=parity.num_images),
            _("Same “I don't know”"): _("{same} of {count}").format(
                same=parity.num_same_refusals, count=parity.num_images
            ),
            _("Largest difference"): _difference(parity),
            _("Test"): _("passed") if parity.is_passed else _("not passed"),
        }
        for parity in parities
    )


def _show_differing(parities: tuple[Parity, ...]) -> None:
    names = sorted({name for parity in parities for name in parity.differing})
    if names:
        with st.expander(_("Photos that get another answer")):
            st.markdown("\n".join(f"- {plain(name)}" for name in names))
