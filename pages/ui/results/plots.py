"""The charts of the Results page. They do not move and can be clicked, so they are Plotly's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import plotly.graph_objects as go

from pages.ui.app.plotly_figure import percent_axis, show_figure
from pages.ui.app.words import labelled, short_names
from transfer_core.evaluation.evaluation import Evaluation
from transfer_core.evaluation.metrics import Curve
from transfer_core.inference.calibration import reliability
from transfer_core.language import _, number, percent

_MOST_POINTS = 300
# Also colour-blind people can distinguish them (Okabe and Ito, 2008).
_COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8a9a9e", "#b8a900")
_DASHES = ("solid", "dash", "dot")
# To the right there is room for half of the last label, which Plotly would leave out.
_MARGIN = {"l": 0, "r": 20, "t": 10, "b": 0}


def show_class_curves(curves: Mapping[str, Curve], x_title: str, y_title: str, key: str) -> None:
    """Draw a line for each class, with the area under it in the legend."""
    labels = short_names(curves)
    figure = go.Figure(
        [
            go.Scatter(
                x=_thinned(curve.x),
                y=_thinned(curve.y),
                mode="lines",
                name=_("{name} ({area:.2f})").format(name=escape(labels[name]), area=curve.area),
                line={
                    "color": _COLORS[place % len(_COLORS)],
                    "dash": _DASHES[place // len(_COLORS) % len(_DASHES)],
                    "width": 2.5,
                },
            )
            for place, (name, curve) in enumerate(curves.items())
        ]
    )
    figure.update_layout(
        height=380,
        margin=_MARGIN,
        legend={"orientation": "h", "y": -0.22, "yanchor": "top"},
        xaxis={"title": x_title, "range": [-0.02, 1.02], **_percent_ticks(5)},
        yaxis={"title": y_title, "range": [-0.02, 1.05], **_percent_ticks(10)},
    )
    described = "; ".join(labelled(name, number(curve.area, 2)) for name, curve in curves.items())
    show_figure(figure, key, described)


def _thinned(values: Sequence[float]) -> list[float]:
    """Return at most 300 values, evenly spread from the first to the last."""
    places = np.linspace(0, len(values) - 1, min(len(values), _MOST_POINTS)).round().astype(int)
    return [values[place] for place in places]


def show_reliability(evaluation: Evaluation) -> None:
    """Draw accuracy against confidence, before and after temperature scaling."""
    is_scaled = evaluation.temperature != 1.0
    lines = [(_("after calibration"), evaluation.measured_confidences, "solid", _COLORS[0])]
    if is_scaled:
        lines.insert(0, (_("before calibration"), evaluation.uncalibrated_confidences, "dot", _COLORS[1]))
    figure = go.Figure(
        go.Scatter(
            x=[0, 1],
            y=[0, 1],
            mode="lines",
            name=_("ideal"),
            line={"color": "#8a9a9e", "width": 1},
            hoverinfo="skip",
        )
    )
    for name, confidences, dash, color in lines:
        bins = reliability(confidences, evaluation.is_right)
        figure.add_scatter(
            x=[one.confidence for one in bins],
            y=[one.accuracy for one in bins],
            mode="lines+markers",
            name=name,
            line={"dash": dash, "color": color, "width": 2.5},
            marker={"size": [6 + 18 * (one.num_images / evaluation.num_images) ** 0.5 for one in bins]},
            hovertext=[
                _("{count} photos, confidence {confidence}, {accuracy} correct").format(
                    count=one.num_images, confidence=percent(one.confidence), accuracy=percent(one.accuracy)
                )
                for one in bins
            ],
            hoverinfo="text",
        )
    figure.update_layout(
        height=380,
        margin=_MARGIN,
        legend={"orientation": "h", "y": -0.2, "yanchor": "top"},
        xaxis={"title": _("confidence"), "range": [-0.02, 1.05], **_percent_ticks(5)},
        yaxis={"title": _("accuracy"), "range": [-0.05, 1.08], **_percent_ticks(10)},
    )
    described = _("The average gap to the ideal line is {gap}.").format(gap=percent(evaluation.ece, digits=1))
    show_figure(figure, "reliability", described)


def show_coverage(points: Sequence[tuple[float, float]], chosen: tuple[float, float]) -> None:
    """Draw the accuracy of the answers against the share of photos that get one.

    Args:
        points: Coverage and accuracy, each 0-1.
        chosen: Coverage and accuracy with the current limits.
    """
    figure = go.Figure(
        [
            go.Scatter(
                x=_thinned([point[0] for point in points]),
                y=_thinned([100 * point[1] for point in points]),
                mode="lines",
                name=_("if it answers only when most confident"),
                line={"color": _COLORS[0], "width": 2.5, "shape": "hv"},
            ),
            go.Scatter(
                x=[chosen[0]],
                y=[100 * chosen[1]],
                mode="markers",
                name=_("now"),
                marker={"size": 14, "symbol": "diamond", "color": _COLORS[5]},
            ),
        ]
    )
    figure.update_layout(
        height=320,
        margin=_MARGIN,
        legend={"orientation": "h", "y": -0.25, "yanchor": "top"},
        xaxis={"title": _("photos that get an answer"), "range": [0, 1.02], **_percent_ticks(5)},
        yaxis={
            "title": _("correct answers"),
            **percent_axis([100 * point[1] for point in (*points, chosen)]),
        },
    )
    described = _(
        "Now {share} of the photos get an answer, and {accuracy} of the answers are correct."
    ).format(share=percent(chosen[0]), accuracy=percent(chosen[1]))
    show_figure(figure, "coverage", described)


def _percent_ticks(num_steps: int) -> dict[str, list[float] | list[str]]:
    """Return the ticks of an axis from 0 to 1, labelled as all percentages on screen are."""
    shares = [step / num_steps for step in range(num_steps + 1)]
    return {"tickvals": shares, "ticktext": [percent(share) for share in shares]}
