"""The comparison of runs: their differences, their curves, and whether one is better."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from pages.ui.app.deleted_run import delete_run
from pages.ui.app.glossary import explain
from pages.ui.app.page import guarded
from pages.ui.app.pictures import thumbnails
from pages.ui.app.plotly_figure import show_figure
from pages.ui.app.process import stored_evaluation, workspace
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from pages.ui.app.words import labelled, percent_format, plain
from pages.ui.compare.table import RunRow, plain_title
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import NotFoundError
from transfer_core.evaluation.comparison import ChangedPhoto, Comparison, compare, reasoning, verdict
from transfer_core.language import _, names_list, number_separators, percent, percent_sign, plural
from transfer_core.runs.differences import difference_sentence, differences
from transfer_core.runs.run_status import ACTIVE
from transfer_core.training.train import MODEL_FILE

_PHOTOS_SHOWN = 24
# Lines differ in dash and symbol as well as in colour.
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
_SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up")


def show_comparison(session: Session, rows: Sequence[RunRow]) -> None:
    """Draw the picked runs: which is better, how they learned, what was different."""
    if len(rows) > 1:
        _show_answers(rows)
    for number, row in enumerate(rows):
        guarded(_show_run)(session, _letter(number), row)
    if len(rows) < 2:
        st.info(_("Pick one more model to compare it with."), icon=":material/compare_arrows:")
        return
    _show_reasons(rows)
    _show_changed_photos(rows)
    st.header(_("How they learned"), anchor=False)
    _show_curves(rows)
    st.header(_("What was different"), anchor=False)
    found = differences([row.run for row in rows])
    st.markdown(plain(difference_sentence(found)))
    if found:
        columns = [_("Choice"), *map(_letter, range(len(rows)))]
        table = [[one.title, *(_value_words(value) for value in one.values)] for one in found]
        st.dataframe(pd.DataFrame(table, columns=columns), hide_index=True, key="differences")


def _letter(number: int) -> str:
    return ascii_uppercase[number % len(ascii_uppercase)]


def _show_run(session: Session, letter: str, row: RunRow) -> None:
    run = row.run
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"picked-{run.id}"):
        st.markdown(f"**{letter}** · {plain_title(row)}", width="stretch")
        if (run.folder / MODEL_FILE).is_file() and st.button(
            _("Results"), key=f"results-{run.id}", type="tertiary"
        ):
            session.look_at(run.id)
            st.switch_page(Step.RESULTS.page)
        if st.button(
            _("Use its settings"),
            key=f"clone-{run.id}",
            type="tertiary",
            help=_("Take its settings to the Train page, change some, and train again."),
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
        return names_list(value) or _("none")
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return f"{value:g}".replace(".", number_separators()[0]) if isinstance(value, float) else str(value)


def _show_curves(rows: Sequence[RunRow]) -> None:
    figure = go.Figure()
    for place, row in enumerate(rows):
        epochs = row.snapshot.epochs
        figure.add_scatter(
            x=[epoch.epoch for epoch in epochs],
            y=[100 * epoch.val_accuracy for epoch in epochs],
            name=_letter(place),
            mode="lines+markers" if len(epochs) < 60 else "lines",
            line={"width": 3, "dash": _DASHES[place % len(_DASHES)]},
            marker={"symbol": _SYMBOLS[place % len(_SYMBOLS)], "size": 7},
        )
    figure.update_layout(
        height=340,
        margin={"l": 0, "r": 0, "t": 30, "b": 0},
        legend={"orientation": "h", "y": 1, "yanchor": "bottom"},
        xaxis={"title": _("Epoch"), "rangemode": "tozero"},
        yaxis={"title": _("Validation accuracy"), "ticksuffix": percent_sign(), "range": [0, 102]},
    )
    described = "; ".join(
        _("{name}: accuracy {accuracy}").format(name=_letter(place), accuracy=percent(row.accuracy))
        for place, row in enumerate(rows)
        if row.accuracy is not None
    )
    show_figure(figure, "compared-curves", described)


def _comparisons(rows: Sequence[RunRow]) -> list[Comparison | None]:
    """Return the comparison of each further run with the first; None where one has no accuracy."""
    first, *others = [stored_evaluation(row.run.id) for row in rows]
    return [compare(first, other) if first and other else None for other in others]


def _show_answers(rows: Sequence[RunRow]) -> None:
    """Draw for each further run, as a heading, whether it is better than the first."""
    for number, comparison in enumerate(_comparisons(rows), 1):
        if comparison is None:
            st.header(_("{name} cannot be compared").format(name=_letter(number)), anchor=False)
            st.markdown(_("One of the two has no accuracy yet. Train it to the end."))
        else:
            st.header(verdict(comparison, _letter(0), _letter(number)), anchor=False)


def _show_reasons(rows: Sequence[RunRow]) -> None:
    for number, comparison in enumerate(_comparisons(rows), 1):
        if comparison and comparison.photos:
            title = (
                _("How we know") if len(rows) == 2 else _("How we know: {name}").format(name=_letter(number))
            )
            with st.expander(title):
                _show_reason(comparison, rows[number], number)


def _show_reason(comparison: Comparison, row: RunRow, number: int) -> None:
    st.markdown(reasoning(comparison), help=explain("mcnemar"))
    if comparison.num_left_out:
        st.caption(
            plural(
                "Only the {count} validation photo that both share counts.",
                "Only the {count} validation photos that both share count.",
                len(comparison.photos),
            )
        )
    first, second = (
        _("{name} correct").format(name=_letter(0)),
        _("{name} correct").format(name=_letter(number)),
    )
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
    share = config.ProgressColumn(format=percent_format(), min_value=0, max_value=100)
    names = [_("Class"), _("Photos"), first, second, _("Difference")]
    columns = {first: share, second: share, names[4]: config.NumberColumn(format="%+d")}
    frame = pd.DataFrame(table, columns=names)
    st.dataframe(frame, hide_index=True, column_config=columns, key=f"classes-{row.run.id}")


def _show_changed_photos(rows: Sequence[RunRow]) -> None:
    for number, comparison in enumerate(_comparisons(rows), 1):
        if comparison is None:
            continue
        parts = (
            (_("Only {name} is right"), number, comparison.won, "won"),
            (_("Only {name} is right"), 0, comparison.lost, "lost"),
        )
        for title, winner, photos, name in parts:
            if photos:
                count = plural("{count} photo", "{count} photos", len(photos))
                heading = title.format(name=_letter(winner))
                if len(rows) > 2:
                    heading = _("{heading}, not {other}").format(
                        heading=heading, other=_letter(0 if winner else number)
                    )
                st.header(labelled(heading, count), anchor=False)
                _show_photos(rows[number], photos, name, (_letter(0), _letter(number)))


def _show_photos(row: RunRow, photos: Sequence[ChangedPhoto], name: str, letters: tuple[str, str]) -> None:
    try:
        dataset = ImageDataset.load(workspace(), row.run.dataset_id)
    except NotFoundError:
        st.caption(_("The photos were deleted."))
        return
    found = ((photo, dataset.find(photo.after.image_id)) for photo in photos)
    there = [(photo, image) for photo, image in found if image][:_PHOTOS_SHOWN]
    sources = thumbnails(tuple(str(dataset.image_path(image)) for _photo, image in there))
    shown = [(source, photo) for source, (photo, _image) in zip(sources, there, strict=True) if source]
    if not shown:
        return
    captions = [
        _("{true} · {first}: {before} · {second}: {after}").format(
            true=plain(photo.after.class_name),
            first=letters[0],
            second=letters[1],
            before=plain(photo.before.predicted_class_name),
            after=plain(photo.after.predicted_class_name),
        )
        for _source, photo in shown
    ]
    with st.container(key=f"changed-{name}-{row.run.id}"):
        st.image([source for source, _photo in shown], caption=captions, width=128)
