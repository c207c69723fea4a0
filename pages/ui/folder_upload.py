"""A folder from the browser, streamed in batches so that no number of photos overwhelms either side."""

from __future__ import annotations

import base64
import binascii
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from pages.ui.process import workspace
from pages.ui.session import Session, Upload, component_value, write_address
from pages.ui.words import plain
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import check_anything_added, collect_files, create_dataset
from transfer_core.data.sources import MAX_FILE_BYTES, MAX_FILES, SourceFile, failing_file, uploaded_file
from transfer_core.errors import TransferStudioError
from transfer_core.language import _

_KEY = "folder-upload"
_HERE = Path(__file__).parent


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    html, css, js = (
        _HERE.joinpath(f"folder_upload.{kind}").read_text("utf-8") for kind in ("html", "css", "js")
    )
    return st.components.v2.component("transfer_studio_folder_upload", html=html, css=css, js=js)


@st.fragment
def show_folder_upload(session: Session, dataset: ImageDataset | None) -> None:
    """Let a person pick or drop a folder whose subfolders are the classes.

    Args:
        session: Gets the dataset as soon as its first images have arrived.
        dataset: Add to this one; None starts a new one.
    """
    upload = session.upload
    _component()(
        key=_KEY,
        data={
            "upload": upload.id if upload else None,
            "acknowledged": upload.num_batches if upload else 0,
            "max_files": MAX_FILES,
            "max_file_bytes": MAX_FILE_BYTES,
            "words": _words(),
        },
        on_batch_change=partial(_take_batch, session, dataset),
    )
    if upload is None:
        return
    if upload.problem:
        st.error(plain(upload.problem), icon=":material/error:")
    if upload.is_complete and not upload.is_shown:
        upload.is_shown = True
        st.rerun()
    write_address(session)


def _take_batch(session: Session, dataset: ImageDataset | None) -> None:
    """Take in what the browser sent; what has arrived is kept and chosen, whatever happens next."""
    batch = component_value(_KEY, "batch")
    if not batch:
        return
    upload = session.upload
    if upload is None or upload.id != batch["upload"]:
        before = dataset or create_dataset(workspace(), _folder_name(batch["files"]))
        upload = session.upload = Upload(batch["upload"], before, before)
    if batch["number"] != upload.num_batches + 1:
        return
    try:
        _add_batch(session, upload, batch)
    except TransferStudioError as error:
        upload.problem = str(error)
    upload.num_batches += 1
    upload.is_complete = bool(batch["is_last"])


def _add_batch(session: Session, upload: Upload, batch: dict[str, Any]) -> None:
    # Another tab, or another part of this page, may have changed the dataset meanwhile.
    present = ImageDataset.load(workspace(), upload.after.id) if upload.after.version else upload.after
    upload.after = collect_files(present, [_source_file(file) for file in batch["files"]])
    if upload.after.images:
        upload.after = upload.after.save()
        session.dataset_id = upload.after.id
    if batch["is_last"]:
        check_anything_added(upload.before, upload.after)


def _source_file(file: dict[str, Any]) -> SourceFile:
    if file["content"] is None:
        return failing_file(file["path"], is_too_large=bool(file.get("is_too_large")))
    try:
        return uploaded_file(file["path"], base64.b64decode(file["content"], validate=True))
    except binascii.Error:
        return failing_file(file["path"], is_too_large=False)


def _folder_name(files: list[dict[str, Any]]) -> str:
    return str(files[0]["path"]).split("/")[0] if files else ""


def _words() -> dict[str, str]:
    return {
        "choose": _("Choose a folder"),
        "hint": _("or drop it here. Each subfolder becomes a class, named after the folder."),
        "dropped": _("My images"),
        "stop": _("Stop here and keep what has arrived"),
        "files": _("files"),
        "progress": _("Files that have arrived"),
        "too_many": _(
            "That folder has more than {limit:,} files. Choose a smaller one, or several one after the other."
        ).format(limit=MAX_FILES),
    }
