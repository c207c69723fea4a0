"""The comparison of runs: their differences, their curves, and whether one is better."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from pages.ui.app.deleted_run import delete_run
from pages.ui.app.glossary import explain
from pages.ui.app.page import guarded
from pages.ui.app.pictures import thumbnails
from pages.ui.app.process import stored_evaluation, workspace
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from pages.ui.app.words import plain
from pages.ui.compare.table import RunRow, plain_title
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import NotFoundError
from transfer_core.evaluation.comparison import ChangedPhoto, Comparison, compare, verdict
from transfer_core.language import _
from transfer_core.runs.differences import difference_sentence, differences
from transfer_core.runs.run_status import ACTIVE
from transfer_core.training.train import MODEL_FILE

_PHOTOS_SHOWN = 24
# Lines differ in dash and symbol as well as in colour.
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
_SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up")


def show_comparison(session: Session, rows: Sequence[RunRow]) -> None:
    """Draw the picked runs, and the comparison if there are two or more."""
    for number, row in enumerate(rows, 1):
        guarded(_show_run)(session, number, row)
    if len(rows) < 2:
        st.info(_("Pick one more run to compare it with."), icon=":material/compare_arrows:")
        return
    found = differences([row.run for row in rows])
    st.subheader(_("What was different"), anchor=False)
    st.markdown(plain(difference_sentence(found)))
    if found:
        columns = [_("Choice"), *(_("Run {number}").format(number=place + 1) for place in range(len(rows)))]
        table = [[one.title, *(_value_words(value) for value in one.values)] for one in found]
        st.dataframe(pd.DataFrame(table, columns=columns), hide_index=True, key="differences")
    st.subheader(_("How they learned"), anchor=False)
    _show_curves(rows)
    _show_verdicts(rows)


def _show_run(session: Session, number: int, row: RunRow) -> None:
    run = row.run
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"picked-{run.id}"):
        st.markdown(_("**Run {number}:** {title}").format(number=number, title=plain_title(row)))
        if (run.folder / MODEL_FILE).is_file() and st.button(_("Results"), key=f"results-{run.id}"):
            session.look_at(run.id)
            st.switch_page(Step.RESULTS.page)
        if st.button(
            _("Use its choices"),
            key=f"clone-{run.id}",
            help=_("Take all choices of this run to the Train page, to change some and train again."),
        ):
            session.choose_run(run)
            session.change_choices()
            st.switch_page(Step.TRAIN.page)
        if row.status not in ACTIVE and st.button(
            _("Delete"), key=f"delete-{run.id}", icon=":material/delete:", type="tertiary"
        ):
            delete_run(session, run.id)


def _value_words(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or _("none")
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return f"{value:g}" if isinstance(value, float) else str(value)


def _show_curves(rows: Sequence[RunRow]) -> None:
    figure = go.Figure()
    for place, row in enumerate(rows):
        epochs = row.snapshot.epochs
        figure.add_scatter(
            x=[epoch.epoch for epoch in epochs],
            y=[epoch.val_accuracy for epoch in epochs],
            name=_("Run {number}").format(number=place + 1),
            mode="lines+markers" if len(epochs) < 60 else "lines",
            line={"width": 3, "dash": _DASHES[place % len(_DASHES)]},
            marker={"symbol": _SYMBOLS[place % len(_SYMBOLS)], "size": 7},
        )
    figure.update_layout(
        height=340,
        margin={"l": 0, "r": 0, "t": 30, "b": 0},
        legend={"orientation": "h", "y": 1, "yanchor": "bottom"},
        xaxis={"title": _("epoch"), "rangemode": "tozero"},
        yaxis={"title": _("right on validation"), "tickformat": ".0%", "range": [0, 1.02]},
    )
    described = "; ".join(
        _("run {number}: {accuracy:.0%} right at the epoch that was kept").format(
            number=place, accuracy=row.accuracy
        )
        for place, row in enumerate(rows, 1)
        if row.accuracy is not None
    )
    st.plotly_chart(figure, key="compared-curves", config={"displayModeBar": False}, alt=described)


def _show_verdicts(rows: Sequence[RunRow]) -> None:
    st.subheader(_("Is one better?"), anchor=False, help=explain("mcnemar"))
    evaluations = [stored_evaluation(row.run.id) for row in rows]
    if evaluations[0] is None:
        st.info(_("Run 1 has no model that could be checked, so the others cannot be compared with it."))
        return
    for number, (row, evaluation) in enumerate(zip(rows[1:], evaluations[1:], strict=True), 2):
        if len(rows) > 2:
            st.markdown(_("**Run {number} against run 1**").format(number=number))
        if evaluation is None:
            st.info(_("Run {number} has no model that could be checked.").format(number=number))
            continue
        comparison = compare(evaluations[0], evaluation)
        _show_verdict(comparison, row, number)


def _show_verdict(comparison: Comparison, row: RunRow, number: int) -> None:
    icon = ":material/verified:" if comparison.is_beyond_chance else ":material/casino:"
    st.info(
        _("First is run 1, second is run {number}. {verdict}").format(
            number=number, verdict=verdict(comparison)
        ),
        icon=icon,
    )
    if comparison.num_left_out:
        st.caption(
            _("Only the {count} photos that both were checked with under the same label count.").format(
                count=len(comparison.photos)
            )
        )
    if not comparison.photos:
        return
    st.markdown(_("**Class by class**"))
    table = [
        [
            change.class_name,
            change.num_images,
            100 * change.num_right_before / change.num_images,
            100 * change.num_right_after / change.num_images,
            change.num_right_after - change.num_right_before,
        ]
        for change in comparison.per_class
    ]
    config = st.column_config
    percent = config.ProgressColumn(format="%.0f %%", min_value=0, max_value=100)
    first, second = _("Run 1 right"), _("Run {number} right").format(number=number)
    names = [_("Class"), _("Photos"), first, second, _("More photos right")]
    columns = {
        first: percent,
        second: percent,
        names[4]: config.NumberColumn(format="%+d"),
    }
    frame = pd.DataFrame(table, columns=names)
    st.dataframe(frame, hide_index=True, column_config=columns, key=f"classes-{row.run.id}")
    titles = (
        (_("Now right"), comparison.won, "won"),
        (_("Now wrong"), comparison.lost, "lost"),
    )
    for title, photos, name in titles:
        if photos:
            st.markdown(f"**{title}: {len(photos)}**")
            _show_photos(row, photos, name)


def _show_photos(row: RunRow, photos: Sequence[ChangedPhoto], name: str) -> None:
    try:
        dataset = ImageDataset.load(workspace(), row.run.dataset_id)
    except NotFoundError:
        st.caption(_("The photos themselves are gone."))
        return
    found = ((photo, dataset.find(photo.after.image_id)) for photo in photos)
    there = [(photo, image) for photo, image in found if image][:_PHOTOS_SHOWN]
    sources = thumbnails(tuple(str(dataset.image_path(image)) for _photo, image in there))
    shown = [(source, photo) for source, (photo, _image) in zip(sources, there, strict=True) if source]
    if not shown:
        return
    captions = [
        _("{true}: first {before}, now {after}").format(
            true=plain(photo.after.class_name),
            before=plain(photo.before.predicted_class_name),
            after=plain(photo.after.predicted_class_name),
        )
        for _source, photo in shown
    ]
    with st.container(key=f"changed-{name}-{row.run.id}"):
        st.image([source for source, _photo in shown], caption=captions, width=128)
