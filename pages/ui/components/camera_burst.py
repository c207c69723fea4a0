"""The component that records camera frames into a class while a button is held."""

from __future__ import annotations

import base64
import binascii
from functools import partial
from typing import Any

import streamlit as st

from pages.ui.app.arrivals import Recording
from pages.ui.app.look_ahead import look_ahead
from pages.ui.app.page import guarded
from pages.ui.app.process import workspace
from pages.ui.app.session import Session, write_address
from pages.ui.app.words import plain
from pages.ui.components.camera import camera_component, camera_words
from pages.ui.components.component import sent_message
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import collect_files, create_dataset
from transfer_core.data.sources.imported_file import MAX_NAME_LENGTH, clean_name
from transfer_core.data.sources.upload import uploaded_file
from transfer_core.errors import IngestError, TransferStudioError
from transfer_core.language import _, plural

_KEY = "camera-burst"
_NUM_THUMBNAILS = 6


@st.fragment
def show_camera_burst(session: Session, dataset: ImageDataset | None) -> None:
    """Let the person record images with the camera; each press of the button is one recording.

    Args:
        session: Gets the dataset when its first frame has arrived.
        dataset: Gets the frames. None creates a dataset.
    """
    st.info(
        _(
            "Record each class at least twice, from different angles: one recording is never used to both learn from "
            "and check with."
        ),
        icon=":material/videocam:",
    )
    recording = session.recording
    target = _target(session, dataset)
    camera_component("camera_burst")(
        key=_KEY,
        data={
            "control": "image-source",
            "recording": recording.id if recording else None,
            "acknowledged": recording.num_messages if recording else 0,
            "num_frames": recording.num_frames if recording else 0,
            "is_complete": bool(recording and recording.is_complete),
            "has_failed": bool(recording and recording.problem),
            "class_names": list(target.class_names) if target else [],
            "max_name_length": MAX_NAME_LENGTH,
            "words": _words(),
        },
        on_frame_change=partial(guarded(_take_frame), session, target),
    )
    if recording is None:
        return
    if recording.problem:
        st.error(plain(recording.problem), icon=":material/error:")
    if recording.is_complete:
        _show_recording(session, recording)
        if not recording.is_shown:
            recording.is_shown = True
            st.rerun()
    write_address(session)


def _target(session: Session, dataset: ImageDataset | None) -> ImageDataset | None:
    """Return the dataset that gets the frames; recordings after the first join the dataset it created."""
    recording = session.recording
    if dataset is None and recording and recording.dataset.id == session.dataset_id:
        return session.dataset
    return dataset


def _show_recording(session: Session, recording: Recording) -> None:
    """Draw the last frames of a recording, with a button that removes it."""
    dataset = session.dataset
    if dataset is None or dataset.id != recording.dataset.id or not recording.num_frames:
        return
    frames = [image for image in dataset.images if image.burst == recording.id]
    if not frames:
        excluded = any(image.burst == recording.id for image in dataset.excluded)
        st.caption(_("The recording was thrown away.") if excluded else _("Nothing new was on these frames."))
        return
    st.markdown(_recorded_words(recording, len(frames)))
    with st.container(horizontal=True, gap="small"):
        for frame in frames[-_NUM_THUMBNAILS:]:
            alt = _("A frame of {class_name}").format(class_name=recording.class_name)
            st.image(dataset.image_path(frame), width=96, alt=alt)
    if st.button(_("Throw this recording away"), icon=":material/undo:", key=f"throw-away-{recording.id}"):
        guarded(_throw_away)(dataset, recording)


def _recorded_words(recording: Recording, num_kept: int) -> str:
    text = plural(
        "{count} frame was added to **{class_name}**.",
        "{count} frames were added to **{class_name}**.",
        num_kept,
        class_name=plain(recording.class_name),
    )
    if num_same := recording.num_frames - num_kept:
        text += " " + plural(
            "{count} showed exactly the same as one that is there, and was left out.",
            "{count} showed exactly the same as ones that are there, and were left out.",
            num_same,
        )
    return text


def _throw_away(dataset: ImageDataset, recording: Recording) -> None:
    dataset.without([image.id for image in dataset.images if image.burst == recording.id]).save()
    st.rerun()


def _take_frame(session: Session, dataset: ImageDataset | None) -> None:
    """Process a message of the browser; each frame is saved at once."""
    message = sent_message(_KEY, "frame", "recording")
    if message is None:
        return
    recording = session.recording
    if recording is None or recording.id != message["recording"]:
        dataset = dataset or create_dataset(workspace(), _("My photos"))
        recording = session.recording = Recording(message["recording"], dataset)
        # The camera keeps its place above the photos.
        session.is_adding = True
    if message["number"] <= recording.num_messages:
        return
    recording.num_messages = message["number"]
    recording.is_complete = bool(message["is_last"])
    if message["content"] is None:
        return
    try:
        _add_frame(session, recording, message)
    except TransferStudioError as error:
        recording.problem = str(error)


def _add_frame(session: Session, recording: Recording, message: dict[str, Any]) -> None:
    recording.class_name = clean_name(message["class_name"])
    if not recording.class_name:
        raise IngestError(_("The class needs a name. Type what is on the images, for example: cat."))
    file = uploaded_file(f"camera-{recording.id}-{message['number']:04d}.jpg", _content(message))
    present = _present(recording)
    collected = collect_files(present, [file], class_name=recording.class_name, burst=recording.id)
    recording.num_frames += 1
    if len(collected.images) > len(present.images):
        session.dataset_id = collected.save().id
        look_ahead(session)


def _content(message: dict[str, Any]) -> bytes:
    try:
        return base64.b64decode(message["content"], validate=True)
    except (binascii.Error, TypeError) as error:
        raise IngestError(_("A frame arrived damaged. Record once more.")) from error


def _present(recording: Recording) -> ImageDataset:
    """Load the dataset again, since another part of the page may have changed it between two frames."""
    if recording.dataset.id in workspace().dataset_ids():
        return ImageDataset.load(workspace(), recording.dataset.id)
    return recording.dataset


def _words() -> dict[str, str]:
    return {
        **camera_words(),
        "hint": _("Show something to the camera, and hold a button while it is recorded into a class."),
        "name": _("Name of the class"),
        "example": _("for example: cat"),
        "nameless": _("The class needs a name first."),
        "record": _("Hold to record"),
        "recording": _("Recording … let go to stop"),
        "count": _("{count} frames have arrived"),
        "insecure": _(
            "Browsers allow the camera only on https addresses, or on the computer that runs the app (localhost). "
            "Open the app there, or bring photos as a folder."
        ),
        "NotFoundError": _("No camera was found. Connect one and try again, or bring photos as a folder."),
        "unplugged": _("The camera was disconnected. What was recorded is kept. Connect it and try again."),
    }
