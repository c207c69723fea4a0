"""The audition: compare accuracy and time of the available models on the person's photos."""

from __future__ import annotations

from html import escape

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.page import guarded
from pages.ui.app.plotly_figure import percent_axis, percent_bars, show_figure
from pages.ui.app.process import workspace
from pages.ui.app.session import Session
from pages.ui.app.task_progress import show_task, waiting_words
from pages.ui.app.tasks import audition_of, forget_audition, own_sources, start_audition
from pages.ui.app.words import duration_words, plain
from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.registry import bundled_backbones, get_backbone, list_backbones
from transfer_core.data.dataset import ImageDataset
from transfer_core.evaluation.audition import AuditionScore, best_trade_off
from transfer_core.language import _, percent, plural
from transfer_core.work.task import Task, TaskProgress


def show_audition(session: Session) -> None:
    """Draw a hint without photos; else the choice of models, the progress, or the result."""
    dataset = session.dataset
    if dataset is None or len(dataset.class_names) < 2:
        st.caption(_("Add photos first; then you can compare models here."))
        return
    task = audition_of(dataset)
    with st.expander(
        _("Compare models on your photos"), task is not None, icon=":material/leaderboard:", key="audition"
    ):
        _show_for(session, dataset, task)


def _show_for(session: Session, dataset: ImageDataset, task: Task[list[AuditionScore]] | None) -> None:
    if task is None:
        guarded(_show_start)(dataset)
    elif not task.is_over:
        show_task(task, _progress_words, name="audition", stop=_("Stop comparing"))
    elif task.result is None:
        if task.problem:
            st.error(plain(task.problem), icon=":material/error:")
        _show_start(dataset)
    else:
        _show_result(session, dataset, task.result)


def _show_start(dataset: ImageDataset) -> None:
    available = [
        backbone for backbone in (*list_backbones(), *own_sources()) if backbone.weights.are_available
    ]
    st.markdown(
        _("Try models on your {count}. You see their accuracy, time and size.").format(
            count=plural("{count} photo", "{count} photos", len(dataset.images))
        ),
        help=explain("audition"),
    )
    titles = {backbone.name: backbone.title for backbone in available}
    chosen = st.pills(
        _("Models to compare"),
        list(titles),
        selection_mode="multi",
        default=[backbone.name for backbone in bundled_backbones()[:2]],
        format_func=lambda name: plain(titles[name]),
        key="audition-models",
    )
    if st.button(
        _("Compare on my photos"), icon=":material/leaderboard:", disabled=not chosen, key="start-audition"
    ):
        start_audition(dataset, [get_backbone(name, workspace()) for name in titles if name in chosen])
        st.rerun()


def _progress_words(progress: TaskProgress) -> str:
    if not progress.part:
        return waiting_words()
    return _("{title}: {done} of {total} photos").format(
        title=plain(progress.part), done=progress.num_done, total=progress.num_all
    )


def _show_result(session: Session, dataset: ImageDataset, scores: list[AuditionScore]) -> None:
    ranked = sorted(scores, key=lambda score: -score.accuracy)
    backbones = {score.backbone_name: get_backbone(score.backbone_name, workspace()) for score in ranked}
    best = best_trade_off(ranked)
    st.markdown(
        _("**Best trade-off: {title}**, accuracy {accuracy} on your photos.").format(
            title=plain(backbones[best.backbone_name].title), accuracy=percent(best.accuracy)
        ),
        help=explain("trade-off"),
    )
    st.dataframe(_table(ranked, backbones, best), hide_index=True, width="stretch")
    if len(ranked) > 1:
        _show_chart(ranked, backbones, best)
    st.caption(
        _("± shows how much the accuracy varies between rounds. A full training can do slightly better.")
    )
    processor = next((score.processor for score in ranked if score.processor), "")
    if processor:
        st.caption(
            _("Times are those of a computer in the cluster: {processor}.").format(processor=plain(processor))
        )
    with st.container(horizontal=True):
        is_chosen = session.backbone_name == best.backbone_name
        label = _("Use {title}").format(title=plain(backbones[best.backbone_name].title))
        if not is_chosen and st.button(label, type="primary", key="use-best"):
            session.choose_backbone(best.backbone_name)
            st.rerun()
        if st.button(_("Compare others"), icon=":material/replay:", key="new-audition"):
            forget_audition(dataset)
            st.rerun()


def _table(ranked: list[AuditionScore], backbones: dict[str, Backbone], best: AuditionScore) -> pd.DataFrame:
    return pd.DataFrame(
        {
            _("Model"): [
                f"{backbones[score.backbone_name].title}{' ★' if score is best else ''}" for score in ranked
            ],
            _("Accuracy"): [f"{percent(score.accuracy, 1)} ± {percent(score.spread, 1)}" for score in ranked],
            _("Time for 100 photos"): [duration_words(score.seconds_per_100_images) for score in ranked],
            _("Size"): [_("{count:,.0f} MB").format(count=score.megabytes) for score in ranked],
        }
    )


def _x_title(ranked: list[AuditionScore]) -> str:
    if any(score.processor for score in ranked):
        return _("seconds for 100 photos")
    return _("seconds for 100 photos here")


def _show_chart(ranked: list[AuditionScore], backbones: dict[str, Backbone], best: AuditionScore) -> None:
    """Draw accuracy against time; up and to the left is better."""
    figure = go.Figure()
    for name, scores, color, symbol in (
        (_("compared"), [score for score in ranked if score is not best], "#0072b2", "circle"),
        (_("★ best trade-off"), [best], "#d55e00", "star"),
    ):
        accuracies = [100 * score.accuracy for score in scores]
        spreads = [100 * score.spread for score in scores]
        figure.add_scatter(
            name=name,
            x=[score.seconds_per_100_images for score in scores],
            y=accuracies,
            error_y={**percent_bars(accuracies, spreads), "thickness": 1},
            text=[escape(str(backbones[score.backbone_name].title)) for score in scores],
            mode="markers+text",
            textposition="middle left",
            cliponaxis=False,
            marker={"size": 14, "color": color, "symbol": symbol},
        )
    accuracies = [100 * score.accuracy for score in ranked]
    spreads = [100 * score.spread for score in ranked]
    figure.update_layout(
        height=340,
        margin={"l": 0, "r": 20, "t": 30, "b": 0},
        legend={"orientation": "h", "y": 1, "yanchor": "bottom"},
        xaxis={"title": _x_title(ranked), "rangemode": "tozero"},
        yaxis={"title": _("accuracy"), **percent_axis(accuracies, spreads)},
    )
    described = "; ".join(
        _("{title}: accuracy {accuracy}, {seconds:.1f} s").format(
            title=backbones[score.backbone_name].title,
            accuracy=percent(score.accuracy),
            seconds=score.seconds_per_100_images,
        )
        for score in ranked
    )
    show_figure(figure, "audition-chart", described)
