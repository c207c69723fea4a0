"""The freeze sweep: train at several depths and use the best."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.page import guarded, require
from pages.ui.app.plotly_figure import percent_axis, percent_bars, show_figure
from pages.ui.app.process import recommendation, trainings, workspace
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from pages.ui.app.words import (
    count_words,
    distinct_labels,
    duration_words,
    labelled,
    plain,
    run_backbone_title,
)
from transfer_core.language import _, date_time_words, percent, plural, sentences
from transfer_core.runs.run_status import ACTIVE
from transfer_core.runs.sweep import (
    NUM_REPEATS,
    Sweep,
    SweepPoint,
    best_trade_off,
    list_sweeps,
    load_sweep,
    usual_depths,
)
from transfer_core.runs.sweep_plan import SweepPlan
from transfer_core.work.sweep_queue import continue_sweep, start_sweep, stop_sweep

_BEST_COLOR, _OTHER_COLOR = "#d55e00", "#0072b2"


def show_sweeps(session: Session) -> None:
    """Draw the sweeps and the form that starts one."""
    st.markdown(
        _("How many blocks should learn? Train the same photos at several depths and see."),
        help=explain("freeze sweep"),
    )
    sweeps = list_sweeps(workspace())
    if sweeps:
        by_id = {sweep.plan.id: sweep for sweep in sweeps}
        labels = distinct_labels({sweep_id: _describe(sweep) for sweep_id, sweep in by_id.items()})
        chosen = st.selectbox(
            _("Comparison"),
            list(by_id),
            format_func=labels.__getitem__,
            key=f"sweep-{len(by_id)}",
        )
        interval = "2s" if _is_active(by_id[chosen]) else None
        st.fragment(guarded(_show_sweep), run_every=interval)(session, chosen, is_active=bool(interval))
    with st.container(border=True):
        st.header(_("Try depths again") if sweeps else _("Try several depths"), anchor=False)
        if require(session, Step.MODEL, Step.IMAGES):
            guarded(_show_form)(session)


def _show_form(session: Session) -> None:
    plan, dataset = session.freeze_plan, session.dataset
    assert plan is not None and dataset is not None
    num_blocks = plan.backbone.max_unfrozen_blocks
    st.caption(
        _("{images}, with {network}. Only the depth differs.").format(
            images=plain(dataset.name), network=plain(plan.backbone.title)
        )
    )
    depths = st.pills(
        _("How many of the last blocks should learn?"),
        list(range(num_blocks + 1)),
        selection_mode="multi",
        default=usual_depths(num_blocks),
        help=explain("fine-tuning"),
        key=f"sweep-depths-{plan.backbone.name}",
    )
    repeats = 1
    if dataset.split_by != "folds":
        repeats = st.slider(
            _("Trainings of each depth, with different seeds"),
            1,
            5,
            NUM_REPEATS,
            help=explain("seed"),
            key="sweep-repeats",
        )
    count = len(depths) * repeats
    if st.button(
        plural("Start {count} training", "Start {count} trainings", count),
        type="primary",
        icon=":material/play_arrow:",
        key="start-sweep",
    ):
        config = session.config if session.has_own_choices else None
        config = config or recommendation(dataset.id, dataset.version, plan.backbone.name).config
        config = config.with_changes(backbone=plan.backbone.name)
        start_sweep(
            trainings(), dataset, config, SweepPlan.of(dataset, config, depths, repeats, plan.backbone)
        )
        st.rerun()


def _show_sweep(session: Session, sweep_id: str, *, is_active: bool) -> None:
    sweep = load_sweep(workspace(), sweep_id)
    if _is_active(sweep) != is_active:
        st.rerun()
    points = sweep.points(trainings().snapshot)
    num_planned = sum(point.num_planned for point in points)
    num_finished = sum(point.num_finished for point in points)
    if num_finished < num_planned:
        _show_progress(sweep, num_finished, num_planned, is_active=is_active)
    best = best_trade_off(points)
    if best is None:
        return
    _show_best(session, sweep, points, best)
    accuracy, seconds, parameters = st.columns([2, 1, 1])
    with accuracy:
        _show_accuracy(points, best)
    with seconds:
        known = [point for point in points if point.seconds is not None]
        words = [duration_words(point.seconds or 0) for point in known]
        _show_bars(
            known, [point.seconds or 0 for point in known], words, _("Time of a training"), best, "seconds"
        )
    with parameters:
        counts = [point.num_trainable_parameters for point in points]
        _show_bars(
            points,
            counts,
            [count_words(count) for count in counts],
            _("Trainable values"),
            best,
            "parameters",
        )
    st.caption(
        _(
            "Time is that of the first training at a depth. The whiskers show the standard deviation between the "
            "trainings."
        )
    )


def _show_progress(sweep: Sweep, num_finished: int, num_planned: int, *, is_active: bool) -> None:
    done = _("{done} of {count} trainings done").format(done=num_finished, count=num_planned)
    num_running = sum(trainings().status(run.id) == "running" for run in sweep.runs)
    if num_running > 1:
        done += " · " + plural("{count} runs now", "{count} run now", num_running)
    st.progress(num_finished / num_planned, text=done)
    if is_active:
        if st.button(_("Stop"), icon=":material/stop_circle:", key="stop-sweep"):
            stop_sweep(trainings(), sweep)
            st.rerun()
    elif st.button(_("Go on"), icon=":material/play_arrow:", type="primary", key="continue-sweep"):
        continue_sweep(trainings(), sweep)
        st.rerun()


def _show_best(session: Session, sweep: Sweep, points: Sequence[SweepPoint], best: SweepPoint) -> None:
    st.header(_answer(points, best), anchor=False, help=explain("depth trade-off"))
    known = [point for point in points if point.accuracies]
    if len(known) > 1:
        text = _("Accuracy {accuracy}. The highest of all is {highest}.").format(
            accuracy=percent(best.accuracy or 0), highest=percent(max(point.accuracy or 0 for point in known))
        )
        st.markdown(text)
    if st.button(_("Use this depth"), icon=":material/check:", key="use-depth", type="primary"):
        session.choose_run(sweep.runs[0])
        session.choose_depth(best.num_unfrozen_blocks)
        session.change_choices()
        st.switch_page(Step.TRAIN.page)


def _answer(points: Sequence[SweepPoint], best: SweepPoint) -> str:
    """Return which depth is best, and of the depth with the highest accuracy whether it is really better."""
    highest = max((point for point in points if point.accuracies), key=lambda point: point.accuracy or 0)
    answer = _("{depth}: best here.").format(depth=_blocks_words(best.num_unfrozen_blocks))
    if highest == best:
        return answer
    chance = _("{depth}: only better by chance.").format(depth=_blocks_words(highest.num_unfrozen_blocks))
    return sentences(answer, chance)


def _blocks_words(depth: int) -> str:
    return plural("{count} trainable block", "{count} trainable blocks", depth)


def _show_accuracy(points: Sequence[SweepPoint], best: SweepPoint) -> None:
    known = [point for point in points if point.accuracies]
    accuracies = [100 * (point.accuracy or 0) for point in known]
    spreads = [100 * point.spread for point in known]
    figure = go.Figure(
        go.Scatter(
            x=[str(point.num_unfrozen_blocks) for point in known],
            y=accuracies,
            error_y={**percent_bars(accuracies, spreads), "thickness": 2, "width": 6},
            mode="lines+markers+text",
            text=[_("best") if point == best else "" for point in known],
            textposition="top center",
            line={"width": 2, "color": _OTHER_COLOR},
            marker={
                "size": [18 if point == best else 10 for point in known],
                "symbol": ["star" if point == best else "circle" for point in known],
                "opacity": 1,
                "color": [_BEST_COLOR if point == best else _OTHER_COLOR for point in known],
            },
            cliponaxis=False,
            hovertemplate=_("%{x} blocks: %{y:.1f}\u00a0%<extra></extra>"),
        )
    )
    described = "; ".join(
        _("{depth} blocks: {accuracy}").format(
            depth=point.num_unfrozen_blocks, accuracy=percent(point.accuracy or 0, 1)
        )
        for point in known
    )
    _draw(figure, _("Validation accuracy"), "accuracy", described, **percent_axis(accuracies, spreads))


def _show_bars(
    points: Sequence[SweepPoint],
    values: Sequence[float],
    words: Sequence[str],
    title: str,
    best: SweepPoint,
    key: str,
) -> None:
    figure = go.Figure(
        go.Bar(
            x=[str(point.num_unfrozen_blocks) for point in points],
            y=list(values),
            text=list(words),
            textposition="outside",
            cliponaxis=False,
            marker={"color": [_BEST_COLOR if point == best else _OTHER_COLOR for point in points]},
            hovertemplate="%{x}: %{text}<extra></extra>",
        )
    )
    described = "; ".join(
        _("{depth} blocks: {words}").format(depth=point.num_unfrozen_blocks, words=word)
        for point, word in zip(points, words, strict=True)
    )
    _draw(figure, title, key, described, showticklabels=False)


def _draw(figure: go.Figure, title: str, key: str, described: str, **y_axis: object) -> None:
    st.markdown(f"**{title}**")
    figure.update_layout(
        height=300,
        margin={"l": 0, "r": 0, "t": 24, "b": 0},
        xaxis={"title": _("Trainable blocks"), "type": "category"},
        yaxis=y_axis,
        showlegend=False,
    )
    show_figure(figure, f"sweep-{key}", labelled(title, described))


def _is_active(sweep: Sweep) -> bool:
    return any(trainings().status(run.id) in ACTIVE for run in sweep.runs)


def _describe(sweep: Sweep) -> str:
    run = sweep.runs[0]
    return f"{run.dataset_name} · {run_backbone_title(run)} · {date_time_words(run.created_at)}"
