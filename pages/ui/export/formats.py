"""The export formats by what a person wants to do with the model, one row each."""

from __future__ import annotations

import streamlit as st

from pages.ui.app.page import guarded
from pages.ui.app.tasks import start_export
from pages.ui.app.words import memory_words
from pages.ui.export.exporting import is_under_way, show_details, show_result
from transfer_core.export.bundle import ExportBundle, exported
from transfer_core.export.formats import ExportFormat, get_format
from transfer_core.language import _
from transfer_core.runs.training_run import TrainingRun


def show_formats(run: TrainingRun) -> None:
    """Draw all formats but the web page, in groups."""
    groups = {
        _("On a phone"): ("litert",),
        _("In Python"): ("keras", "code"),
        _("On servers"): ("savedmodel",),
        _("Others"): ("onnx", "teachable"),
    }
    for title, names in groups.items():
        with st.container(border=True, key=f"exports-{names[0]}"):
            st.header(title, anchor=False)
            for name in names:
                with st.container(key=f"export-{name}"):
                    guarded(_show_format)(run, get_format(name))


def show_missing_packages(export_format: ExportFormat) -> bool:
    """Draw the command that installs the packages a format needs. Returns whether any are missing."""
    names = " ".join(export_format.missing_packages)
    if names:
        st.caption(
            _("Needs packages that are not installed. Install them with `pip install {names}`.").format(
                names=names
            )
        )
    return bool(names)


def _show_format(run: TrainingRun, export_format: ExportFormat) -> None:
    words, buttons = st.columns([5, 3], vertical_alignment="center")
    bundle = exported(run, export_format.name)
    with words:
        st.markdown(f"**{export_format.title}**  \n{export_format.purpose}")
        if show_missing_packages(export_format) or is_under_way(run, export_format):
            return
        if bundle:
            show_result(bundle)
    with buttons, st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center"):
        if bundle:
            _show_download(bundle)
        else:
            st.caption(_("Not exported yet"), width="content")
        label = _("Recreate") if bundle else _("Create")
        if st.button(
            label,
            icon=":material/deployed_code:",
            key=f"make-{export_format.name}",
            type="tertiary" if bundle else "secondary",
        ):
            start_export(run, export_format.name)
            st.rerun()
    if bundle and bundle.parities:
        with st.expander(_("How it was tested")):
            show_details(run, bundle)


def _show_download(bundle: ExportBundle) -> None:
    st.download_button(
        _("Download ({size})").format(size=memory_words(bundle.path.stat().st_size)),
        data=bundle.path.read_bytes,
        file_name=f"{bundle.name}.zip",
        mime="application/zip",
        icon=":material/download:",
        on_click="ignore",
        key=f"download-{bundle.format_name}",
    )
