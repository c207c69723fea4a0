"""The component that shows the classes as cards, which take photos from files and from the camera."""

from __future__ import annotations

import base64
import binascii
from functools import partial
from typing import Any

import streamlit as st

from pages.ui.app.arrivals import CardMessages
from pages.ui.app.look_ahead import look_ahead
from pages.ui.app.page import guarded_callback
from pages.ui.app.pictures import thumbnails
from pages.ui.app.process import workspace
from pages.ui.app.session import Session, write_address
from pages.ui.components.camera import camera_component, camera_words
from pages.ui.components.component import is_browser_id, sent_message
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_to_latest, create_dataset
from transfer_core.data.limits import limits
from transfer_core.data.sources.imported_file import MAX_NAME_LENGTH, ImportedFile, clean_name
from transfer_core.data.sources.upload import uploaded_file
from transfer_core.errors import IngestError, InvalidConfigError, TransferStudioError
from transfer_core.language import _, sort_key

_KEY = "class-cards"
_THUMBNAILS_SHOWN = 12
_THUMBNAIL_SIDE = 96


@st.fragment
def show_class_cards(session: Session) -> None:
    """Draw a card for each class, to name it, delete it, and add photos to it.

    Args:
        session: Its dataset gets the photos. Without one a dataset is created.
    """
    messages = session.card_messages
    is_under_way = bool(messages and messages.is_under_way)
    camera_component("class_cards")(
        key=_KEY,
        data={
            "control": "",
            "page": messages.page if messages else None,
            "acknowledged": messages.num_messages if messages else 0,
            "problem": messages.problem if messages else "",
            "deleted": _("“{name}” was deleted.").format(name=messages.deleted)
            if messages and messages.deleted
            else "",
            "dataset": session.dataset_id,
            "classes": None if is_under_way else _classes(session.dataset),
            "max_name_length": MAX_NAME_LENGTH,
            "max_file_bytes": limits().file_bytes,
            "words": _words(),
        },
        on_message_change=partial(guarded_callback(_take_message), session),
    )
    write_address(session)
    if messages and not messages.is_shown:
        messages.is_shown = True
        st.rerun()


def _classes(dataset: ImageDataset | None) -> list[dict[str, Any]]:
    """Return name, count and latest photos of each class."""
    if dataset is None:
        return []
    found = []
    counts = dataset.counts()
    for name in sorted(counts, key=sort_key):
        images = [image for image in dataset.images if image.class_name == name]
        newest = sorted(images, key=lambda image: image.number, reverse=True)[:_THUMBNAILS_SHOWN]
        paths = tuple(str(dataset.image_path(image)) for image in newest)
        found.append(
            {
                "name": name,
                "count": counts[name],
                "thumbnails": [*filter(None, thumbnails(paths, _THUMBNAIL_SIDE))],
            }
        )
    return found


def _take_message(session: Session) -> None:
    """Process a message of the browser. It repeats one whose answer did not reach it."""
    message = sent_message(_KEY, "message", "page")
    if message is None:
        return
    messages = session.card_messages
    if messages is None or messages.page != message["page"]:
        messages = session.card_messages = CardMessages(message["page"])
    if message["number"] <= messages.num_messages:
        return
    messages.num_messages = message["number"]
    messages.is_under_way = message["kind"] == "photos"
    messages.is_shown = messages.is_under_way
    if message["kind"] != "end":
        messages.deleted = messages.problem = ""
    try:
        _act(session, messages, message)
    except TransferStudioError as error:
        messages.problem = str(error)
    look_ahead(session)


def _act(session: Session, messages: CardMessages, message: dict[str, Any]) -> None:
    match message["kind"]:
        case "photos":
            _add_photos(session, message)
        case "rename" if session.dataset:
            session.dataset.renamed_class(message["class_name"], message["new_name"]).save()
        case "delete" if session.dataset:
            session.dataset.without_class(message["class_name"]).save()
            messages.deleted = message["class_name"]
        case "undo" if session.dataset:
            session.dataset.undone().save()
        case "end":
            return
        case _:
            raise InvalidConfigError(_("The browser asked for something unknown. Load the page again."))


def _add_photos(session: Session, message: dict[str, Any]) -> None:
    """Add photos to a class; those of one press of the button are one recording."""
    class_name, recording = clean_name(message["class_name"]), message["recording"]
    if not class_name:
        raise IngestError(_("The class needs a name."))
    if recording and not is_browser_id(recording):
        raise InvalidConfigError(_("The browser asked for something unknown. Load the page again."))
    new = create_dataset(workspace(), _("My photos"), dataset_id=session.new_dataset_id)
    files = [_file(file) for file in message["files"]]
    before, after = add_to_latest(
        lambda: session.dataset or new, files, class_name=class_name, burst=recording
    )
    if len(after.images) > len(before.images):
        session.dataset_id = after.id
    elif not recording:
        raise IngestError(_("None of these files is a new photo."))


def _file(file: dict[str, Any]) -> ImportedFile:
    try:
        return uploaded_file(f"/{file['name']}", base64.b64decode(file["content"], validate=True))
    except (binascii.Error, TypeError) as error:
        raise IngestError(_("A photo arrived damaged. Add it once more.")) from error


def _words() -> dict[str, str]:
    return {
        **camera_words(),
        "hint": "",
        "class": _("Class {number}"),
        "name": _("Name of the class"),
        "taken": _("“{name}” is there already. Choose another name."),
        "add": _("Add photos"),
        "delete": _("Delete the class"),
        "drop": _("Drop or choose photos"),
        "photos": _("{count} photos of {name}"),
        "record": _("Hold to record"),
        "held": _("Recording … let go to stop"),
        "recording": _("Recording"),
        "reading": _("{done} of {all} photos"),
        "too_large": _("{count} files are too large."),
        "another": _("another class"),
        "undo": _("Undo"),
        "insecure": _("Cameras need https or this computer. Drop photos instead."),
        "NotFoundError": _("No camera was found. Drop photos instead."),
        "unplugged": _("The camera was disconnected. Your photos are kept."),
    }
