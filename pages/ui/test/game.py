"""The guessing game of the Test page: first people sort ten photos, then they meet the score of the model."""

from __future__ import annotations

from contextlib import nullcontext
from html import escape

import streamlit as st

from pages.ui.app.process import answer_version, predictor, stored_evaluation, work_queue, workspace
from pages.ui.app.session import Session
from pages.ui.app.task_progress import result_of
from pages.ui.app.words import labelled
from pages.ui.components.guess_game import show_guess_game
from pages.ui.results.photo_sets import dataset_of
from pages.ui.test.photo_choice import photo_address
from transfer_core.inference.answers import Answer
from transfer_core.language import _, plural
from transfer_core.runs.guessing import Quiz, draw_quiz
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.task import Task
from transfer_core.work.tasks import answers_task

_SHOWN_SIDE = 480  # pixels
_DIFFERENCE_SIDE = 256  # pixels


def show_game(session: Session, run: TrainingRun) -> None:
    """Draw a round of the game, or its result.

    Args:
        session: Keeps the round and the guesses.
        run: A run with a model.
    """
    quiz = draw_quiz(run, dataset_of(run), stored_evaluation(run.id), session.quiz_round)
    if not quiz.photos:
        st.info(_("There are no photos to play with. Add test photos on the Results page."))
        return
    round_id = f"{run.id}-{session.quiz_round}"
    guesses = session.guesses.get(round_id)
    if guesses is None:
        # The answers are then there when the last photo is sorted.
        if not quiz.is_validation:
            _scoring(run, quiz, round_id)
        st.header(_("Can you beat your model?"), anchor=False)
        st.caption(_sentence(quiz))
        photos = [photo_address(run, photo.file, _SHOWN_SIDE) for photo in quiz.photos]
        show_guess_game(session, round_id, photos, run.class_names)
    else:
        _show_result(session, run, quiz, round_id, guesses)


def _sentence(quiz: Quiz) -> str:
    count = len(quiz.photos)
    if quiz.is_validation:
        return plural(
            "Sort {count} validation photo. The model that judges it was not trained on it.",
            "Sort {count} validation photos. The model that judges each was not trained on it.",
            count,
        )
    return plural(
        "Sort {count} photo that your model has never seen.",
        "Sort {count} photos that your model has never seen.",
        count,
    )


def _show_result(
    session: Session, run: TrainingRun, quiz: Quiz, round_id: str, guesses: tuple[str, ...]
) -> None:
    quiz = _with_answers(run, quiz, round_id)
    said = [photo.said for photo in quiz.photos]
    total, yours, its = len(quiz.photos), quiz.num_right(guesses), quiz.num_right(said)
    st.header(_verdict(yours, its), anchor=False)
    with st.container(horizontal=True, vertical_alignment="center", gap="large"):
        st.html(
            '<div class="score" role="status">'
            + _score_bar(_("You"), yours, total)
            + _score_bar(_("Your model"), its, total)
            + "</div>",
            width="stretch",
        )
        if st.button(_("Play again"), icon=":material/replay:", key="play-again"):
            session.quiz_round += 1
            st.rerun()
    _show_differences(run, quiz, guesses)


def _with_answers(run: TrainingRun, quiz: Quiz, round_id: str) -> Quiz:
    """Return the quiz with what the model says: from its evaluation, or computed by the queue."""
    if quiz.is_validation:
        return quiz
    answers = result_of(_scoring(run, quiz, round_id), _("Your model is guessing …"), name="quiz")
    return quiz.answered([answer.prediction.best_guess if answer.prediction else "" for answer in answers])


def _scoring(run: TrainingRun, quiz: Quiz, round_id: str) -> Task[list[Answer]]:
    files = [photo.file for photo in quiz.photos]
    key = (round_id, answer_version(run.id))
    return work_queue().get_or_start(
        answers_task(key, predictor(run.id), lambda: nullcontext(files), workspace().owner)
    )


def _verdict(yours: int, its: int) -> str:
    if yours > its:
        return _("You win!")
    return _("Your model wins!") if its > yours else _("A draw!")


def _score_bar(name: str, num_right: int, total: int) -> str:
    words = _("{num_right} of {total}").format(num_right=num_right, total=total)
    return (
        f'<span class="score-name">{escape(name)}</span>'
        f'<span class="bars-track" aria-hidden="true"><span class="bars-fill" '
        f'style="width:{num_right / total:.0%}"></span></span>'
        f'<span class="score-number">{escape(words)}</span>'
    )


def _show_differences(run: TrainingRun, quiz: Quiz, guesses: tuple[str, ...]) -> None:
    """Draw the photos on which people and model differ."""
    pairs = zip(quiz.photos, guesses, strict=True)
    differing = [(photo, guess) for photo, guess in pairs if photo.said != guess]
    if not differing:
        st.markdown(_("You and your model gave the same answers."))
        return
    st.header(_("Where you differ"), anchor=False)
    cards = []
    for photo, guess in differing:
        source = photo_address(run, photo.file, _DIFFERENCE_SIDE)
        rows = [
            _answer_row(_("You"), guess, guess == photo.class_name),
            _answer_row(_("Your model"), photo.said, photo.said == photo.class_name),
        ]
        if photo.class_name not in (guess, photo.said):
            rows.append(f"<span>{escape(_('It is {name}.').format(name=photo.class_name))}</span>")
        alt = escape(_("A photo of {name}").format(name=photo.class_name), quote=True)
        cards.append(
            f'<figure><img src="{source}" alt="{alt}"><figcaption>{"".join(rows)}</figcaption></figure>'
        )
    st.html(f'<div class="differences">{"".join(cards)}</div>')


def _answer_row(who: str, name: str, is_right: bool) -> str:
    mark, words = ("check_circle", _("right")) if is_right else ("cancel", _("wrong"))
    return (
        f'<span><span class="differences-mark differences-{mark}" role="img" aria-label="{escape(words)}">'
        f"{mark}</span> {labelled(escape(who), f'<strong>{escape(name)}</strong>')}</span>"
    )
