"""Images from a folder on the server's disk, below the one that its operator allows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from pages.ui.app.arrivals import Upload
from pages.ui.app.layout_question import declined, is_answered, read_or_ask
from pages.ui.app.look_ahead import look_ahead
from pages.ui.app.page import guarded
from pages.ui.app.process import workspace
from pages.ui.app.session import Session, write_address
from pages.ui.app.upload_parts import check_outcome, present_dataset, show_outcome, without_known
from pages.ui.app.words import plain
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import collect_files, create_dataset
from transfer_core.data.sources.folder import folder_source
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.data.sources.server_folder import allowed_folder, images_root, subfolders
from transfer_core.errors import TransferStudioError
from transfer_core.language import _, names_list, plural

BATCH_FILES = 100
_NUM_NAMES = 8


def show_server_folder(session: Session, dataset: ImageDataset | None) -> None:
    """Let the person add a folder of the server; draw nothing if none is allowed.

    Args:
        session: Gets the dataset when its first images are saved.
        dataset: Gets the images. None creates a dataset.

    Raises:
        IngestError: If the setting does not name a folder.
    """
    root = images_root()
    if root is None:
        return
    upload = session.server_upload
    if upload and not upload.is_complete:
        guarded(_take_in)(session, upload, root)
        return
    relative = _choose_folder(root)
    if st.button(_("Add these photos"), icon=":material/drive_folder_upload:", disabled=not relative):
        guarded(_start)(session, dataset, relative)
    if upload and upload.is_stopped:
        st.info(
            plural(
                "Stopped. {count} photo is added. Add the same folder again to continue.",
                "Stopped. {count} photos are added. Add the same folder again to continue.",
                len(upload.after.images) - len(upload.before.images),
            ),
            icon=":material/stop_circle:",
        )
    if upload:
        show_outcome(upload)


def _choose_folder(root: Path) -> str:
    """Return the chosen folder relative to `root`, or an empty string. Each level has its own field."""
    chosen: list[str] = []
    while names := subfolders(root, "/".join(chosen)):
        picked = st.selectbox(
            _("Folder in {name}").format(name=plain(chosen[-1] if chosen else root.name)),
            names,
            index=None,
            placeholder=_("Use this one, or open a subfolder") if chosen else _("Choose"),
            key=f"server-folder-{'/'.join(chosen)}",
        )
        if picked is None:
            break
        chosen.append(picked)
    if chosen and names:
        listed = names_list(plain(name) for name in names[:_NUM_NAMES])
        more = " …" if len(names) > _NUM_NAMES else ""
        st.caption(_("Folders in it: {names}").format(names=listed + more))
    return "/".join(chosen)


def _start(session: Session, dataset: ImageDataset | None, relative: str) -> None:
    before = dataset or create_dataset(workspace(), relative.rpartition("/")[2])
    session.layouts.pop(relative, None)
    session.server_upload = Upload(relative, before, before)
    st.rerun()


def _take_in(session: Session, upload: Upload, root: Path) -> None:
    """Add the remaining files. A click elsewhere interrupts this; the next drawing of the page continues."""
    if not is_answered(session, upload.id):
        if not session.layouts[upload.id].is_open:
            upload.notice, upload.is_complete = declined(), True
            st.rerun()
        return
    bar = st.progress(0.0, text=_("Reading the folder …"))
    st.button(
        _("Stop and keep these photos"),
        icon=":material/stop:",
        key="stop-server-folder",
        on_click=_stop,
        args=(session, upload),
    )
    try:
        reading = read_or_ask(session, upload.id, folder_source(allowed_folder(root, upload.id)))
        if reading is None:
            st.rerun()
        upload.read_as = reading.read_as
        files = reading.files
        for start in range(upload.num_batches * BATCH_FILES, len(files), BATCH_FILES):
            _add_batch(session, upload, files, start, bar)
        check_outcome(upload)
    except TransferStudioError as error:
        upload.problem = str(error)
    upload.is_complete = True
    session.is_adding = not upload.is_clean
    write_address(session)
    st.rerun()


def _add_batch(
    session: Session,
    upload: Upload,
    files: Sequence[ImportedFile],
    start: int,
    bar: st.delta_generator.DeltaGenerator,
) -> None:
    def show_progress(done: int, _total: int) -> None:
        text = _("{done:,} of {total:,} photos").format(done=start + done, total=len(files))
        bar.progress((start + done) / len(files), text=text)

    present = present_dataset(upload)
    collected = collect_files(
        present,
        files[start : start + BATCH_FILES],
        brightness=session.brightness,
        progress=show_progress,
    )
    collected = without_known(upload, present, collected)
    upload.after = collected.save() if collected.images else collected
    upload.num_batches += 1
    if upload.after.version:
        session.dataset_id = upload.after.id
        look_ahead(session)


def _stop(session: Session, upload: Upload) -> None:
    upload.is_complete = upload.is_stopped = session.is_adding = True
