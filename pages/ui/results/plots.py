"""The charts of the Results page. They do not move and can be clicked, so they are Plotly's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from pages.ui.app.words import short_names
from transfer_core.evaluation.evaluation import Evaluation
from transfer_core.evaluation.metrics import Curve
from transfer_core.inference.calibration import reliability
from transfer_core.language import _

_MOST_POINTS = 300
_PLAIN = {"displayModeBar": False}
# Also colour-blind people can distinguish them (Okabe and Ito, 2008).
_COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8a9a9e", "#b8a900")
_DASHES = ("solid", "dash", "dot")
_MARGIN = {"l": 0, "r": 0, "t": 10, "b": 0}


def show_confusion_matrix(evaluation: Evaluation, *, as_rates: bool, key: str) -> tuple[str, str] | None:
    """Draw the confusion matrix.

    Args:
        evaluation: Of one set of photos.
        as_rates: Show shares of each row instead of counts.
        key: Unique for each set of photos.

    Returns:
        The true and the predicted class of the cell that was clicked; None if none was.
    """
    names, counts = evaluation.class_names, evaluation.confusion_matrix
    shares = [[count / max(sum(row), 1) for count in row] for row in counts]
    places = list(range(len(names)))
    cells = [(row, column) for row in places for column in places]
    # Squares that can be clicked: Plotly selects points, and a heatmap has none.
    figure = go.Figure(
        [
            go.Heatmap(
                z=shares,
                x=places,
                y=places,
                text=[
                    [_cell_text(counts[row][column], shares[row][column], as_rates) for column in places]
                    for row in places
                ],
                texttemplate="%{text}",
                textfont={"size": 14},
                colorscale="Teal",
                zmin=0,
                zmax=1,
                showscale=False,
                xgap=2,
                ygap=2,
                hoverinfo="skip",
            ),
            go.Scatter(
                x=[column for _row, column in cells],
                y=[row for row, _column in cells],
                mode="markers",
                marker={"symbol": "square", "size": 40, "color": "rgba(0,0,0,0.004)"},
                selected={"marker": {"color": "rgba(230,159,0,0.45)"}},
                unselected={"marker": {"opacity": 1.0}},
                hovertext=[
                    _("{true}, taken for {said}: {count}").format(
                        true=escape(names[row]), said=escape(names[column]), count=counts[row][column]
                    )
                    for row, column in cells
                ],
                hoverinfo="text",
            ),
        ]
    )
    labels = {
        "tickvals": places,
        "ticktext": [escape(label) for label in short_names(names).values()],
        "showgrid": False,
        "zeroline": False,
    }
    edge = [-0.5, len(names) - 0.5]
    figure.update_layout(
        height=130 + 48 * len(names),
        margin=_MARGIN,
        showlegend=False,
        clickmode="event+select",
        # The nearest middle of a square, wherever in it the click is.
        hoverdistance=-1,
        dragmode=False,
        xaxis={"title": _("what the network said"), "range": edge, **labels},
        yaxis={"title": _("what it is"), "range": edge[::-1], **labels},
    )
    num_right = sum(counts[place][place] for place in places)
    described = _("{right} of {count} images are on the diagonal, that is, right.").format(
        right=num_right, count=evaluation.num_images
    )
    chosen: Any = st.plotly_chart(
        figure, key=key, config=_PLAIN, alt=described, on_select="rerun", selection_mode="points"
    )
    points = chosen.selection.points if chosen else []
    if not points:
        return None
    return names[int(points[0]["y"])], names[int(points[0]["x"])]


def _cell_text(count: int, share: float, as_rates: bool) -> str:
    if not count:
        return "·"
    return f"{share:.0%}" if as_rates else str(count)


def show_class_curves(curves: Mapping[str, Curve], x_title: str, y_title: str, key: str) -> None:
    """Draw a line for each class, with the area under it in the legend."""
    labels = short_names(curves)
    figure = go.Figure(
        [
            go.Scatter(
                x=_thinned(curve.x),
                y=_thinned(curve.y),
                mode="lines",
                name=f"{escape(labels[name])} ({curve.area:.2f})",
                line={
                    "color": _COLORS[number % len(_COLORS)],
                    "dash": _DASHES[number // len(_COLORS) % len(_DASHES)],
                    "width": 2.5,
                },
            )
            for number, (name, curve) in enumerate(curves.items())
        ]
    )
    figure.update_layout(
        height=380,
        margin=_MARGIN,
        legend={"orientation": "h", "y": -0.22, "yanchor": "top"},
        xaxis={"title": x_title, "range": [-0.02, 1.02], "tickformat": ".0%"},
        yaxis={"title": y_title, "range": [-0.02, 1.05], "tickformat": ".0%"},
    )
    described = "; ".join(f"{name}: {curve.area:.2f}" for name, curve in curves.items())
    st.plotly_chart(figure, key=key, config=_PLAIN, alt=described)


def _thinned(values: Sequence[float]) -> list[float]:
    """Return at most 300 values, evenly spread from the first to the last."""
    places = np.linspace(0, len(values) - 1, min(len(values), _MOST_POINTS)).round().astype(int)
    return [values[place] for place in places]


def show_reliability(evaluation: Evaluation) -> None:
    """Draw accuracy against confidence, before and after temperature scaling."""
    is_scaled = evaluation.temperature != 1.0
    lines = [(_("as shown"), evaluation.measured_confidences, "solid", _COLORS[0])]
    if is_scaled:
        lines.insert(0, (_("before"), evaluation.uncalibrated_confidences, "dot", _COLORS[1]))
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
                _("{count} photos, {sure:.0%} sure, {right:.0%} right").format(
                    count=one.num_images, sure=one.confidence, right=one.accuracy
                )
                for one in bins
            ],
            hoverinfo="text",
        )
    figure.update_layout(
        height=380,
        margin=_MARGIN,
        legend={"orientation": "h", "y": -0.2, "yanchor": "top"},
        xaxis={"title": _("how sure it is"), "range": [-0.02, 1.05], "tickformat": ".0%"},
        yaxis={"title": _("how often it is right"), "range": [-0.05, 1.08], "tickformat": ".0%"},
    )
    described = _("The gap to the ideal line is {gap:.1%} on average.").format(gap=evaluation.ece)
    st.plotly_chart(figure, key="reliability", config=_PLAIN, alt=described)


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
                y=_thinned([point[1] for point in points]),
                mode="lines",
                name=_("if it answers only when surest"),
                line={"color": _COLORS[0], "width": 2.5, "shape": "hv"},
            ),
            go.Scatter(
                x=[chosen[0]],
                y=[chosen[1]],
                mode="markers",
                name=_("now"),
                marker={"size": 14, "symbol": "diamond", "color": _COLORS[5]},
            ),
        ]
    )
    lowest = min([point[1] for point in points] + [chosen[1]])
    figure.update_layout(
        height=320,
        margin=_MARGIN,
        legend={"orientation": "h", "y": -0.25, "yanchor": "top"},
        xaxis={"title": _("share of photos that get an answer"), "range": [0, 1.02], "tickformat": ".0%"},
        yaxis={
            "title": _("answers that are right"),
            "range": [max(lowest - 0.1, 0), 1.02],
            "tickformat": ".0%",
        },
    )
    described = _(
        "Now {share:.0%} of the photos get an answer, and {right:.0%} of the answers are right."
    ).format(share=chosen[0], right=chosen[1])
    st.plotly_chart(figure, key="coverage", config=_PLAIN, alt=described)
