"""The table of all runs, to sort, filter, star, name and annotate, and to pick runs to compare."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from pages.ui.app.page import guarded, guarded_callback
from pages.ui.app.process import trainings, workspace
from pages.ui.app.session import Session, widget_value
from pages.ui.app.steps import Step
from pages.ui.app.words import (
    distinct_labels,
    model_name,
    percent_format,
    plain,
    run_backbone_title,
    run_depth_words,
    status_words,
)
from transfer_core.errors import TransferStudioError
from transfer_core.events import RunSnapshot
from transfer_core.language import _, percent, sort_key
from transfer_core.runs.notes import MAX_NAME_LENGTH, MAX_NOTE_LENGTH, RunNotes
from transfer_core.runs.run_status import RunStatus, run_status
from transfer_core.runs.training_run import TrainingRun, runs_of

# Editable columns, with the field of `RunNotes` that each stands for.
_EDITABLE = {"starred": "is_starred", "name": "name", "note": "note"}
_NUM_NEWEST = 2
# No photo set has this name.
_EVERYTHING = " "


@dataclass(frozen=True)
class RunRow:
    """A row of the table."""

    run: TrainingRun
    status: RunStatus
    snapshot: RunSnapshot
    notes: RunNotes

    @property
    def accuracy(self) -> float | None:
        """The accuracy as reported, 0-1."""
        return self.snapshot.accuracy

    @property
    def depth(self) -> str:
        """How much was trainable, in words."""
        if self.run.config.weights == "random":
            return _("Everything, from scratch")
        return run_depth_words(self.run)

    @property
    def title(self) -> str:
        """A line that names the run."""
        name = model_name(self.run)
        return name if self.accuracy is None else f"{name} · {percent(self.accuracy)}"


def choose_runs(session: Session) -> tuple[list[RunRow], list[RunRow]]:
    """Draw the choice of the runs to compare. Returns all runs, and those that are picked in the order of picking."""
    rows = _rows()
    if not rows:
        st.info(_("There are no models to compare yet. Train one, change something, and train again."))
        st.page_link(
            Step.TRAIN.page, label=_("Go to Train"), icon=Step.TRAIN.icon, query_params=session.query()
        )
        return [], []
    by_id = {row.run.id: row for row in rows}
    labels = distinct_labels({row.run.id: row.title for row in rows})
    chosen = st.multiselect(
        _("Models to compare"),
        list(by_id),
        default=[run_id for run_id in session.compared_run_ids if run_id in by_id],
        format_func=labels.__getitem__,
        key=f"picked-{session.num_forms}-{len(by_id)}",
        placeholder=_("Pick two or more"),
    )
    session.compared_run_ids = tuple(chosen)
    newest = [row.run.id for row in rows if row.accuracy is not None][:_NUM_NEWEST]
    if not chosen and len(newest) == _NUM_NEWEST:
        label = _("Compare the newest two")
        if st.button(label, icon=":material/compare_arrows:", type="primary", key="compare-newest"):
            # The older one is the first, which the other is compared with.
            session.compared_run_ids = tuple(reversed(newest))
            session.num_forms += 1
            st.rerun()
    return rows, [by_id[run_id] for run_id in chosen]


def show_table(session: Session, rows: list[RunRow]) -> None:
    """Draw the table of all runs."""
    st.header(_("All trainings"), anchor=False)
    shown = _filtered(rows)
    st.caption(_("Click a heading to sort. You can edit stars, names and notes here."))
    guarded(_show_table)(session, shown)


def _rows() -> list[RunRow]:
    """Return all runs, newest first. Damaged ones are left out."""
    rows = []
    queue = trainings()
    for run in runs_of(workspace()):
        with suppress(TransferStudioError):
            is_here = queue.is_here(run.id)
            status = queue.status(run.id) if is_here else run_status(run)
            snapshot = queue.snapshot(run.id) if is_here else run.snapshot()
            rows.append(RunRow(run, status, snapshot, run.files.notes()))
    return rows


def _filtered(rows: list[RunRow]) -> list[RunRow]:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        names = sorted({row.run.dataset_name for row in rows}, key=sort_key)
        name = st.selectbox(
            _("Photos"),
            [_EVERYTHING, *names],
            format_func=lambda name: _("All photos") if name == _EVERYTHING else name,
            key="runs-of-images",
            width=260,
        )
        is_starred = st.toggle(_("Only starred"), key="runs-starred")
        is_trained = st.toggle(_("Only with a model"), key="runs-trained")
    return [
        row
        for row in rows
        if name in (_EVERYTHING, row.run.dataset_name)
        and (row.notes.is_starred or not is_starred)
        and (row.run.has_model or not is_trained)
    ]


def _show_table(session: Session, rows: list[RunRow]) -> None:
    columns = _columns()
    frame = pd.DataFrame([_cells(row) for row in rows], columns=list(columns))
    key = f"runs-{hash(tuple(row.run.id for row in rows))}-{session.num_notes_saved}"
    st.data_editor(
        frame,
        hide_index=True,
        disabled=[name for name in columns if name not in _EDITABLE],
        column_config=columns,
        height=min(38 + 35 * max(len(rows), 1), 430),
        key=key,
        on_change=guarded_callback(save_notes),
        args=(session, rows, key),
    )


def save_notes(session: Session, rows: list[RunRow], key: str) -> None:
    """Store only the changed cells, since another window may have changed others."""
    # A fresh table shows what is stored; this one would keep its edits and hide those of another window.
    session.num_notes_saved += 1
    problem: TransferStudioError | None = None
    for place, cells in widget_value(key)["edited_rows"].items():
        row = rows[place]
        # An emptied cell comes as None.
        changes: dict[str, Any] = {
            _EDITABLE[name]: "" if value is None else value for name, value in cells.items()
        }
        try:
            row.run.files.change_notes(row.notes, changes)
        except TransferStudioError as error:
            problem = error
    if problem:
        raise problem
    st.toast(_("Saved."), icon=":material/check:")


def _cells(row: RunRow) -> dict[str, object]:
    return {
        "starred": row.notes.is_starred,
        "name": row.notes.name,
        "model": model_name(row.run),
        "right": None if row.accuracy is None else round(100 * row.accuracy),
        "status": status_words(row.status).label,
        "learns": row.depth,
        "network": run_backbone_title(row.run),
        "seconds": round(row.snapshot.seconds),
        "begun": row.run.created_at,
        "note": row.notes.note,
    }


def _columns() -> dict[str, ColumnConfig]:
    config = st.column_config
    return {
        "starred": config.CheckboxColumn("★", help=_("Star the runs you want to find again."), width=45),
        "model": config.TextColumn(_("Model"), width=190),
        "name": config.TextColumn(
            _("Name"), max_chars=MAX_NAME_LENGTH, help=_("Your own name for it."), width=130
        ),
        "right": config.ProgressColumn(
            _("Accuracy"), format=percent_format(), min_value=0, max_value=100, width=130
        ),
        "status": config.TextColumn(_("Status"), width=100),
        "learns": config.TextColumn(_("Trainable"), width=200),
        "network": config.TextColumn(_("Pretrained model"), width=140),
        "seconds": config.NumberColumn(_("Time"), format="%d s", width=70),
        "begun": config.DatetimeColumn(_("Started"), format="localized", width=150),
        "note": config.TextColumn(_("Note"), max_chars=MAX_NOTE_LENGTH, width=260),
    }


def plain_title(row: RunRow) -> str:
    """Return the title of a run for Markdown."""
    return plain(row.title)
