"""The component that uploads a folder in batches, so that many photos overwhelm neither browser nor server."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from pages.ui.app.arrivals import Upload
from pages.ui.app.layout_question import declined, is_answered, received_thumbnail, unanswered
from pages.ui.app.look_ahead import look_ahead
from pages.ui.app.page import guarded_callback
from pages.ui.app.process import workspace
from pages.ui.app.session import Session, component_value, write_address
from pages.ui.app.upload_parts import (
    check_outcome,
    expect_files,
    present_dataset,
    show_outcome,
    take_part,
    without_known,
)
from pages.ui.components.component import component
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import collect_files, create_dataset
from transfer_core.data.limits import limits
from transfer_core.data.sources.tables.table import TABLE_ENDINGS
from transfer_core.errors import TransferStudioError
from transfer_core.language import _

_KEY = "folder-upload"
# Adding to a dataset costs the more the larger it is, so several batches are added at once.
_SAVED_BYTES = 16 * 1024**2
_SAVED_FILES = 200


@st.fragment
def show_folder_upload(session: Session, dataset: ImageDataset | None, *, is_folded: bool = False) -> None:
    """Let a person pick or drop a folder whose subfolders are the classes.

    Args:
        session: Gets the dataset when its first images have arrived.
        dataset: Gets the images. None creates a dataset.
        is_folded: Whether to draw only an upload that goes on after a restart of the server, or was not finished.
    """
    upload = session.upload
    component("folder_upload")(
        key=_KEY,
        data={
            "upload": upload.id if upload else None,
            "acknowledged": upload.num_batches if upload else 0,
            "saved": upload.num_saved if upload else 0,
            "has_failed": bool(upload and upload.has_failed),
            "is_open": bool(upload and not upload.is_complete and not upload.listing),
            "dataset": upload.after.id if upload and upload.after.version else None,
            "chosen": session.dataset_id,
            "is_folded": is_folded,
            # Beside photos that are there the way on is the primary button.
            "is_primary": session.dataset_id is None or session.is_adding,
            "max_files": limits().files,
            "max_file_bytes": limits().file_bytes,
            "table_endings": TABLE_ENDINGS,
            "asks": _wanted_thumbnails(session, upload) if upload and upload.listing else None,
            "words": _words(),
        },
        on_batch_change=partial(guarded_callback(_take_batch), session, dataset),
        on_thumbnails_change=partial(_take_thumbnails, session),
        on_left_change=partial(_end_left, session),
    )
    if upload is None:
        return
    if upload.listing:
        _show_question(session, dataset, upload)
    show_outcome(upload)
    if upload.is_complete and not upload.is_shown:
        upload.is_shown = True
        session.is_adding = not upload.is_clean
        st.rerun()
    write_address(session)


def _take_batch(session: Session, dataset: ImageDataset | None) -> None:
    """Process a batch. Files that have arrived are kept, whatever happens next."""
    batch = component_value(_KEY, "batch")
    upload = session.upload
    if not batch:
        return
    if upload is None or upload.id != batch["upload"]:
        if batch["listing"] is None:
            return  # The server was restarted; the browser sends the batch again, with the listing.
        upload = session.upload = _begin(dataset, batch)
    # The browser repeats a batch whose answer did not reach it.
    if batch["number"] != upload.num_batches + 1 or upload.has_failed:
        return
    try:
        _add_batch(session, upload, batch)
        if upload.listing:
            return  # The batch is sent again when the person has answered.
        upload.num_batches += 1
        upload.num_saved = upload.num_saved if upload.waiting else upload.num_batches
        if batch["is_last"]:
            check_outcome(upload)
    except TransferStudioError as error:
        upload.problem, upload.listing = str(error), None
        upload.has_failed = upload.num_batches < batch["number"]
    upload.is_stopped = batch["is_stopped"]
    upload.is_complete = bool(batch["is_last"]) or upload.has_failed


def _begin(dataset: ImageDataset | None, batch: dict[str, Any]) -> Upload:
    """Return a new upload, or one that continues what began before a restart or a refresh."""
    is_resumed = batch["dataset"] in workspace().dataset_ids()
    if is_resumed:
        dataset = ImageDataset.load(workspace(), batch["dataset"])
    before = dataset or create_dataset(workspace(), batch["name"])
    num_before = batch["number"] - 1
    return Upload(
        batch["upload"],
        before,
        before,
        num_before,
        num_saved=num_before,
        is_resumed=is_resumed,
        name=batch["name"],
    )


def _add_batch(session: Session, upload: Upload, batch: dict[str, Any]) -> None:
    if batch["listing"] and not upload.awaited:
        upload.listing = batch["listing"]
        _expect(session, upload)
    if upload.listing:
        return
    upload.waiting += [file for part in batch["files"] if (file := take_part(upload, part))]
    upload.num_waiting_bytes += sum(len(part["content"] or "") for part in batch["files"])
    is_full = upload.num_waiting_bytes >= _SAVED_BYTES or len(upload.waiting) >= _SAVED_FILES
    if upload.waiting and (is_full or batch["is_last"]):
        _save_waiting(session, upload)


def _expect(session: Session, upload: Upload) -> None:
    """Find the classes of the listed files, or keep the list while the person is asked."""
    settled = expect_files(session, upload, upload.listing or {})
    if settled is not None:
        upload.waiting += settled
        upload.listing = None


def _show_question(session: Session, dataset: ImageDataset | None, upload: Upload) -> None:
    if not is_answered(session, upload.id):
        if session.layouts[upload.id].is_open:
            return
        _give_up(upload, declined())
        st.rerun()
    if not upload.is_resumed:
        # The person may have changed meanwhile whether the photos join others.
        upload.before = upload.after = dataset or create_dataset(workspace(), upload.name)
    try:
        _expect(session, upload)
    except TransferStudioError as error:
        upload.problem = str(error)
        _give_up(upload, "")
    st.rerun()


def _give_up(upload: Upload, notice: str) -> None:
    upload.notice, upload.listing = notice, None
    upload.is_complete = upload.has_failed = True


def _wanted_thumbnails(session: Session, upload: Upload) -> list[str]:
    """Return the paths of the photos that the question shows, as the browser named them."""
    files = [file for some in session.layouts[upload.id].question.samples.values() for file in some]
    return [file.read.args[0] for file in files if isinstance(file.read, partial)]


def _take_thumbnails(session: Session) -> None:
    """Put the small copies that the browser made into the question."""
    sent, upload = component_value(_KEY, "thumbnails"), session.upload
    if not sent or upload is None or sent["upload"] != upload.id or not upload.listing:
        return
    if sent["is_over"]:
        # The folder is no longer in the browser.
        session.layouts.pop(upload.id, None)
        _give_up(upload, unanswered())
        return
    contents = {part["path"]: part["content"] for part in sent["files"]}
    asked = session.layouts[upload.id]
    for name, files in asked.question.samples.items():
        paths = [file.read.args[0] for file in files if isinstance(file.read, partial)]
        asked.thumbnails[name] = [
            small for path in paths if (small := received_thumbnail(contents.get(path, "")))
        ]


def _end_left(session: Session) -> None:
    """End an upload that the browser no longer sends, because its page was left. What has arrived is kept."""
    sent, upload = component_value(_KEY, "left"), session.upload
    if sent and upload and sent["upload"] == upload.id:
        upload.is_complete = upload.is_stopped = True


def _save_waiting(session: Session, upload: Upload) -> None:
    present = present_dataset(upload)
    collected = collect_files(present, upload.waiting, brightness=session.brightness)
    upload.after = without_known(upload, present, collected)
    upload.waiting, upload.num_waiting_bytes = [], 0
    if upload.after.images:
        upload.after = upload.after.save()
        session.dataset_id = upload.after.id
        look_ahead(session)


def _words() -> dict[str, str]:
    """Return the component's sentences; the browser fills in the fields in braces."""
    return {
        "choose": _("Choose a folder"),
        "hint": _("or drop it here. Each subfolder becomes a class."),
        "dropped": _("My photos"),
        "listing": _("Reading the folder …"),
        "stop": _("Stop and keep these photos"),
        "stopping": _("Stopping …"),
        "progress": _("Photos added so far"),
        "count": _("{taken} of {total} photos"),
        "megabytes": _("{taken} of {total} MB"),
        "seconds_left": _("about {count} s left"),
        "minutes_left": _("about {count} min left"),
        "again": _("The server does not answer. Your photos are kept and sent again until it does."),
        "unfinished": _(
            "{taken} of {total} photos of “{name}” are added. Choose the same folder again to add the rest."
        ),
        "empty": _("There are no files in it. Choose a folder whose subfolders are the classes."),
        "too_many": _(
            "That folder has more than {limit:,} files. Choose a smaller one, or several one after the other."
        ).format(limit=limits().files),
    }
