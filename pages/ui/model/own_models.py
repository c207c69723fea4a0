"""The person's own models as backbones of new ones, and models imported from another computer."""

from __future__ import annotations

import tempfile
from functools import partial
from itertools import islice
from pathlib import Path

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from pages.ui.app.dataset_choice import id_date
from pages.ui.app.glossary import explain
from pages.ui.app.page import guarded, show_undo
from pages.ui.app.process import workspace
from pages.ui.app.session import Session
from pages.ui.app.tasks import own_sources
from pages.ui.app.uploads import free_upload
from pages.ui.app.words import model_name, plain
from pages.ui.model.choice import show_use_button
from pages.ui.model.facts import lineage_words
from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.families import origin_words
from transfer_core.backbones.own.exchange import export_source, import_source, import_weights
from transfer_core.backbones.registry import get_backbone, list_backbones
from transfer_core.language import _, names_list, percent
from transfer_core.runs.own_models import delete_source, lineage_of, make_source, runs_to_build_on
from transfer_core.runs.training_run import TrainingRun
from transfer_core.runs.trash import take_from_trash
from transfer_core.workspace import Workspace

_RUNS_SHOWN = 8


def show_own_models(session: Session) -> None:
    """Draw the source models, the runs that can become one, and the import."""
    sources, runs = own_sources(), list(islice(runs_to_build_on(workspace()), _RUNS_SHOWN))
    guarded(_show_deleted)(session)
    with st.expander(_("Your own models to build on"), icon=":material/account_tree:", key="own-models"):
        if not sources and not runs:
            st.caption(_("Train a model first; then you can build the next one on it."))
        else:
            st.caption(_("A new model starts with what yours has learned."), help=explain("own model"))
        for backbone in sources:
            guarded(_show_source)(session, backbone)
        for run in runs:
            _show_run(session, run)
        st.markdown(_("**Bring a model from another computer**"))
        guarded(_show_import)(session)


def _show_source(session: Session, backbone: Backbone) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"own-{backbone.name}"):
        with st.container(gap=None):
            st.markdown(f"**{lineage_words(backbone)}**", help=explain("lineage"))
            st.caption(id_date(backbone.name))
        with st.container(width=180):
            show_use_button(session, backbone, f"use-{backbone.name}")
        _show_save(backbone.name, backbone.title)
        if st.button(
            _("Delete"), icon=":material/delete:", type="tertiary", key=f"delete-source-{backbone.name}"
        ):
            delete_source(workspace(), backbone.name)
            session.deleted_source_id = backbone.name
            st.rerun()


def _show_deleted(session: Session) -> None:
    deleted = session.deleted_source_id
    if deleted is None or deleted in workspace().source_ids():
        return
    text = _(":material/delete: Your own model was deleted.")
    show_undo(text, partial(_undo_delete, session, deleted), "delete-source")


def _undo_delete(session: Session, source_id: str) -> None:
    take_from_trash(workspace(), "source", source_id)
    session.deleted_source_id = None
    if session.backbone_name is None:
        session.choose_backbone(source_id)
    st.rerun()


def _show_run(session: Session, run: TrainingRun) -> None:
    accuracy = run.snapshot().accuracy
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"own-{run.id}"):
        with st.container(gap=None):
            words = " ← ".join(plain(origin_words(name)) for name in (run.dataset_name, *lineage_of(run)))
            st.markdown(words, help=explain("lineage"))
            facts = [plain(model_name(run))]
            if accuracy is not None:
                facts.append(_("accuracy {share}").format(share=percent(accuracy)))
            facts.append(plain(names_list(run.class_names[:6])))
            st.caption(" · ".join(facts))
        with st.container(width=180):
            if st.button(_("Build on this"), key=f"build-on-{run.id}", width="stretch"):
                guarded(_build_on)(session, run)
        _show_save(run.id, run.dataset_name)


def _build_on(session: Session, run: TrainingRun) -> None:
    with st.spinner(_("Getting your model ready …")):
        backbone = make_source(workspace(), run.id)
    session.choose_backbone(backbone.name)
    st.rerun()


def _show_save(run_id: str, title: str) -> None:
    st.download_button(
        _("Save as a file"),
        data=partial(_zip_of, workspace(), run_id),
        file_name=f"{title[:40]}.source.zip",
        mime="application/zip",
        on_click="ignore",
        type="tertiary",
        icon=":material/save_alt:",
        key=f"save-{run_id}",
        help=_("With this file another computer can build on your model."),
    )


def _zip_of(place: Workspace, run_id: str) -> bytes:
    """Return the file of an own model. Streamlit calls this where nobody looks at a page."""
    make_source(place, run_id)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "source.zip"
        export_source(place, run_id, path)
        return path.read_bytes()


def _show_import(session: Session) -> None:
    st.caption(
        _(
            "Bring a file saved here or exported for Keras (.zip), or Keras weights (.h5). "
            "Other files are not opened: they could carry code."
        )
    )
    networks = {backbone.name: str(backbone.title) for backbone in list_backbones()}
    file = st.file_uploader(
        _("Model file"), type=["zip", "h5"], key=f"source-{session.num_files_taken}", width="stretch"
    )
    if file is None:
        return
    network = None
    if not file.name.lower().endswith(".zip"):
        network = st.selectbox(
            _("Which model do these weights belong to?"),
            list(networks),
            index=None,
            format_func=networks.__getitem__,
            key="weights-of",
        )
        if network is None:
            return
    _take(session, file, network)


def _take(session: Session, file: UploadedFile, network: str | None) -> None:
    try:
        with st.spinner(_("Checking the file …")):
            if network:
                source_id = import_weights(workspace(), network, file, file.name)
            else:
                source_id = import_source(workspace(), file)
    finally:
        free_upload(file)
    session.num_files_taken += 1
    session.choose_backbone(get_backbone(source_id, workspace()).name)
    st.rerun()
