"""The ways to try a model on the Test page, and the photos that a person brings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from pages.ui.app.session import Session
from pages.ui.app.uploads import archive_field, folder_field, has_too_many
from pages.ui.components.pasted_photos import show_pasted_photos
from transfer_core.data.limits import limits
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.data.sources.open_source import open_archive
from transfer_core.data.sources.upload import uploaded_file
from transfer_core.language import _


@dataclass(frozen=True)
class UnlabelledPhotos:
    """Many photos to classify, each read only when it is needed.

    Args:
        key: Identifies the uploads.
        files: The photos.
        archive: A zip or tar of photos instead.
    """

    key: tuple[str, ...] = ()
    files: Sequence[ImportedFile] = ()
    archive: UploadedFile | None = None

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self.files or self.archive)

    @contextmanager
    def opened(self) -> Iterator[Sequence[ImportedFile]]:
        """Open the archive, if there is one, and yield the files.

        Raises:
            IngestError: If the archive is damaged or exceeds the limits.
        """
        if self.archive is None:
            yield self.files
            return
        with open_archive(self.archive, self.archive.name) as files:
            yield files


def choose_way(session: Session) -> tuple[str, str]:
    """Let the person pick a way: `"live"`, `"photos"`, `"game"` or `"many"`.

    Returns:
        The way, and the key of the control, which differs for a browser without a camera.
    """
    ways = {
        "live": _("Camera"),
        "photos": _("Photos"),
        "game": _("Guess first"),
        "many": _("Folder"),
    }
    key = "test-way" if session.has_camera else "test-way-without-camera"
    way = st.segmented_control(
        _("How to test it"),
        list(ways),
        default="live" if session.has_camera else "photos",
        required=True,
        format_func=ways.__getitem__,
        key=key,
        label_visibility="collapsed",
    )
    return str(way), key


def collect_photos(session: Session) -> dict[str, ImportedFile]:
    """Let the person drop or paste photos, and return them by id, the latest first.

    Args:
        session: Keeps the pasted photos, and in which order photos came.
    """
    left, right = st.columns([3, 2], vertical_alignment="center")
    with left:
        uploads = st.file_uploader(
            _("Drop photos here"),
            accept_multiple_files=True,
            max_upload_size=limits().file_mb,
            key="new-photos",
            label_visibility="collapsed",
        )
    with right:
        show_pasted_photos(session)
    if has_too_many(uploads):
        uploads = []
    photos = {**session.pasted, **{upload.file_id: as_file(upload) for upload in uploads}}
    arrived = [photo_id for photo_id in session.brought if photo_id in photos]
    session.brought = [*arrived, *(photo_id for photo_id in photos if photo_id not in arrived)]
    return {photo_id: photos[photo_id] for photo_id in reversed(session.brought)}


def collect_many_photos() -> UnlabelledPhotos:
    """Let the person upload a folder or an archive."""
    left, right = st.columns(2)
    with left:
        files = folder_field("many-folder")
    with right:
        archive = archive_field(_("A zip or tar file"), "many-archive")
    if archive:
        return UnlabelledPhotos((archive.file_id,), archive=archive)
    if has_too_many(files):
        return UnlabelledPhotos()
    return UnlabelledPhotos(tuple(file.file_id for file in files), [as_file(file) for file in files])


def as_file(upload: UploadedFile) -> ImportedFile:
    """Return an upload as a file that is read only when it is needed."""
    return replace(uploaded_file(upload.name, b""), read=upload.getvalue)
