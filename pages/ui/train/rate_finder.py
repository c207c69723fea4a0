"""The learning-rate finder: a button, its progress, and its chart when it is done."""

from __future__ import annotations

import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.session import Session
from pages.ui.app.task_progress import show_task, waiting_words
from pages.ui.app.tasks import rate_search_of, start_rate_search
from pages.ui.app.words import plain
from pages.ui.train.charts import show_rate_finder
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.language import _
from transfer_core.training.rate_finder import RateCurve
from transfer_core.work.task import Task


def show_rate_finder_button(session: Session, dataset: ImageDataset, config: TrainingConfig) -> None:
    """Draw the button, or how far the search is, or its result.

    Args:
        session: Gets the suggested rate if the person takes it.
        dataset: What would be learned from.
        config: The choices, all of which the search shares with the training.
    """
    task = rate_search_of(dataset, config)
    if task and not task.is_over:
        show_task(
            task,
            lambda progress: progress.part or waiting_words(),
            name="rate-search",
            stop=_("Stop the search"),
        )
        return
    if task and task.result:
        _show_found(session, config, task.result)
        return
    if task:
        _say_why_there_is_none(task)
    if st.button(_("Find a learning rate"), icon=":material/search_insights:", help=explain("rate finder")):
        start_rate_search(dataset, config)
        st.rerun()


def _say_why_there_is_none(task: Task[RateCurve]) -> None:
    if task.problem:
        st.error(plain(task.problem), icon=":material/error:")
    else:
        st.caption(_("Stopped. No learning rate was found."))


def _show_found(session: Session, config: TrainingConfig, curve: RateCurve) -> None:
    show_rate_finder(curve)
    rate = float(f"{curve.suggestion:.1e}")
    st.caption(_("Suggested: {rate}. That is a tenth of the rate with the lowest loss.").format(rate=rate))
    if config.learning_rate != rate and st.button(_("Use this rate"), icon=":material/check:"):
        session.choose_config(config.with_changes(learning_rate=rate))
        st.rerun()
