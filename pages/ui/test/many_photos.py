"""The predictions for many new photos as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pandas as pd
import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.page import guarded
from pages.ui.app.paging import page_of, show_left_out_files
from pages.ui.app.pictures import data_url
from pages.ui.app.process import answer_version, predictor, work_queue, workspace
from pages.ui.app.session import Session
from pages.ui.app.task_progress import result_of
from pages.ui.app.words import percent_format, plain
from pages.ui.results.photo_sets import dataset_of
from pages.ui.test.add_test_photos import UnlabelledPhotos, collect_many_photos
from pages.ui.test.answer import Runs
from pages.ui.test.predictions import show_card
from transfer_core.errors import WorkspaceError
from transfer_core.inference.answers import Answer, answers_csv, least_sure_first
from transfer_core.inference.predictor import Prediction
from transfer_core.language import _, names_list, percent, plural
from transfer_core.runs.leakage import seen_in_training
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.tasks import answers_task

ROWS_A_PAGE = 100
_ROW_HEIGHT = 72
_MOST_ROWS_IN_SIGHT = 7
_CLASSES_NAMED = 12

Scored = list[tuple[Answer, Prediction]]


def show_folder(session: Session, runs: Runs) -> None:
    """Let the person bring a folder or an archive, and draw the table of its photos.

    Args:
        session: Keeps the answers until other photos are added.
        runs: The run to test, and optionally a second one to compare it with.

    Raises:
        IngestError: If the archive is damaged or exceeds the limits.
    """
    photos = collect_many_photos()
    if photos:
        show_many_photos(session, runs, photos)
    else:
        st.caption(_("You get a table of all photos with their answers. Nothing is kept."))


def show_many_photos(session: Session, runs: Runs, photos: UnlabelledPhotos) -> None:
    """Classify photos and draw the table, and below it the photo whose row is clicked.

    Args:
        session: Keeps the answers until other photos are added.
        runs: The run to test, and optionally a second one to compare it with.
        photos: From a folder or an archive.

    Raises:
        IngestError: If the archive is damaged or exceeds the limits.
    """
    answers = [_answers(session, run, photos) for run in runs]
    scored = least_sure_first(answers[0])
    _show_summary(runs[0], answers[0], scored)
    _show_num_seen(runs[0], [answer for answer, _found in scored])
    _show_left_out(answers[0])
    if not scored:
        return
    others = {answer.position: answer.prediction for answer in answers[1]} if len(runs) > 1 else {}
    picked = _show_table(scored, others, key=f"answers-{hash((*photos.key, *(run.id for run in runs)))}")
    if picked is not None:
        guarded(_show_picked)(session, runs, photos, picked.position)


def _answers(session: Session, run: TrainingRun, photos: UnlabelledPhotos) -> Sequence[Answer]:
    """Return the answers, computed once for each set of photos, model and limits."""
    if session.answered_photos != photos.key:
        session.answered_photos = photos.key
        session.answers = {}
    key = (run.id, answer_version(run.id))
    if key not in session.answers:
        task = work_queue().get_or_start(
            answers_task((photos.key, *key), predictor(run.id), photos.opened, workspace().owner)
        )
        answers = result_of(task, _("Reading your photos …"), name="answers")
        session.answers[key] = answers
        # The photos are the person's own: nobody but this session keeps what is on them.
        work_queue().forget(task)
    return session.answers[key]


def _show_summary(run: TrainingRun, answers: Sequence[Answer], scored: Scored) -> None:
    """Draw the number of photos of each answer, with the download of the table."""
    said = Counter(found.class_name for _answer, found in scored if found.class_name)
    parts = [
        _("{count:,} {name}").format(count=count, name=plain(name))
        for name, count in said.most_common(_CLASSES_NAMED)
    ]
    if num_others := said.total() - sum(count for _name, count in said.most_common(_CLASSES_NAMED)):
        parts.append(plural("{count} of another class", "{count} of other classes", num_others))
    if num_unknown := len(scored) - said.total():
        parts.append(plural("{count} without an answer", "{count} without an answer", num_unknown))
    photos = plural("**{count} photo**", "**{count} photos**", len(scored))
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(
            _("{photos}: {answers}.").format(photos=photos, answers=names_list(parts))
            if parts
            else _("No photo could be read.")
        )
        st.download_button(
            _("Download the answers (CSV)"),
            data=lambda: answers_csv(run.class_names, answers),
            file_name="answers.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
            help=_("A table for a spreadsheet, with the probability of every class."),
        )


def _show_num_seen(run: TrainingRun, answers: Sequence[Answer]) -> None:
    known_by = [(answer.image_id, answer.fingerprint) for answer in answers]
    # Runs of version 0.1 did not store which images they were trained on.
    with suppress(WorkspaceError):
        num_seen = sum(seen_in_training(run, dataset_of(run), known_by))
        if num_seen:
            st.caption(
                plural(
                    "{count} of {total} photos was used in the training, so it is no test.",
                    "{count} of {total} photos were used in the training, so they are no test.",
                    num_seen,
                    total=len(answers),
                )
            )


def _show_left_out(answers: Sequence[Answer]) -> None:
    left_out = [answer for answer in answers if answer.prediction is None]
    if not left_out:
        return
    title = plural("{count} file was left out", "{count} files were left out", len(left_out))
    with st.expander(title, icon=":material/warning:"):
        show_left_out_files([(answer.path, answer.reason) for answer in left_out], "files-left-out")


def _show_table(scored: Scored, others: dict[int, Prediction | None], key: str) -> Answer | None:
    """Draw a row for each photo of a page and return the answer whose row is selected."""
    if len(scored) > ROWS_A_PAGE:
        scored = _in_chosen_order(scored, key)
    _first, shown = page_of(scored, ROWS_A_PAGE, key)
    st.caption(
        _("The least sure first. Click the box before a photo to see it large.")
        if len(scored) <= ROWS_A_PAGE
        else _("A heading sorts this page. Click the box before a photo to see it large.")
    )
    columns = _columns()
    if not others:
        del columns["other"]
    rows = [_cells(answer, found, others.get(answer.position)) for answer, found in shown]
    event = st.dataframe(
        pd.DataFrame(rows, columns=list(columns)),
        hide_index=True,
        column_config=columns,
        row_height=_ROW_HEIGHT,
        height=40 + _ROW_HEIGHT * min(len(rows), _MOST_ROWS_IN_SIGHT),
        on_select="rerun",
        selection_mode="single-row",
        key=f"{key}-{hash(tuple(answer.position for answer, _found in shown))}",
    )
    picked = event["selection"]["rows"]
    return shown[picked[0]][0] if picked and picked[0] < len(shown) else None


def _in_chosen_order(scored: Scored, key: str) -> Scored:
    """Let the person sort all pages; a click on a heading sorts the rows of one page only."""
    orders: dict[str, tuple[str, Callable[[tuple[Answer, Prediction]], Any]]] = {
        "unsure": (_("Least sure first"), lambda _pair: 0),
        "sure": (_("Surest first"), lambda pair: -pair[1].probability),
        "answer": (_("By answer"), lambda pair: (not pair[1].is_known, pair[1].best_guess)),
        "file": (_("By file"), lambda pair: pair[0].path),
    }
    chosen = st.segmented_control(
        _("Order"),
        list(orders),
        default="unsure",
        required=True,
        format_func=lambda name: orders[name][0],
        key=f"{key}-order",
    )
    return sorted(scored, key=orders[chosen or "unsure"][1])


def _columns() -> dict[str, Any]:
    config = st.column_config
    return {
        "photo": config.ImageColumn(_("Photo"), width=88),
        "answer": config.TextColumn(_("Answer"), width=140, help=explain("i don't know")),
        "certainty": config.ProgressColumn(
            _("Probability"),
            format=percent_format(),
            min_value=0,
            max_value=100,
            width=140,
            help=explain("probability"),
        ),
        "guess": config.TextColumn(_("Best guess"), width=120),
        "other": config.TextColumn(_("The other model"), width=170, help=explain("two models")),
        "file": config.TextColumn(_("File"), width="large"),
    }


def _other_words(found: Prediction) -> str:
    return _("{answer}, {probability}").format(
        answer=_answer_words(found), probability=percent(found.probability)
    )


def _cells(answer: Answer, found: Prediction, other: Prediction | None) -> dict[str, str | float]:
    return {
        "photo": data_url(answer.thumbnail),
        "answer": _answer_words(found),
        "certainty": 100 * found.probability,
        "guess": found.best_guess,
        "other": _other_words(other) if other else "",
        "file": answer.path,
    }


def _answer_words(found: Prediction) -> str:
    return found.class_name or _("I don't know")


def _show_picked(session: Session, runs: Runs, photos: UnlabelledPhotos, position: int) -> None:
    with photos.opened() as files, st.container(border=True):
        show_card(session, runs, files[position], f"row-{position}")
