"""The progress of a task behind the page. When the task is over, the page is drawn again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from html import escape
from typing import Any, TypeVar

import streamlit as st

from pages.ui.app.process import work_queue
from transfer_core.language import _, percent
from transfer_core.work.task import Task, TaskProgress

Result = TypeVar("Result")

# A result that comes sooner needs no bar, which would flash and then wait for the next tick.
_SECONDS_WITHOUT_BAR = 0.2
_STEPS_ANNOUNCED = 10
_STOP_ICON = ":material/stop_circle:"


class UnfinishedTaskError(Exception):
    """A part of the page cannot be drawn yet. `guarded` ends the part; the page is drawn again later."""


def show_task(
    task: Task[Any],
    words: Callable[[TaskProgress], str],
    *,
    name: str,
    stop: str = "",
    stop_icon: str = _STOP_ICON,
) -> None:
    """Draw a bar with a button that stops the task, each second until the task is over.

    Args:
        task: Waits or runs.
        words: Returns the sentence on the bar while the task runs.
        name: Begins the keys of the widgets.
        stop: Label of the button. By default "Stop".
        stop_icon: Icon of the button.
    """
    follow(task, partial(show_bar, task, words, name, stop or _("Stop"), stop_icon))


def follow(task: Task[Any], draw: Callable[[], None]) -> None:
    """Draw a part of the page each second until a task is over, then the whole page again."""
    st.fragment(_tick, run_every="1s")(task, draw)


def result_of(task: Task[Result], sentence: str, *, name: str, has_stop: bool = True) -> Result:
    """Return the result of a task, or draw its progress and end this part of the page.

    Args:
        task: Waits, runs or is over.
        sentence: On the bar while the task runs.
        name: Begins the keys of the widgets.
        has_stop: Whether a button beside the bar stops the task.

    Raises:
        UnfinishedTaskError: If there is no result yet, or the person stopped the task.
        Exception: The error of the task, which is then forgotten, so that the next drawing tries again.
    """
    if not task.wait(_SECONDS_WITHOUT_BAR):
        stop = _("Stop") if has_stop else ""
        follow(task, partial(show_bar, task, lambda _progress: sentence, name, stop, _STOP_ICON))
        raise UnfinishedTaskError
    if task.error:
        work_queue().forget(task)
        raise task.error
    if task.result is None:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(_("Stopped."))
            st.button(
                _("Start again"),
                icon=":material/replay:",
                key=f"{name}-again",
                on_click=work_queue().forget,
                args=(task,),
            )
        raise UnfinishedTaskError
    return task.result


def waiting_words() -> str:
    """Return the sentence for a task that waits for its turn or is being prepared."""
    return _("Starting. A training that is under way goes first.")


def announce_share(stage: str, share: float) -> None:
    """Say a stage and how much of the whole is done to people who hear the page: a live region that nobody sees."""
    st.html(f'<div role="status" class="heard-only">{escape(spoken_share(stage, share))}</div>')


def spoken_share(stage: str, share: float) -> str:
    """Return a stage and how much of the whole is done, such as `"Saving, 80 %"`.

    In tenths, because a screen reader speaks whenever the text changes.
    """
    tenths = percent(int(share * _STEPS_ANNOUNCED) / _STEPS_ANNOUNCED)
    return _("{stage}, {share}").format(stage=stage, share=tenths) if stage else tenths


def _tick(task: Task[Any], draw: Callable[[], None]) -> None:
    if task.is_over:
        st.rerun()
    draw()


def show_bar(
    task: Task[Any], words: Callable[[TaskProgress], str], name: str, stop: str, stop_icon: str
) -> None:
    """Draw the bar of `show_task` once; without a label there is no button."""
    is_stopping = task.should_stop()
    text = waiting_words() if task.state == "waiting" else words(task.progress)
    if is_stopping:
        text = _("Stopping …")
    announce_share("", task.progress.share)
    with st.container(horizontal=True, vertical_alignment="center", key=f"{name}-bar"):
        st.progress(task.progress.share, text=text)
        if stop:
            st.button(
                stop, icon=stop_icon, key=f"stop-{name}", disabled=is_stopping, on_click=task.request_stop
            )
