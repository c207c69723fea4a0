"""Labelled test photos of a run, which it is never trained on."""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from pages.ui.app.layout_question import is_answered, read_or_ask
from pages.ui.app.page import guarded
from pages.ui.app.session import Session
from pages.ui.app.uploads import archive_field, folder_field, has_too_many
from pages.ui.app.words import plain
from pages.ui.results.photo_sets import dataset_of
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.data.sources.open_source import open_archive
from transfer_core.data.sources.upload import uploaded_file
from transfer_core.language import _, names_list, plural, sentences
from transfer_core.runs.new_photos import NewPhotos, add_new_photos, forget_new_photos, new_photos_of
from transfer_core.runs.training_run import TrainingRun


def show_new_photos(session: Session, run: TrainingRun) -> None:
    """Draw the test photos that a run has, and the fields to add some."""
    learned_from = dataset_of(run)
    photos = new_photos_of(run, learned_from)
    with st.expander(_("Test it on photos whose class you know"), icon=":material/folder_open:"):
        st.markdown(
            _(
                "A folder with one subfolder for each class, or a zip of one. "
                "They only test your model; photos it already knows are skipped."
            )
        )
        if photos:
            _show_present(run, photos)
        version = photos.dataset.version if photos else 0
        left, right = st.columns(2)
        with left:
            archive = archive_field(_("A zip or tar file"), f"test-zip-{version}")
        with right:
            files = folder_field(f"test-folder-{version}")
        if archive:
            guarded(_take_archive)(session, run, archive, learned_from)
        elif files and not has_too_many(files):
            guarded(_take_files)(session, run, files, learned_from)


def _show_present(run: TrainingRun, photos: NewPhotos) -> None:
    parts = [plural("{count} photo is here.", "{count} photos are here.", len(photos.images))]
    if photos.num_seen_in_training:
        parts.append(
            plural(
                "{count} more is not counted: it looks like a training photo.",
                "{count} more are not counted: they look like training photos.",
                photos.num_seen_in_training,
            )
        )
    if photos.unknown_classes:
        names = plain(names_list(photos.unknown_classes))
        parts.append(_("Skipped, because it does not know these classes: {names}.").format(names=names))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(sentences(*parts))
        if st.button(_("Remove these photos"), icon=":material/delete:", type="tertiary"):
            forget_new_photos(run)
            st.rerun()


def _take_archive(
    session: Session, run: TrainingRun, file: UploadedFile, learned_from: ImageDataset | None
) -> None:
    if not is_answered(session, file.file_id):
        return
    with st.spinner(_("Reading the photos …")), open_archive(file, file.name) as sources:
        _add(session, run, file.file_id, sources, learned_from)


def _take_files(
    session: Session, run: TrainingRun, files: list[UploadedFile], learned_from: ImageDataset | None
) -> None:
    upload_id = files[0].file_id
    if not is_answered(session, upload_id):
        return
    with st.spinner(_("Reading the photos …")):
        sources = [uploaded_file(file.name, file.getvalue()) for file in files]
        _add(session, run, upload_id, sources, learned_from)


def _add(
    session: Session,
    run: TrainingRun,
    upload_id: str,
    sources: list[ImportedFile],
    learned_from: ImageDataset | None,
) -> None:
    reading = read_or_ask(session, upload_id, sources)
    if reading:
        add_new_photos(run, reading.files, learned_from=learned_from)
    st.rerun()
