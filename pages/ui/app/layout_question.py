"""The question to the person what the folders of an upload mean, with photos of each."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import streamlit as st

from pages.ui.app.arrivals import AskedLayout
from pages.ui.app.session import Session
from pages.ui.app.words import plain
from transfer_core.data.images.decoding import decode_image
from transfer_core.data.images.thumbnails import thumbnail
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.data.sources.layout import Reading, read_layout
from transfer_core.data.sources.layout_choice import LayoutQuestion, LayoutQuestionError
from transfer_core.errors import IngestError
from transfer_core.language import _

# In pixels: copies have two for each that is drawn, for the screens of phones.
_THUMBNAIL_SIDE = 144
_DRAWN_SIDE = 72


def read_or_ask(session: Session, upload_id: str, files: Sequence[ImportedFile]) -> Reading | None:
    """Return files with their classes; None if the person must first be asked what the folders mean.

    Args:
        session: Keeps the question and the answer.
        upload_id: Names the upload.
        files: All its files.

    Raises:
        IngestError: If the answer does not fit the files.
    """
    asked = session.layouts.get(upload_id)
    choice = asked.choice if asked else None
    try:
        reading = read_layout(files, choice)
    except LayoutQuestionError as error:
        _ask(session, upload_id, error.question)
        return None
    if reading.alternative and choice is None:
        _ask(session, upload_id, reading.alternative)
        return None
    return reading


def is_answered(session: Session, upload_id: str) -> bool:
    """Return whether the files of an upload may be read; otherwise draw the question, or that it was declined."""
    asked = session.layouts.get(upload_id)
    if asked is None or asked.choice:
        return True
    asked.is_drawn = True
    if asked.is_declined:
        st.info(declined(), icon=":material/info:")
        return False
    with st.container(border=True, key="layout-question"):
        st.markdown(f":material/help: **{plain(asked.question.sentence)}**")
        for number, (name, pictures) in enumerate(asked.thumbnails.items()):
            _show_photos(number, name, pictures)
        _show_choices(asked)
    if asked.is_declined:
        st.rerun()
    return asked.choice is not None


def declined() -> str:
    """Return the sentence that no meaning of the folders was right."""
    return _("Nothing was added. Make a folder with the photos of each class, then choose it again.")


@contextmanager
def forgetting_lost_questions(session: Session) -> Iterator[None]:
    """Say once which uploads have left the page with an open question: those that the block does not draw."""
    for asked in session.layouts.values():
        asked.is_drawn = False
    yield
    lost = [key for key, asked in session.layouts.items() if asked.is_open and not asked.is_drawn]
    for key in lost:
        del session.layouts[key]
    if session.upload and session.upload.id in lost:
        session.upload = None
    if lost:
        st.info(unanswered(), icon=":material/info:")


def unanswered() -> str:
    """Return the sentence that an upload was left before its question was answered."""
    return _("Your answer was missing, so nothing was added. Choose the photos again.")


def _show_choices(asked: AskedLayout) -> None:
    choices = asked.question.choices
    with st.container(horizontal=True):
        for number, choice in enumerate(choices):
            kind: Literal["primary", "secondary"] = "secondary" if number else "primary"
            if st.button(plain(asked.question.answer(choice)), type=kind, key=f"layout-{number}"):
                asked.choose(choice)
        none = _("None of these") if len(choices) > 1 else _("No")
        if st.button(none, type="tertiary", key="layout-none"):
            asked.is_declined = True


def received_thumbnail(content: str) -> bytes:
    """Return a small copy of a photo that the browser made; empty if it is none.

    Args:
        content: A JPEG in base64.
    """
    try:
        return thumbnail(decode_image(base64.b64decode(content, validate=True)), _THUMBNAIL_SIDE)
    except (binascii.Error, TypeError, IngestError):
        return b""


def _ask(session: Session, upload_id: str, question: LayoutQuestion) -> None:
    thumbnails = {
        name: [small for file in files if (small := _small(file))] for name, files in question.samples.items()
    }
    session.layouts[upload_id] = AskedLayout(question, thumbnails)


def _small(file: ImportedFile) -> bytes:
    try:
        return thumbnail(decode_image(file.read()), _THUMBNAIL_SIDE)
    except IngestError:
        return b""


def _show_photos(number: int, name: str, pictures: Sequence[bytes]) -> None:
    st.markdown(plain(name))
    if pictures:
        described = [_("A photo in {folder}").format(folder=name)] * len(pictures)
        with st.container(key=f"strip-layout-{number}"):
            st.image(list(pictures), width=_DRAWN_SIDE, alt=described)
