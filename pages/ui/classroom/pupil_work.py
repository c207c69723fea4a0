"""The work of one pupil on the whole screen, for the projector. Nothing here changes anything of theirs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from html import escape

import streamlit as st

from pages.ui.app.session import Session
from pages.ui.app.words import expected_sentence, plain, short_names, time_left_words
from pages.ui.classroom.cards import counts_words, stage_words
from pages.ui.classroom.code_strip import show_close_button
from pages.ui.classroom.teacher import for_teacher
from pages.ui.components.confusion_matrix import choose_cell
from pages.ui.results.classes import cell_words
from pages.ui.results.headline import accuracy_sentence, mistakes_words
from pages.ui.results.photos import prediction_words
from pages.ui.server.class_routes import photo_address
from pages.ui.server.service import service
from pages.ui.train.charts import show_accuracy_chart
from transfer_core.classroom.board import Card, Model, Training, card_of
from transfer_core.classroom.people import get_person
from transfer_core.data.dataset import ImageDataset
from transfer_core.evaluation.evaluation import Evaluation, ImageOutcome
from transfer_core.evaluation.outcomes import in_cell, most_wrong
from transfer_core.language import _, number, sentences

_NUM_CLASSES = 8
_NUM_PHOTOS_A_CLASS = 12
_NUM_MISTAKES = 12
_LARGE = 192  # pixels


def show_pupil_work(session: Session) -> None:
    """Fill the screen with the work of the pupil whom the teacher shows."""
    with st.container(key="projector"):
        with st.container(horizontal=True, horizontal_alignment="right", key="projector-buttons"):
            is_hidden = st.toggle(_("Hide the name"), key="hide-name", width="content")
            show_close_button(session)
        st.fragment(for_teacher(_show_work), run_every="2s")(session.projected, is_hidden)


def _show_work(person_id: str, is_hidden: bool) -> None:
    server = service().workspace
    person = get_person(server, person_id)
    card = card_of(server, person)
    st.title(_("Somebody's work") if is_hidden else plain(person.name), anchor=False)
    st.markdown(counts_words(card))
    if card.training:
        _show_training(card.training)
    if card.model and card.model.evaluation:
        _show_model(card, card.model, card.model.evaluation)
    if card.dataset:
        st.html(_photo_strips(card))


def _show_training(training: Training) -> None:
    snapshot = training.snapshot.at(time.time())
    left, words = snapshot.seconds_left, plain(stage_words(training))
    st.progress(snapshot.share, text=words if left is None else f"{words} · {time_left_words(left)}")
    show_accuracy_chart(snapshot)


def _photo_strips(card: Card) -> str:
    """Return a line of photos for each class."""
    dataset = card.dataset
    assert dataset is not None
    strips = []
    for name, label in short_names(dataset.class_names[:_NUM_CLASSES]).items():
        images = [image for image in dataset.images if image.class_name == name]
        photos = [(image.id, image.class_name) for image in images[:_NUM_PHOTOS_A_CLASS]]
        count = f"<span>{number(len(images))}</span>"
        strips.append(
            f"<h3>{escape(label)} {count}</h3><div>{_pictures(card.person.id, dataset.id, photos)}</div>"
        )
    return f'<div class="pupil-strips">{"".join(strips)}</div>'


def _pictures(person_id: str, dataset_id: str, photos: Sequence[tuple[str, str]]) -> str:
    return "".join(
        f'<img src="{photo_address(person_id, dataset_id, image_id, _LARGE)}" alt="{escape(words)}">'
        for image_id, words in photos
    )


def _show_model(card: Card, model: Model, evaluation: Evaluation) -> None:
    st.markdown(
        sentences(accuracy_sentence(evaluation), expected_sentence(evaluation), mistakes_words(evaluation))
    )
    left, right = st.columns(2, gap="medium")
    with left:
        class_name, said = choose_cell(evaluation, f"projector-matrix-{model.run.id}")
    with right:
        found = in_cell(evaluation, class_name, said)
        st.subheader(cell_words(class_name, said, len(found)), anchor=False)
        if model.dataset:
            st.html(_outcomes(card.person.id, model.dataset, found[:_NUM_MISTAKES]))
    wrong = most_wrong(evaluation)
    if wrong and model.dataset:
        st.subheader(_("Mistakes"), anchor=False)
        st.html(_outcomes(card.person.id, model.dataset, wrong[:_NUM_MISTAKES]))


def _outcomes(person_id: str, dataset: ImageDataset, outcomes: Sequence[ImageOutcome]) -> str:
    """Return photos, each with what the model said."""
    figures = [
        f'<figure><img src="{photo_address(person_id, dataset.id, outcome.image_id, _LARGE)}" alt="">'
        f"<figcaption>{escape(prediction_words(outcome))}</figcaption></figure>"
        for outcome in outcomes
        if dataset.find(outcome.image_id)
    ]
    return f'<div class="pupil-outcomes">{"".join(figures)}</div>'
