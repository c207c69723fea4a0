"""Assemble the files of an upload from the parts that a browser sends, and draw what came of it."""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from functools import partial
from typing import Any

import streamlit as st
from msgspec import structs

from pages.ui.app.arrivals import Upload
from pages.ui.app.layout_question import read_or_ask
from pages.ui.app.process import workspace
from pages.ui.app.session import Session
from pages.ui.app.words import plain
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import check_anything_added
from transfer_core.data.limits import limits
from transfer_core.data.sources.imported_file import ImportedFile, check_count
from transfer_core.data.sources.upload import failing_file, uploaded_file
from transfer_core.errors import UnreadableImageError
from transfer_core.language import plural


def expect_files(session: Session, upload: Upload, listing: dict[str, Any]) -> list[ImportedFile] | None:
    """Find the class of every file that will arrive. Tables and nested folders need the whole list for that.

    Args:
        session: Keeps the question to the person, if the folders have several meanings.
        upload: Keeps the files in `awaited`.
        listing: From the browser: `paths` of all files, and `tables` with their content.

    Returns:
        The files that need no content, such as those that a table does not name; None while the person is asked.

    Raises:
        IngestError: If there are more files than are taken at once.
    """
    check_count(len(listing["paths"]))
    listed = [replace(uploaded_file(path, b""), read=partial(_await, path)) for path in listing["paths"]]
    tables = [_decoded(table["path"], table) for table in listing["tables"]]
    reading = read_or_ask(session, upload.id, [*listed, *tables])
    if reading is None:
        return None
    upload.read_as = reading.read_as
    settled = []
    for file in reading.files:
        if isinstance(file.read, partial):
            upload.awaited[file.read.args[0]] = file
        else:
            settled.append(file)
    return settled


def take_part(upload: Upload, part: dict[str, Any]) -> ImportedFile | None:
    """Return the file that a part completes.

    Args:
        upload: Keeps the first parts of a file that comes in several.
        part: From the browser: `path`, `content` in base64 or None, the `offset` of its first byte, and whether it
            `is_end`.

    Returns:
        The file; None if more parts will follow, or if the file needs no content.
    """
    awaited = upload.awaited.get(part["path"])
    if awaited is None:
        return None
    if part["content"] is None:
        failed = failing_file(part["path"], is_too_large=bool(part["is_too_large"]))
        return replace(awaited, read=failed.read)
    arrived = _decoded(part["path"], part)
    if part["offset"] == 0 and part["is_end"]:
        return replace(awaited, read=arrived.read)
    return _joined(upload, awaited, part, arrived.read())


def present_dataset(upload: Upload) -> ImageDataset:
    """Return the dataset of an upload as it is now: another tab or part of the page may have changed it."""
    return ImageDataset.load(workspace(), upload.after.id) if upload.after.version else upload.after


def without_known(upload: Upload, present: ImageDataset, collected: ImageDataset) -> ImageDataset:
    """Return `collected` without its list of files that `present` already had; `upload` counts them instead.

    Only an upload that adds a photo says how the photos were read.
    """
    again = {file for file in collected.left_out if file.kind == "again"} - set(present.left_out)
    upload.num_known += len(again)
    left_out = tuple(file for file in collected.left_out if file not in again)
    if upload.read_as and len(collected.images) > len(present.images):
        read_as = structs.replace(upload.read_as, is_addition=bool(upload.before.images))
        return structs.replace(collected, left_out=left_out, read_as=read_as)
    return structs.replace(collected, left_out=left_out)


def check_outcome(upload: Upload) -> None:
    """Check that an upload that has ended added images.

    Raises:
        IngestError: If not a single file could be used.
    """
    if not upload.is_resumed and not upload.num_known:
        check_anything_added(upload.before, upload.after)


def show_outcome(upload: Upload) -> None:
    """Draw what came of an upload, as soon as that is known."""
    if upload.problem:
        st.error(plain(upload.problem), icon=":material/error:")
        return
    if upload.notice:
        st.info(plain(upload.notice), icon=":material/info:")
    if upload.is_complete and upload.num_known:
        text = plural(
            "{count} photo was there already and was not added twice.",
            "{count} photos were there already and were not added twice.",
            upload.num_known,
        )
        st.info(text, icon=":material/done_all:")


def _joined(
    upload: Upload, awaited: ImportedFile, part: dict[str, Any], content: bytes
) -> ImportedFile | None:
    # The beginning is missing when the server was started again half-way through a file.
    is_gapless = part["offset"] in (0, len(upload.begun)) and part["offset"] <= limits().file_bytes
    begun = upload.begun if part["offset"] else b""
    upload.begun = b"" if part["is_end"] or not is_gapless else begun + content
    if not part["is_end"]:
        return None
    if not is_gapless:
        return replace(awaited, read=failing_file(part["path"], is_too_large=False).read)
    return replace(awaited, read=lambda: begun + content)


def _decoded(path: str, part: dict[str, Any]) -> ImportedFile:
    try:
        return uploaded_file(path, base64.b64decode(part["content"], validate=True))
    except (binascii.Error, TypeError):
        return failing_file(path, is_too_large=bool(part.get("is_too_large")))


def _await(path: str) -> bytes:
    raise UnreadableImageError(f"{path} has not arrived")
