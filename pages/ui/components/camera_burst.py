"""The component that records camera frames into a class while a button is held."""

from __future__ import annotations

import base64
import binascii
from functools import partial
from typing import Any

import streamlit as st

from pages.ui.app.arrivals import Recording
from pages.ui.app.look_ahead import look_ahead
from pages.ui.app.page import guarded, guarded_callback
from pages.ui.app.pictures import thumbnails
from pages.ui.app.process import workspace
from pages.ui.app.session import Session, write_address
from pages.ui.app.words import plain
from pages.ui.components.camera import camera_component, camera_words
from pages.ui.components.component import sent_message
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_to_latest, create_dataset
from transfer_core.data.sources.imported_file import MAX_NAME_LENGTH, clean_name
from transfer_core.data.sources.upload import uploaded_file
from transfer_core.errors import IngestError, TransferStudioError
from transfer_core.language import _, plural, sort_key
from transfer_core.runs.recordings import discard_recording

_KEY = "camera-burst"
_NUM_THUMBNAILS = 6


@st.fragment
def show_camera_burst(session: Session, dataset: ImageDataset | None) -> None:
    """Let the person record images with the camera; each press of the button is one recording.

    Args:
        session: Gets the dataset when its first frame has arrived.
        dataset: Gets the frames. None creates a dataset.
    """
    st.caption(
        _(
            "Record each class twice, from different angles. Then we never validate on a recording we trained on."
        )
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
            "class_names": sorted(target.class_names, key=sort_key) if target else [],
            "max_name_length": MAX_NAME_LENGTH,
            "words": _words(),
        },
        on_frame_change=partial(guarded_callback(_take_frame), session, target),
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
    """Return the dataset that gets the frames. Before the next redraw it is the dataset of the recording."""
    recording = session.recording
    if recording and not recording.is_shown and recording.dataset.id == session.dataset_id:
        return session.dataset
    return dataset


def _show_recording(session: Session, recording: Recording) -> None:
    """Draw the last frames of a recording, with a button that deletes it."""
    if recording.is_discarded:
        st.caption(_("The recording was thrown away."))
        return
    dataset = session.dataset
    if dataset is None or dataset.id != recording.dataset.id or not recording.num_frames:
        return
    frames = [image for image in dataset.images if image.burst == recording.id]
    if not frames:
        st.caption(_("Nothing new was on these photos."))
        return
    st.markdown(_recorded_words(recording, len(frames)))
    shown = frames[-_NUM_THUMBNAILS:]
    sources = thumbnails(tuple(str(dataset.image_path(frame)) for frame in shown))
    alt = _("A photo of {class_name}").format(class_name=recording.class_name)
    with st.container(key="strip-recording"):
        st.image([source for source in sources if source], alt=[alt for source in sources if source])
    if st.button(_("Throw this recording away"), icon=":material/delete:", key=f"throw-away-{recording.id}"):
        guarded(_throw_away)(session, dataset, recording)


def _recorded_words(recording: Recording, num_kept: int) -> str:
    text = plural(
        "{count} photo added to **{class_name}**.",
        "{count} photos added to **{class_name}**.",
        num_kept,
        class_name=plain(recording.class_name),
    )
    if num_same := recording.num_frames - num_kept:
        text += " " + plural(
            "{count} was the same as another photo and was left out.",
            "{count} were the same as other photos and were left out.",
            num_same,
        )
    return text


def _throw_away(session: Session, dataset: ImageDataset, recording: Recording) -> None:
    kept = discard_recording(dataset, recording.id)
    recording.is_discarded = True
    session.dataset_id = kept.id if kept else None
    st.rerun()


def _take_frame(session: Session, dataset: ImageDataset | None) -> None:
    """Process a message of the browser; each frame is saved at once."""
    message = sent_message(_KEY, "frame", "recording")
    if message is None:
        return
    recording = session.recording
    if recording is None or recording.id != message["recording"]:
        dataset = dataset or create_dataset(workspace(), _("My photos"), dataset_id=session.new_dataset_id)
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
        raise IngestError(_("The class needs a name. Type what the photos show, for example: cat."))
    file = uploaded_file(f"camera-{recording.id}-{message['number']:04d}.jpg", _content(message))
    before, after = add_to_latest(
        partial(_present, recording), [file], class_name=recording.class_name, burst=recording.id
    )
    recording.num_frames += 1
    if len(after.images) > len(before.images):
        session.dataset_id = after.id
        look_ahead(session)


def _content(message: dict[str, Any]) -> bytes:
    try:
        return base64.b64decode(message["content"], validate=True)
    except (binascii.Error, TypeError) as error:
        raise IngestError(_("A photo arrived damaged. Record once more.")) from error


def _present(recording: Recording) -> ImageDataset:
    """Load the dataset again, since another part of the page may have changed it between two frames."""
    if recording.dataset.id in workspace().dataset_ids():
        return ImageDataset.load(workspace(), recording.dataset.id)
    return recording.dataset


def _words() -> dict[str, str]:
    return {
        **camera_words(),
        "hint": _("Hold a thing up to the camera. It takes four photos a second while you record."),
        "name": _("Name of the class"),
        "example": _("for example: cat"),
        "nameless": _("The class needs a name first."),
        "record": _("Hold to record"),
        "recording": _("Recording … let go to stop"),
        "count": _("Photos: {count}"),
        "insecure": _(
            "The camera needs an https address, or the computer that runs the app (localhost). "
            "Open the app there, or add photos as a folder."
        ),
        "NotFoundError": _("No camera was found. Connect one and try again, or add photos as a folder."),
        "unplugged": _("The camera was disconnected. Your photos are kept. Connect it and try again."),
    }
