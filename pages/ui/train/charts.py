"""The charts of the Train page. They change while it trains, so they are ECharts', which update in place."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from pages.ui.app.words import percent_format
from transfer_core.events import RunSnapshot
from transfer_core.language import _, number, percent, percent_sign, significant
from transfer_core.training.curves import smoothed
from transfer_core.training.rate_finder import RateCurve

_BATCH_COLOR = "#8a9a9e"
_HEIGHT_OF_FIVE_TICKS = 200  # pixels
# Below this accuracy there is no room for a label under the line.
_LOW = 0.2


def show_accuracy_chart(snapshot: RunSnapshot, *, height: int = 260) -> None:
    """Draw accuracy by epoch, training solid and validation dashed. The axes are there before the first epoch.

    Args:
        snapshot: The fold of the events so far; an empty one draws the axes alone.
        height: Pixels.
    """
    history = _history(snapshot, "accuracy", scale=100)
    described = _described(history, _("Accuracy"), lambda value: percent(value / 100))
    spec = _curve_spec(history, snapshot)
    spec["tooltip"]["valueFormatter"] = percent_format()
    spec["yAxis"] |= {
        "max": 100,
        "interval": 25 if height >= _HEIGHT_OF_FIVE_TICKS else 50,
        "axisLabel": {"formatter": "{value}" + percent_sign()},
    }
    if best := snapshot.best:
        _mark_best(spec, best.epoch, 100 * best.val_accuracy, is_low=best.val_accuracy < _LOW)
    st.echarts_chart(spec, height=height, key="curve-accuracy", alt=described)


def show_loss_chart(snapshot: RunSnapshot, *, height: int = 260) -> None:
    """Draw loss by epoch and the loss of each batch.

    Args:
        snapshot: The fold of the events so far.
        height: Pixels.
    """
    history = _history(snapshot, "loss", scale=1)
    described = _described(history, _("Loss"), lambda value: number(value, 2))
    spec = _curve_spec(history, snapshot)
    spec["tooltip"]["valueFormatter"] = "%.3f"
    spec["series"] = _batch_series(snapshot) + spec["series"]
    # Four names would not fit beside each other on a telephone.
    spec["legend"]["data"] = [series["name"] for series in spec["series"][1:]]
    if best := snapshot.best:
        _mark_best(spec, best.epoch, best.val_loss, is_low=True)
    st.echarts_chart(spec, height=height, key="curve-loss", alt=described)


def _history(snapshot: RunSnapshot, measure: str, *, scale: int) -> pd.DataFrame:
    """Return training and validation by epoch, with the point of epoch 0 where the start was scored."""
    starts = [(0, snapshot.start)] if snapshot.start else []
    points = [*starts, *((one.epoch, one) for one in snapshot.epochs)]
    return pd.DataFrame(
        {
            "epoch": [epoch for epoch, _scores in points],
            _("training"): [scale * getattr(scores, measure) for _epoch, scores in points],
            _("validation"): [scale * getattr(scores, f"val_{measure}") for _epoch, scores in points],
        }
    )


def _described(history: pd.DataFrame, title: str, written: Callable[[float], str]) -> str:
    """Return the text for people who cannot see the chart."""
    if not len(history):
        return _("{title}. No epoch has ended yet.").format(title=title)
    epoch, train, validation = history.iloc[-1]
    return _("{title}. After {epochs} epochs: training {train}, validation {validation}.").format(
        title=title, epochs=int(epoch), train=written(train), validation=written(validation)
    )


def _curve_spec(history: pd.DataFrame, snapshot: RunSnapshot) -> dict[str, Any]:
    epoch_column, *lines = history.columns
    styles = ("solid", "dashed")
    return {
        "animation": False,
        "dataset": {"source": history},
        "legend": {"top": 0, "itemGap": 14},
        "grid": {"top": 34, "left": 8, "right": 16, "bottom": 24, "containLabel": True},
        "tooltip": {"trigger": "axis"},
        "xAxis": {
            "type": "value",
            "name": _("epoch"),
            "nameLocation": "middle",
            "nameGap": 26,
            "min": 0,
            "max": _last_epoch_shown(snapshot),
            "minInterval": 1,
        },
        "yAxis": {"type": "value", "min": 0},
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
    room = 20
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


def _mark_best(spec: dict[str, Any], epoch: int, value: float, *, is_low: bool) -> None:
    """Mark the kept epoch on the last line. Its label is on the side where the frame leaves room for it."""
    is_on_the_right = 2 * epoch > spec["xAxis"]["max"]
    spec["series"][-1]["markPoint"] = {
        "symbol": "circle",
        "symbolSize": 12,
        "label": {
            "formatter": _("best"),
            "position": "top" if is_low else "bottom",
            "align": "right" if is_on_the_right else "left",
            "distance": 8,
        },
        "data": [{"coord": [epoch, value]}],
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
    described = _("Loss by learning rate. Suggested: {rate}.").format(rate=significant(curve.suggestion))
    st.echarts_chart(spec, height=260, key="rate-finder", alt=described)
