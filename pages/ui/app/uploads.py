"""Streamlit's own upload fields: their limits, and freeing the memory of a file."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from transfer_core.data.limits import limits
from transfer_core.language import _

# The browser starts the uploads of a field all at once and loses some beyond about a thousand.
MAX_FILES = 500
_ARCHIVE_TYPES = ["zip", "tar", "tgz", "tbz2", "txz", "gz", "bz2", "xz"]


def archive_field(label: str, key: str) -> UploadedFile | None:
    """Draw the field that takes a zip or a tar."""
    return st.file_uploader(label, type=_ARCHIVE_TYPES, key=key)


def folder_field(key: str) -> list[UploadedFile]:
    """Draw the field that takes a folder of at most `MAX_FILES` photos."""
    return st.file_uploader(
        _("A folder of up to {limit} photos").format(limit=MAX_FILES),
        accept_multiple_files="directory",
        max_upload_size=limits().file_mb,
        key=key,
    )


def has_too_many(files: Sequence[UploadedFile]) -> bool:
    """Return whether there are more than `MAX_FILES` files, and draw an error if so."""
    if len(files) <= MAX_FILES:
        return False
    st.error(_("That is more than {limit} photos. Use a zip file.").format(limit=MAX_FILES))
    return True


def free_upload(file: UploadedFile) -> None:
    """Free the memory of an upload, which Streamlit would keep as long as the session lives."""
    context = get_script_run_ctx()
    if context and isinstance(context.uploaded_file_mgr, MemoryUploadedFileManager):
        context.uploaded_file_mgr.remove_file(context.session_id, file.file_id)
