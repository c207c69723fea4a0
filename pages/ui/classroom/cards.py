"""Who is here: a card for each pupil, kept up to date."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import streamlit as st

from pages.ui.app.computers import waiting_for_computer_words
from pages.ui.app.session import Session
from pages.ui.app.words import phase_words, status_words
from pages.ui.classroom.code_strip import here_words
from pages.ui.classroom.teacher import for_teacher
from pages.ui.components.class_board import CardPhoto, CardWords, show_class_board
from pages.ui.server.attendance import attendance
from pages.ui.server.class_routes import photo_address
from pages.ui.server.service import service
from transfer_core.classroom.board import Card, Training, card_of
from transfer_core.classroom.people import people
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import ImageRecord
from transfer_core.language import _, percent, plural, time_words

_NUM_PHOTOS = 4


def show_cards(session: Session) -> None:
    """Draw the cards of all pupils, every two seconds."""
    st.fragment(for_teacher(_show_cards), run_every="2s")(session)


def _show_cards(session: Session) -> None:
    server = service().workspace
    found = people(server)
    if not found:
        st.info(
            _("Nobody is here yet. Pupils open the address and type the code."), icon=":material/group_add:"
        )
        return
    st.caption(here_words())
    action = show_class_board([_words_of(card_of(server, person)) for person in found], "class-board")
    if action is None:
        return
    kind, person_id = action
    if kind == "show":
        session.projected = person_id
    elif kind == "open":
        session.opened_person_id = person_id
    else:
        session.to_remove = ("person", person_id)
    st.rerun()


def _words_of(card: Card) -> CardWords:
    person, model, training = card.person, card.model, card.training
    evaluation = model.evaluation if model else None
    num_wrong = evaluation.is_right.count(False) if evaluation else 0
    return CardWords(
        id=person.id,
        name=person.name,
        is_here=attendance.is_here(person.id),
        when=when_words(person.id),
        counts=counts_words(card),
        photos=_photos(person.id, card.dataset, card.newest_photos(_NUM_PHOTOS)),
        stage=stage_words(training) if training else "",
        share=training.snapshot.share if training else 0.0,
        accuracy=percent(evaluation.accuracy) if evaluation else "",
        mistake_words=plural("{count} mistake", "{count} mistakes", num_wrong),
        mistakes=_photos(person.id, model.dataset, model.mistakes(_NUM_PHOTOS)) if model else (),
    )


def when_words(person_id: str) -> str:
    """Return whether a pupil is here, or since when they are away."""
    if attendance.is_here(person_id):
        return _("here")
    seen = attendance.last_seen(person_id)
    return _("away since {time}").format(time=time_words(datetime.fromtimestamp(seen))) if seen else _("away")


def counts_words(card: Card) -> str:
    """Return how many photos and classes a pupil has."""
    if card.dataset is None:
        return _("No photos yet")
    return _("{photos} in {classes}").format(
        photos=plural("{count} photo", "{count} photos", len(card.dataset.images)),
        classes=plural("{count} class", "{count} classes", len(card.dataset.class_names)),
    )


def stage_words(training: Training) -> str:
    """Return what a training does now."""
    snapshot = training.snapshot
    if training.status == "queued":
        return status_words("queued").state
    if snapshot.is_lost:
        return waiting_for_computer_words()
    words = phase_words(snapshot) if training.status == "running" else status_words("paused").state
    # Whoever draws it escapes it.
    return f"{words}\u00a0·\u00a0{snapshot.place.node}" if snapshot.place else words


def _photos(person_id: str, dataset: ImageDataset | None, images: Sequence[ImageRecord]) -> list[CardPhoto]:
    if dataset is None:
        return []
    return [CardPhoto(photo_address(person_id, dataset.id, image.id), image.class_name) for image in images]
