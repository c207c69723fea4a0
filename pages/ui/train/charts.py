"""The charts of the Train page. They change while it trains, so they are ECharts', which update in place."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import streamlit as st

from transfer_core.events import RunSnapshot
from transfer_core.language import _
from transfer_core.training.curves import smoothed
from transfer_core.training.rate_finder import RateCurve

_BATCH_COLOR = "#8a9a9e"


def show_curves(snapshot: RunSnapshot) -> None:
    """Draw accuracy and loss by epoch, training solid and validation dashed, and the loss of each batch."""
    left, right = st.columns(2)
    with left:
        _show_curve(snapshot, "accuracy", _("Accuracy: higher is better"), percent=True)
    with right:
        _show_curve(snapshot, "loss", _("Loss: lower is better"), percent=False)


def _show_curve(snapshot: RunSnapshot, measure: str, title: str, *, percent: bool) -> None:
    starts = [(0, snapshot.start)] if snapshot.start else []
    points = [*starts, *((one.epoch, one) for one in snapshot.epochs)]
    history = pd.DataFrame(
        {
            "epoch": [epoch for epoch, _scores in points],
            _("training"): [getattr(scores, measure) for _epoch, scores in points],
            _("validation"): [getattr(scores, f"val_{measure}") for _epoch, scores in points],
        }
    )
    last = history.iloc[-1] if len(history) else None
    described = (
        _("{title}. After {epochs} epochs: training {train:.2f}, validation {validation:.2f}.").format(
            title=title, epochs=int(last.iloc[0]), train=last.iloc[1], validation=last.iloc[2]
        )
        if last is not None
        else _("{title}. No epoch has ended yet.").format(title=title)
    )
    st.markdown(f"**{title}**")
    spec = _curve_spec(history, snapshot, percent)
    if measure == "loss":
        spec["series"] = _batch_series(snapshot) + spec["series"]
        # Four names would not fit beside each other on a telephone.
        spec["legend"]["data"] = [series["name"] for series in spec["series"][1:]]
    _mark_kept(spec, snapshot, measure)
    st.echarts_chart(spec, height=300, key=f"curve-{measure}", alt=described)


def _curve_spec(history: pd.DataFrame, snapshot: RunSnapshot, percent: bool) -> dict[str, Any]:
    epoch_column, *lines = history.columns
    styles = ("solid", "dashed")
    return {
        "animation": False,
        "dataset": {"source": history},
        "legend": {"top": 0, "itemGap": 14},
        "grid": {"top": 36, "left": 8, "right": 16, "bottom": 24, "containLabel": True},
        "tooltip": {"trigger": "axis", "valueFormatter": "percent" if percent else "%.3f"},
        "xAxis": {
            "type": "value",
            "name": _("epoch"),
            "nameLocation": "middle",
            "nameGap": 26,
            "min": 0,
            "max": _last_epoch_shown(snapshot),
            "minInterval": 1,
        },
        "yAxis": {"type": "value", "min": 0, **({"max": 1} if percent else {})},
        "series": [
            {
                "type": "line",
                "name": line,
                "encode": {"x": epoch_column, "y": line},
                "symbol": "circle" if len(history) < 2 else "none",
                "lineStyle": {"type": style, "width": 3},
                "z": 3,
            }
            for line, style in zip(lines, styles, strict=True)
        ],
    }


def _last_epoch_shown(snapshot: RunSnapshot) -> int:
    """Return the end of the axis. It doubles as the curve grows, or 1,000 planned epochs would squash the first ten."""
    num_epochs = len(snapshot.epochs)
    if snapshot.outcome is not None:
        return max(num_epochs, 2)
    room = 10
    while room <= num_epochs:
        room *= 2
    return max(min(room, snapshot.num_epochs or room), num_epochs, 2)


def _batch_series(snapshot: RunSnapshot) -> list[dict[str, Any]]:
    """Return the loss of each batch as two lines: raw and faint, smoothed and clear."""
    raw = [point.loss for point in snapshot.batch_losses]
    positions = [round(point.position, 3) for point in snapshot.batch_losses]
    series = ((_("each batch"), raw, 1, 0.35), (_("batches"), smoothed(raw), 1.5, 1.0))
    return [
        {
            "type": "line",
            "name": name,
            "data": [
                [place, round(loss, 4)]
                for place, loss in zip(positions, losses, strict=True)
                if math.isfinite(loss)
            ],
            "symbol": "none",
            "color": _BATCH_COLOR,
            "lineStyle": {"width": width, "opacity": opacity},
            "tooltip": {"show": False},
        }
        for name, losses, width, opacity in series
    ]


def _mark_kept(spec: dict[str, Any], snapshot: RunSnapshot, measure: str) -> None:
    best = snapshot.best
    if best is None:
        return
    spec["series"][-1]["markPoint"] = {
        "symbol": "circle",
        "symbolSize": 12,
        "label": {
            "formatter": _("kept"),
            "position": "bottom" if measure == "accuracy" else "top",
            "distance": 8,
        },
        "data": [{"coord": [best.epoch, getattr(best, f"val_{measure}")]}],
    }


def show_rate_finder(curve: RateCurve) -> None:
    """Draw the loss by learning rate, with the suggested rate marked."""
    points = [
        [rate, loss] for rate, loss in zip(curve.rates, curve.losses, strict=True) if math.isfinite(loss)
    ]
    spec = {
        "animation": False,
        "grid": {"top": 30, "left": 8, "right": 24, "bottom": 28, "containLabel": True},
        "tooltip": {"trigger": "axis", "valueFormatter": "%.3f"},
        "xAxis": {"type": "log", "name": _("learning rate"), "nameLocation": "middle", "nameGap": 28},
        "yAxis": {"type": "value", "name": _("loss"), "scale": True},
        "series": [
            {
                "type": "line",
                "name": _("loss"),
                "data": points,
                "showSymbol": False,
                "lineStyle": {"width": 3},
                "markLine": {
                    "symbol": "none",
                    "label": {"formatter": _("suggested")},
                    "data": [{"xAxis": curve.suggestion}],
                },
            }
        ],
    }
    described = _("Loss by learning rate. Suggested: {rate:g}.").format(rate=curve.suggestion)
    st.echarts_chart(spec, height=260, key="rate-finder", alt=described)
