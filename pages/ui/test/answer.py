"""The answer for one photo: the class in large letters, and the most probable classes as bars."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

import streamlit as st

from pages.ui.app.process import is_model_loaded, predictor, work_queue
from pages.ui.app.task_progress import result_of
from pages.ui.app.tasks import start_model_loading
from pages.ui.app.words import plain
from pages.ui.components.live_camera import MAX_BARS
from transfer_core.inference.predictor import Prediction
from transfer_core.language import _, percent
from transfer_core.runs.training_run import TrainingRun

Runs = tuple[TrainingRun, ...]


def load_models(runs: Runs) -> None:
    """Let the queue load the models, which takes some seconds the first time, and draw their warnings.

    Raises:
        UnfinishedTaskError: If a model is not loaded yet; the progress is drawn.
    """
    for run in runs:
        if not is_model_loaded(run.id):
            task = start_model_loading(run.id)
            result_of(task, _("Getting your model ready …"), name="model-loading", has_stop=False)
            # The queue would keep more models in memory than are needed.
            work_queue().forget(task)
    for notice in (notice for run in runs for notice in predictor(run.id).notices):
        st.warning(plain(notice), icon=":material/warning:")


@st.cache_data(show_spinner=False, max_entries=200)
def prediction_of(run_id: str, version: tuple[int, ...], content: bytes) -> Prediction:
    """Return the prediction for a photo, computed once for each version of the model.

    Raises:
        UnreadableImageError: If the bytes are no complete image.
    """
    return predictor(run_id).predict(content)


def show_answer(prediction: Prediction) -> None:
    """Draw the predicted class and the bars."""
    said = escape(prediction.class_name or _("I don't know"))
    why = ""
    if not prediction.is_known:
        text = _("Too unlike the training photos, or not sure enough. Best guess: {name}.")
        why = f'<p class="answer-why">{escape(text.format(name=prediction.best_guess))}</p>'
    most_probable = list(prediction.probabilities.items())[:MAX_BARS]
    bars = probability_bars(most_probable, best=prediction.best_guess)
    st.html(f'<div class="answer" role="status"><p class="answer-said">{said}</p>{why}{bars}</div>')


def probability_bars(probabilities: Iterable[tuple[str, float]], best: str = "") -> str:
    """Return classes and their probabilities as bars in HTML, with their numbers as text.

    Args:
        probabilities: Name of each class and its probability, 0-1.
        best: Name of the class to emphasise.
    """
    rows = []
    for name, probability in probabilities:
        emphasis = " bars-best" if name == best else ""
        rows.append(
            f'<span class="bars-name{emphasis}">{escape(name)}</span>'
            f'<span class="bars-track" aria-hidden="true"><span class="bars-fill" '
            f'style="width:{probability:.1%}"></span></span>'
            f'<span class="bars-number{emphasis}">{percent(probability)}</span>'
        )
    return f'<div class="bars">{"".join(rows)}</div>'
