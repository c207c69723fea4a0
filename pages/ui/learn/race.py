"""Scratch against pretrained, as a race of two curves."""

from __future__ import annotations

import time
from typing import Any

import streamlit as st

from pages.ui.app.computers import with_computer
from pages.ui.app.page import guarded
from pages.ui.app.process import trainings, workspace
from pages.ui.app.session import Session
from pages.ui.app.words import labelled, phase_words, plain, time_left_words
from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.registry import DEFAULT_BACKBONE, get_backbone
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.samples import list_samples
from transfer_core.events import RunSnapshot
from transfer_core.language import _, percent, percent_sign
from transfer_core.runs.notes import RunNotes
from transfer_core.runs.race import MOST_PHOTOS, Race, find_race, race_configs
from transfer_core.runs.run_status import ACTIVE
from transfer_core.runs.training_run import TrainingRun, runs_of
from transfer_core.training.stages import estimated_seconds

_MILLISECONDS_AN_EPOCH = 400
_HEIGHT = 280  # pixels
_PRETRAINED_COLOR, _SCRATCH_COLOR = "#0e8a5f", "#d97706"


def show_race(session: Session, run: TrainingRun | None) -> None:
    """Draw the newest race, or the button that starts one.

    Args:
        session: Knows the chosen photos.
        run: The person's model; a race on its photos is preferred.
    """
    race = find_race(runs_of(workspace()), run.dataset_id if run else session.dataset_id)
    if race is None:
        _show_start(session, run)
        return
    is_going_on = any(trainings().status(one.id) in ACTIVE for one in (race.pretrained, race.scratch))
    st.fragment(guarded(_show_race), run_every="1s" if is_going_on else None)(
        session, race, is_going_on=is_going_on
    )


def _show_start(session: Session, run: TrainingRun | None) -> None:
    st.markdown(_("Pretrained or from scratch: who learns faster?"))
    snapshot = trainings().snapshot(run.id) if run and run.config.weights != "random" else RunSnapshot()
    st.echarts_chart(
        _spec(snapshot, RunSnapshot(), is_animated=False),
        height=_HEIGHT,
        key="race-before",
        alt=_described(snapshot, RunSnapshot()),
    )
    dataset = session.dataset
    if dataset and dataset.images:
        seconds = sum(
            estimated_seconds(config, dataset, _racer(), workspace().cache_dir)
            for config in race_configs(_racer())
        )
        st.caption(_("Trains both in {time}.").format(time=time_left_words(max(seconds, 3.0))))
    if st.button(_("Start the race"), icon=":material/flag:", key="start-race"):
        guarded(_start)(session)


def _start(session: Session) -> None:
    dataset = session.dataset
    if dataset is None or len(dataset.class_names) < 2 or len(dataset.images) > MOST_PHOTOS:
        dataset = _sample_dataset()
    pretrained, scratch = race_configs(_racer())
    # The pretrained one last: it is then the newest model.
    for config, name in ((scratch, _("Race: from scratch")), (pretrained, _("Race: pretrained"))):
        run_id = trainings().submit(dataset, config)
        TrainingRun.load(workspace(), run_id).files.write_notes(RunNotes(name=name))
    st.rerun()


def _racer() -> Backbone:
    return get_backbone(DEFAULT_BACKBONE)


def _sample_dataset() -> ImageDataset:
    """Return a new dataset of the recommended sample."""
    sample = list_samples()[0]
    return add_files(create_dataset(workspace(), sample.title, sample=sample.name), sample.files())


def _show_race(session: Session, race: Race, *, is_going_on: bool) -> None:
    snapshots = [trainings().snapshot(one.id) for one in (race.pretrained, race.scratch)]
    if is_going_on and not any(
        trainings().status(one.id) in ACTIVE for one in (race.pretrained, race.scratch)
    ):
        st.rerun()
    pretrained, scratch = snapshots
    with st.container(horizontal=True, vertical_alignment="center", key="race-lead"):
        st.markdown(_result(race, pretrained, scratch), width="stretch")
        if not is_going_on:
            st.button(
                _("Play"), icon=":material/play_arrow:", key="play-race", on_click=_play, args=(session,)
            )
    if is_going_on:
        _show_progress(race)
    num_played = session.num_races_played
    spec = _spec(pretrained, scratch, is_animated=bool(num_played) and not is_going_on)
    # Another key draws the chart from its beginning.
    st.echarts_chart(spec, height=_HEIGHT, key=f"race-{num_played}", alt=_described(pretrained, scratch))


def _show_progress(race: Race) -> None:
    """Draw how far the runs are that train now, or else the first that waits."""
    names = ((race.scratch, _("from scratch")), (race.pretrained, _("pretrained")))
    active = [(run, name) for run, name in names if trainings().status(run.id) in ACTIVE]
    training = [(run, name) for run, name in active if trainings().status(run.id) != "queued"]
    for run, name in training or active[:1]:
        snapshot = trainings().snapshot(run.id).at(time.time())
        st.progress(snapshot.share, text=labelled(name, with_computer(phase_words(snapshot), snapshot)))


def _play(session: Session) -> None:
    session.num_races_played += 1


def _result(race: Race, pretrained: RunSnapshot, scratch: RunSnapshot) -> str:
    if not pretrained.epochs or not scratch.epochs:
        return _("The race is on. The curves grow with each epoch.")
    return _("{name}, best epoch: pretrained {high}, from scratch {low}.").format(
        name=plain(race.scratch.dataset_name),
        high=percent(_best(pretrained)),
        low=percent(_best(scratch)),
    )


def _best(snapshot: RunSnapshot) -> float:
    return max(epoch.val_accuracy for epoch in snapshot.epochs)


def _described(pretrained: RunSnapshot, scratch: RunSnapshot) -> str:
    return _("Accuracy by epoch: {count} epochs pretrained, {other} epochs from scratch.").format(
        count=len(pretrained.epochs), other=len(scratch.epochs)
    )


def _spec(pretrained: RunSnapshot, scratch: RunSnapshot, *, is_animated: bool) -> dict[str, Any]:
    snapshots = (pretrained, scratch)
    planned = [one.num_epochs for one in snapshots if one.outcome is None]
    num_epochs = max(*planned, *(len(one.epochs) for one in snapshots), 2)
    lines = (
        (_("pretrained"), pretrained, _PRETRAINED_COLOR, "solid"),
        (_("from scratch"), scratch, _SCRATCH_COLOR, "dashed"),
    )
    return {
        "animation": is_animated,
        "animationDuration": _MILLISECONDS_AN_EPOCH * num_epochs,
        "animationEasing": "linear",
        "legend": {"top": 0},
        "grid": {"top": 36, "left": 8, "right": 110, "bottom": 28, "containLabel": True},
        "tooltip": {"trigger": "axis"},
        "xAxis": {
            "type": "value",
            "name": _("epoch"),
            "nameLocation": "middle",
            "nameGap": 28,
            "min": 1,
            "max": num_epochs,
            "minInterval": 1,
        },
        "yAxis": {
            "type": "value",
            "min": 0,
            "max": 100,
            "axisLabel": {"formatter": "{value}" + percent_sign()},
        },
        "series": [
            {
                "type": "line",
                "name": name,
                "data": [[one.epoch, round(100 * one.val_accuracy, 1)] for one in snapshot.epochs],
                "color": color,
                "symbol": "circle",
                "symbolSize": 6,
                "lineStyle": {"width": 4, "type": style},
                "endLabel": {"show": True, "formatter": "{a}", "color": "inherit"},
            }
            for name, snapshot, color, style in lines
        ],
    }
