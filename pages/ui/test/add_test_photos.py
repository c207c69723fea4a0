"""The ways to add photos on the Test page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from pages.ui.app.process import workspace
from pages.ui.app.session import Session
from pages.ui.app.uploads import archive_field, folder_field, has_too_many
from pages.ui.components.gallery import IMAGES_A_PAGE
from pages.ui.components.pasted_photos import show_pasted_photos
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.limits import limits
from transfer_core.data.samples import get_sample
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.data.sources.open_source import open_archive
from transfer_core.data.sources.upload import uploaded_file
from transfer_core.errors import TransferStudioError
from transfer_core.language import _
from transfer_core.runs.training_run import TrainingRun


@dataclass(frozen=True)
class UnlabelledPhotos:
    """Photos to classify, each read only when it is needed.

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

    @property
    def are_many(self) -> bool:
        """Whether to draw a table instead of a card for each."""
        return self.archive is not None or len(self.files) > IMAGES_A_PAGE

    def with_pasted(self, pasted: Mapping[str, ImportedFile]) -> UnlabelledPhotos:
        """Return a copy with photos from the clipboard added."""
        return replace(
            self,
            key=(*self.key, *pasted),
            files=[*self.files, *pasted.values()],
        )

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


def choose_way() -> str:
    """Let the person pick a way: `"few"`, `"many"`, `"snapshot"` or `"live"`."""
    ways = {
        "few": _("Photos"),
        "many": _("A folder or zip"),
        "snapshot": _("Take a photo"),
        "live": _("Live camera"),
    }
    way = st.segmented_control(
        _("What to test it on"),
        list(ways),
        default="few",
        required=True,
        format_func=ways.__getitem__,
        key="test-way",
    )
    return str(way)


def collect_photos(session: Session, run: TrainingRun, way: str) -> UnlabelledPhotos:
    """Let the person upload, paste or take photos, or use the test photos of a sample.

    Args:
        session: Keeps the pasted photos.
        run: Its sample, if it was trained on one, offers test photos.
        way: `"few"`, `"many"` or `"snapshot"`.
    """
    if way == "many":
        return _folder_or_archive()
    if way == "snapshot":
        snapshot = st.camera_input(
            _("Take a photo"), help=_("Works on this computer, or over https."), width=480
        )
        return _uploads([snapshot], _("Camera")) if snapshot else UnlabelledPhotos()
    files = st.file_uploader(
        _("Drop new photos here"),
        accept_multiple_files=True,
        max_upload_size=limits().file_mb,
        key="new-photos",
    )
    show_pasted_photos(session)
    return _uploads(files).with_pasted(session.pasted) or _sample_photos(run)


def _folder_or_archive() -> UnlabelledPhotos:
    left, right = st.columns(2)
    with left:
        files = folder_field("many-folder")
    with right:
        archive = archive_field(_("A zip or tar file"), "many-archive")
    return UnlabelledPhotos((archive.file_id,), archive=archive) if archive else _uploads(files)


def _uploads(files: Sequence[UploadedFile], name: str = "") -> UnlabelledPhotos:
    if has_too_many(files):
        return UnlabelledPhotos()
    return UnlabelledPhotos(
        tuple(file.file_id for file in files),
        [replace(uploaded_file(name or file.name, b""), read=file.getvalue) for file in files],
    )


def _sample_photos(run: TrainingRun) -> UnlabelledPhotos:
    sample_name = _sample_name(run)
    if sample_name is None:
        return UnlabelledPhotos()
    if not st.toggle(
        _("Use the pictures of the sample that were kept aside"),
        help=_("The model has never seen these."),
    ):
        return UnlabelledPhotos()
    return UnlabelledPhotos(("sample", sample_name), get_sample(sample_name).new_files())


def _sample_name(run: TrainingRun) -> str | None:
    try:
        return ImageDataset.load(workspace(), run.dataset_id).sample
    except TransferStudioError:
        return None
