"""Whether there are enough photos: accuracy by number of photos, on the Results page."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from pages.ui.app.plotly_figure import percent_axis, show_figure
from pages.ui.app.process import workspace
from pages.ui.app.task_progress import result_of
from pages.ui.app.tasks import learning_curve_of, start_learning_curve
from pages.ui.app.words import plain
from transfer_core.evaluation.learning_curve import LearningCurve, enough_sentences
from transfer_core.language import _, percent, percent_range, sentences
from transfer_core.runs.corrections import dataset_of
from transfer_core.runs.run_learning_curve import MeasuredCurve, can_be_measured, stored_curve
from transfer_core.runs.training_run import TrainingRun

_COLOR = "#0072b2"
_BAND_COLOR = "rgba(0, 114, 178, 0.28)"


def show_learning_curve(run: TrainingRun) -> None:
    """Draw the learning curve of a run, or the button that measures it.

    Raises:
        UnfinishedTaskError: If it is being measured; its progress is drawn.
    """
    dataset = dataset_of(workspace(), run)
    if dataset is None or not can_be_measured(run):
        return
    st.header(_("Do you have enough photos?"), anchor=False)
    measured = stored_curve(run, dataset)
    if measured is None:
        task = learning_curve_of(run.id, dataset.version)
        if task is None:
            st.caption(_("We train again with fewer of your photos and compare. It takes seconds."))
            if st.button(_("Find out"), icon=":material/show_chart:", key="learning-curve"):
                start_learning_curve(run.id, dataset.version)
                st.rerun()
            return
        measured = result_of(task, _("Training with fewer photos …"), name="learning-curve")
    _show_measured(measured)


def _show_measured(measured: MeasuredCurve) -> None:
    curve = measured.curve
    if curve is None:
        st.caption(_("There are too few photos to find out. Add some more first."))
        return
    st.markdown(plain(sentences(*enough_sentences(curve))))
    _show_chart(curve)
    st.caption(
        _("The band is the 95 % confidence interval. All points use the same {count} photos.").format(
            count=curve.num_scored
        )
    )
    if not measured.is_of_the_model:
        st.caption(_("Measured with a simple last layer on the frozen model. Yours may differ."))
    with st.expander(_("The numbers"), icon=":material/table:"):
        _show_table(curve)


def _show_chart(curve: LearningCurve) -> None:
    counts = [point.num_images for point in curve.points]
    accuracies = [100 * point.accuracy for point in curve.points]
    lowest = [100 * point.interval[0] for point in curve.points]
    highest = [100 * point.interval[1] for point in curve.points]
    figure = go.Figure(
        [
            go.Scatter(
                x=[*counts, *reversed(counts)],
                y=[*highest, *reversed(lowest)],
                fill="toself",
                fillcolor=_BAND_COLOR,
                mode="lines",
                line={"width": 0},
                hoverinfo="skip",
            ),
            go.Scatter(
                x=counts,
                y=accuracies,
                mode="lines+markers",
                line={"color": _COLOR, "width": 2.5},
                marker={"size": 8},
                hovertext=[
                    _("{count} photos: {accuracy}").format(
                        count=point.num_images, accuracy=percent(point.accuracy)
                    )
                    for point in curve.points
                ],
                hoverinfo="text",
            ),
        ]
    )
    figure.update_layout(
        height=300,
        margin={"l": 0, "r": 20, "t": 10, "b": 0},
        showlegend=False,
        dragmode=False,
        # Each point has twice the photos of the one before.
        xaxis={"title": _("training photos"), "type": "log", "tickvals": counts, "ticktext": counts},
        yaxis={"title": _("accuracy"), **percent_axis([*lowest, *highest])},
    )
    described = _("With {fewest} photos accuracy is {first}, with {most} photos {last}.").format(
        first=percent(curve.points[0].accuracy),
        fewest=counts[0],
        last=percent(curve.points[-1].accuracy),
        most=counts[-1],
    )
    show_figure(figure, "learning-curve-chart", described)


def _show_table(curve: LearningCurve) -> None:
    st.dataframe(
        pd.DataFrame(
            {
                _("Training photos"): [point.num_images for point in curve.points],
                _("Accuracy"): [percent(point.accuracy) for point in curve.points],
                _("95 % confidence interval"): [percent_range(*point.interval) for point in curve.points],
            }
        ),
        hide_index=True,
        key="learning-curve-table",
    )
