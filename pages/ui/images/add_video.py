"""A video that becomes photos of a class."""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from pages.ui.app.page import guarded
from pages.ui.app.process import workspace
from pages.ui.app.session import Session
from pages.ui.app.task_progress import show_task
from pages.ui.app.tasks import start_video, video_of
from pages.ui.app.uploads import free_upload
from pages.ui.app.words import plain
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import create_dataset
from transfer_core.data.limits import limits
from transfer_core.data.sources.imported_file import MAX_NAME_LENGTH
from transfer_core.data.sources.video import (
    DEFAULT_NUM_PHOTOS,
    MOST_PHOTOS,
    VIDEO_TYPES,
    can_read_videos,
    how_to_read_videos,
)
from transfer_core.language import _, plural
from transfer_core.work.task import Task, TaskProgress
from transfer_core.work.tasks import AddedPhotos

_STEP = 10


def show_video(session: Session, dataset: ImageDataset | None) -> None:
    """Let the person add a video to a class, and draw its progress and what came of it.

    Args:
        session: Gets the dataset when the photos of a first video are saved.
        dataset: Gets the photos. None creates a dataset.
    """
    if not can_read_videos():
        st.info(how_to_read_videos(), icon=":material/info:")
        return
    dataset_id = session.dataset_id or session.video_dataset_id
    task = video_of(dataset_id) if dataset_id else None
    if task and not task.is_over:
        session.video_dataset_id = dataset_id
        show_task(task, _progress_words, name="video")
        return
    if task and session.video_dataset_id == dataset_id:
        _show_outcome(session, task)
    _show_form(session, session.dataset)


def _progress_words(progress: TaskProgress) -> str:
    if not progress.num_all:
        return _("Opening the video …")
    return _("{done:,} of {total:,} frames").format(done=progress.num_done, total=progress.num_all)


def _show_outcome(session: Session, task: Task[AddedPhotos]) -> None:
    if task.problem:
        st.error(plain(task.problem), icon=":material/error:")
    elif task.result is None:
        st.info(_("Stopped. Nothing was added."), icon=":material/stop_circle:")
    else:
        if session.dataset_id is None:
            session.dataset_id = task.result.dataset_id
            # The sidebar is drawn already.
            st.rerun()
        text = plural(
            "{count} photo added to **{name}**.",
            "{count} photos added to **{name}**.",
            task.result.num_photos,
            name=plain(task.result.class_name),
        )
        st.success(text, icon=":material/check:")


def _show_form(session: Session, dataset: ImageDataset | None) -> None:
    st.info(
        _("Add at least two videos of each class. We never validate on a video we trained on."),
        icon=":material/videocam:",
    )
    with st.form("add-video", border=True, enter_to_submit=False):
        name = st.text_input(
            _("Name of the class"),
            placeholder=_("for example: cat"),
            max_chars=MAX_NAME_LENGTH,
            key="video-class",
        )
        file = st.file_uploader(
            _("A video of this class"),
            type=list(VIDEO_TYPES),
            max_upload_size=limits().video_mb,
            key=f"video-{session.num_files_taken}",
            width="stretch",
        )
        num_photos = st.slider(
            _("At most this many photos"),
            _STEP,
            MOST_PHOTOS,
            DEFAULT_NUM_PHOTOS,
            step=_STEP,
            help=_("Blurred and repeated frames are skipped."),
            key="video-photos",
        )
        submitted = st.form_submit_button(
            _("Add photos from this video"), icon=":material/movie:", type="primary"
        )
    if submitted and not name.strip():
        st.error(_("The class needs a name. Type what the video shows, for example: cat."))
    elif submitted and not file:
        st.error(_("There is no video yet. Choose a video of this class."))
    elif submitted and file:
        guarded(_start)(session, dataset, file, name, num_photos)


def _start(
    session: Session, dataset: ImageDataset | None, file: UploadedFile, name: str, num_photos: int
) -> None:
    extended = dataset or create_dataset(workspace(), _("My photos"))
    start_video(extended, file, file.name, name, num_photos)
    session.video_dataset_id = extended.id
    session.is_adding = True
    session.num_files_taken += 1
    free_upload(file)
    st.rerun()
